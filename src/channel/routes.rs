//! Where messages of this channel went before: valid as long as the vhost's topology does not change.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::broker::Queue;

/// Routes that a channel remembers; then it forgets all and begins anew. Bounds what a publisher with ever new keys can hold.
const ROUTES_MAX: usize = 1024;

/// The queues of one route.
pub(super) type Route = Arc<[Arc<Queue>]>;

/// See the module.
pub(super) struct Routes {
    generation: u64,
    last: Option<Last>,
    /// Keyed by the exchange's length, the exchange and the key.
    known: HashMap<Box<[u8]>, Route, RandomState>,
    wanted: Vec<u8>,
}

struct Last {
    exchange: Box<[u8]>,
    key: Vec<u8>,
    route: Route,
}

impl Routes {
    pub(super) fn new() -> Self {
        Self { generation: 0, last: None, known: HashMap::default(), wanted: Vec::new() }
    }

    /// The route of an exchange and a key, if it is known in this generation of the topology.
    #[inline]
    pub(super) fn find(&mut self, generation: u64, exchange: &[u8], key: &[u8]) -> Option<&Route> {
        if self.generation != generation {
            self.generation = generation;
            self.last = None;
            self.known.clear();
            return None;
        }
        let same = self.last.as_ref().is_some_and(|last| same(&last.key, key) && same(&last.exchange, exchange));
        if !same {
            self.recall(exchange, key)?;
        }
        self.last.as_ref().map(|last| &last.route)
    }

    /// Remembers a route found while the topology was of `generation`.
    pub(super) fn remember(&mut self, generation: u64, exchange: &[u8], key: &[u8], route: Route) {
        if self.generation != generation {
            return;
        }
        if self.known.len() >= ROUTES_MAX {
            self.known.clear();
        }
        self.want(exchange, key);
        self.known.insert(self.wanted.as_slice().into(), route.clone());
        self.set_last(exchange, key, route);
    }

    fn recall(&mut self, exchange: &[u8], key: &[u8]) -> Option<()> {
        self.want(exchange, key);
        let route = self.known.get(self.wanted.as_slice())?.clone();
        self.set_last(exchange, key, route);
        Some(())
    }

    fn want(&mut self, exchange: &[u8], key: &[u8]) {
        self.wanted.clear();
        self.wanted.push(exchange.len() as u8);
        self.wanted.extend_from_slice(exchange);
        self.wanted.extend_from_slice(key);
    }

    fn set_last(&mut self, exchange: &[u8], key: &[u8], route: Route) {
        match &mut self.last {
            Some(last) if same(&last.exchange, exchange) => {
                last.key.clear();
                last.key.extend_from_slice(key);
                last.route = route;
            }
            last => *last = Some(Last { exchange: exchange.into(), key: key.into(), route }),
        }
    }
}

/// Equality that does not touch the memory of empty slices: comparing none of the bytes behind their dangling pointer takes the
/// processor longer than all the rest of finding a route.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && (a.is_empty() || a == b)
}
