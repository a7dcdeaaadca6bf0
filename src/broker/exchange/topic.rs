//! Topic exchanges: the binding key is a pattern of words, separated by `.`; `*` is exactly one word and `#` any number of
//! them, also none.
//!
//! The patterns form a trie. A message walks it word by word with the set of nodes that its words so far can have led to,
//! so the cost grows with the nodes that match and not with the bindings. A `#` node, once reached, stays in the set: it
//! takes every further word. No node is in the set twice: its parent was there once a word before, and a `#` node that
//! could be reached again (it lies below another `#`) is remembered.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

use super::{BindingId, Place, RoutingKeys, Sink, Target, Targets};
use crate::broker::slab::Slab;
use crate::broker::topology::TopologyError;

/// How many `#` words a binding key may have.
const HASH_WORDS_MAX: usize = 2;

const NONE: u32 = u32::MAX;
const ROOT: u32 = 0;

#[derive(Debug)]
pub(crate) struct Topic {
    /// Each literal word of any binding key has a number, so that a message hashes each of its words once.
    words: HashMap<Box<[u8]>, Word, RandomState>,
    free_words: Vec<u32>,
    nodes: Slab<Node>,
    /// The literal children of all nodes, by node and word.
    children: HashMap<u64, u32, RandomState>,
}

#[derive(Debug)]
struct Word {
    id: u32,
    /// How many edges of the trie it labels.
    edges: u32,
}

/// A node has a target, a child, or is the root: what leads nowhere is removed.
#[derive(Debug)]
struct Node {
    parent: u32,
    /// Number of literal children.
    children: u32,
    star: u32,
    hash: u32,
    /// Whether a `#` is on the way from the root to this node, itself not counted.
    below_hash: bool,
    targets: Targets,
}

impl Node {
    fn new(parent: u32, below_hash: bool) -> Self {
        Self { parent, children: 0, star: NONE, hash: NONE, below_hash, targets: Targets::default() }
    }

    fn is_needless(&self) -> bool {
        self.targets.is_empty() && self.children == 0 && self.star == NONE && self.hash == NONE
    }
}

/// The sets of nodes of one walk.
#[derive(Debug, Default)]
pub(crate) struct TopicScratch {
    active: Vec<u32>,
    next: Vec<u32>,
    /// The `#` nodes reached so far.
    hashes: Vec<u32>,
    /// Those of them that could be reached again.
    seen: HashSet<u32, RandomState>,
}

impl Topic {
    pub(crate) fn new() -> Self {
        let mut nodes = Slab::new();
        nodes.insert(Node::new(NONE, false));
        Self { words: HashMap::default(), free_words: Vec::new(), nodes, children: HashMap::default() }
    }

    pub(crate) fn check(key: &[u8]) -> Result<(), TopologyError> {
        let count = words(key).filter(|word| *word == b"#").count();
        if count > HASH_WORDS_MAX {
            let key = String::from_utf8_lossy(key).into();
            return Err(TopologyError::TopicHashWords { key, count });
        }
        Ok(())
    }

    pub(crate) fn bind(&mut self, key: &[u8], target: Target) -> Place {
        let node = words(key).fold(ROOT, |node, word| self.child_or_new(node, word));
        Place { node, slot: self.nodes[node].targets.push(target) }
    }

    pub(crate) fn unbind(&mut self, key: &[u8], place: Place) -> Option<BindingId> {
        let moved = self.nodes[place.node].targets.remove(place.slot);
        self.prune(key, place.node);
        moved
    }

    #[inline]
    pub(crate) fn matches(&self, keys: &RoutingKeys<'_>, scratch: &mut TopicScratch, sink: &mut Sink<'_>) {
        for key in keys.iter() {
            self.matches_key(key, scratch, sink);
        }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.len() == 1 && self.nodes[ROOT].is_needless() && self.words.is_empty() && self.children.is_empty()
    }

    fn matches_key(&self, key: &[u8], scratch: &mut TopicScratch, sink: &mut Sink<'_>) {
        scratch.active.clear();
        scratch.hashes.clear();
        if !scratch.seen.is_empty() {
            scratch.seen.clear();
        }
        scratch.active.push(ROOT);
        self.reach_hash(&self.nodes[ROOT], &mut scratch.hashes, &mut scratch.seen);
        for word in words(key) {
            if scratch.active.is_empty() && scratch.hashes.is_empty() {
                return;
            }
            self.step(word, scratch);
        }
        for &node in scratch.active.iter().chain(&scratch.hashes) {
            sink.extend(&self.nodes[node].targets);
        }
    }

    /// Moves the set on by one word.
    fn step(&self, word: &[u8], scratch: &mut TopicScratch) {
        let TopicScratch { active, next, hashes, seen } = scratch;
        let word = self.words.get(word).map(|word| word.id);
        next.clear();
        let mut enter = |child: u32, hashes: &mut Vec<u32>| {
            next.push(child);
            self.reach_hash(&self.nodes[child], hashes, seen);
        };
        let mut leave = |from: u32, hashes: &mut Vec<u32>| {
            let node = &self.nodes[from];
            if node.star != NONE {
                enter(node.star, hashes);
            }
            if let Some(word) = word
                && node.children != 0
                && let Some(&child) = self.children.get(&edge(from, word))
            {
                enter(child, hashes);
            }
        };
        // What is reached by this word must not take it again.
        let before = hashes.len();
        for &node in active.iter() {
            leave(node, hashes);
        }
        for i in 0..before {
            leave(hashes[i], hashes);
        }
        std::mem::swap(active, next);
    }

    /// Adds the `#` child of a node that was reached, and its `#` child, as both also stand for no word.
    #[inline]
    fn reach_hash(&self, node: &Node, hashes: &mut Vec<u32>, seen: &mut HashSet<u32, RandomState>) {
        let mut hash = node.hash;
        while hash != NONE {
            let node = &self.nodes[hash];
            if node.below_hash && !seen.insert(hash) {
                return;
            }
            hashes.push(hash);
            hash = node.hash;
        }
    }

    fn child_or_new(&mut self, parent: u32, word: &[u8]) -> u32 {
        let (star, hash) = (self.nodes[parent].star, self.nodes[parent].hash);
        match word {
            b"*" if star != NONE => star,
            b"*" => {
                let child = self.new_node(parent);
                self.nodes[parent].star = child;
                child
            }
            b"#" if hash != NONE => hash,
            b"#" => {
                let child = self.new_node(parent);
                self.nodes[parent].hash = child;
                child
            }
            _ => self.literal_child_or_new(parent, word),
        }
    }

    fn literal_child_or_new(&mut self, parent: u32, word: &[u8]) -> u32 {
        if let Some(known) = self.words.get_mut(word) {
            if let Some(&child) = self.children.get(&edge(parent, known.id)) {
                return child;
            }
            known.edges += 1;
        } else {
            let id = self
                .free_words
                .pop()
                .unwrap_or_else(|| u32::try_from(self.words.len()).expect("memory ends before the numbers do"));
            self.words.insert(word.into(), Word { id, edges: 1 });
        }
        let id = self.words[word].id;
        let child = self.new_node(parent);
        self.children.insert(edge(parent, id), child);
        self.nodes[parent].children += 1;
        child
    }

    fn new_node(&mut self, parent: u32) -> u32 {
        let above = &self.nodes[parent];
        // The parent itself may be the `#`: then its own parent's link tells.
        let is_hash = above.parent != NONE && self.nodes[above.parent].hash == parent;
        let below_hash = above.below_hash || is_hash;
        self.nodes.insert(Node::new(parent, below_hash))
    }

    /// Removes `node`, the end of `key`, and the nodes above it as far as nothing else needs them.
    fn prune(&mut self, key: &[u8], mut node: u32) {
        let mut rest = words(key).collect::<Vec<_>>();
        while node != ROOT && self.nodes[node].is_needless() {
            let parent = self.nodes.remove(node).parent;
            match rest.pop() {
                Some(b"*") => self.nodes[parent].star = NONE,
                Some(b"#") => self.nodes[parent].hash = NONE,
                Some(word) => self.remove_edge(parent, word),
                None => return,
            }
            node = parent;
        }
    }

    fn remove_edge(&mut self, parent: u32, word: &[u8]) {
        let Some(known) = self.words.get_mut(word) else {
            return;
        };
        self.children.remove(&edge(parent, known.id));
        self.nodes[parent].children -= 1;
        known.edges -= 1;
        if known.edges == 0 {
            self.free_words.push(known.id);
            self.words.remove(word);
        }
    }
}

/// The words of a key; the empty key has none, and what is between two dots is a word even if it is empty.
fn words(key: &[u8]) -> impl Iterator<Item = &[u8]> {
    let count = if key.is_empty() { 0 } else { usize::MAX };
    key.split(|byte| *byte == b'.').take(count)
}

fn edge(node: u32, word: u32) -> u64 {
    u64::from(node) << 32 | u64::from(word)
}
