//! Random histories of queues and their connections. Real queues and the model go through the same steps, and agree after each.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::model::{Consumer, Shape};
use super::rig::{CHANNELS, CONNECTIONS, Published, QUEUES, Rig};
use crate::broker::queue::Settlement;

#[derive(Clone, Debug)]
enum Step {
    Batch { queue: usize, publisher: usize, bodies: Vec<Published>, settled: Vec<(Index, Settlement)> },
    Get { queue: usize, channel: usize, no_ack: bool },
    Consume(Consumer),
    Cancel(Index),
    Take { connection: usize },
    TakeNothing { connection: usize },
    Limit { channel: usize, max: u32 },
    Purge { queue: usize },
    Delete { queue: usize, if_unused: bool, if_empty: bool },
    Lose { connection: usize },
    Pass { ms: u64 },
}

/// Few bodies of different sizes: some of them fill an outbox, and some more of those make a queue hold its publishers back.
fn bodies() -> impl Strategy<Value = Vec<Published>> {
    let lens = prop_oneof![
        4 => vec(select(vec![0, 10, 100]), 1..12),
        2 => vec(select(vec![100, 9_000, 60_000]), 1..12),
        1 => vec(Just(100_000), 4..16),
        // More than a queue delivers under one hold of its lock.
        1 => (600usize..1200).prop_map(|n| vec![1; n]),
    ];
    let ttl = prop_oneof![6 => Just(None), 1 => select(vec![0, 5, 20, 1000]).prop_map(Some)];
    let priority = prop_oneof![3 => Just(None), 2 => select(vec![0, 1, 3, 4, 9, 40]).prop_map(Some)];
    (lens, vec((ttl, priority), 1..5)).prop_map(|(lens, lives)| {
        let lives = lives.into_iter().cycle();
        lens.into_iter().zip(lives).map(|(len, (ttl_ms, priority))| Published { len, ttl_ms, priority }).collect()
    })
}

/// What the first queue is declared with.
fn shape() -> impl Strategy<Value = Shape> {
    let max_length = prop_oneof![3 => Just(None), 1 => (0usize..20).prop_map(Some)];
    let ttl = prop_oneof![3 => Just(None), 1 => select(vec![0, 10, 50]).prop_map(Some)];
    (any::<bool>(), max_length, select(vec![0, 0, 5, 255]), ttl, 0u32..4).prop_map(
        |(quorum, max_length, max_priority, ttl, delivery_limit)| Shape {
            quorum,
            max_length,
            max_priority,
            ttl,
            delivery_limit,
        },
    )
}

fn settled() -> impl Strategy<Value = Vec<(Index, Settlement)>> {
    let settlement = select(vec![
        Settlement::Ack,
        Settlement::Ack,
        Settlement::Discard,
        Settlement::Reject,
        Settlement::Requeue,
        Settlement::Requeue,
        Settlement::RejectToQueue,
    ]);
    vec((any::<Index>(), settlement), 0..8)
}

fn consumer() -> impl Strategy<Value = Consumer> {
    let numbers = (0..QUEUES, 0..CHANNELS, select(vec![0, 1, 2, 5, 50]), select(vec![-1, 0, 0, 0, 3]));
    (numbers, prop::bool::weighted(0.3), prop::bool::weighted(0.05)).prop_map(
        |((queue, channel, prefetch, priority), no_ack, exclusive)| Consumer {
            queue,
            channel,
            no_ack,
            prefetch,
            priority,
            exclusive,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let queue = 0..QUEUES;
    prop_oneof![
        8 => (queue.clone(), 0..CONNECTIONS, bodies(), settled())
            .prop_map(|(queue, publisher, bodies, settled)| Step::Batch { queue, publisher, bodies, settled }),
        8 => (queue.clone(), 0..CONNECTIONS, settled())
            .prop_map(|(queue, publisher, settled)| Step::Batch { queue, publisher, bodies: Vec::new(), settled }),
        3 => (queue.clone(), 0..CHANNELS, any::<bool>())
            .prop_map(|(queue, channel, no_ack)| Step::Get { queue, channel, no_ack }),
        4 => consumer().prop_map(Step::Consume),
        2 => any::<Index>().prop_map(Step::Cancel),
        10 => (0..CONNECTIONS).prop_map(|connection| Step::Take { connection }),
        1 => (0..CONNECTIONS).prop_map(|connection| Step::TakeNothing { connection }),
        2 => (0..CHANNELS, 0u32..6).prop_map(|(channel, max)| Step::Limit { channel, max }),
        1 => queue.clone().prop_map(|queue| Step::Purge { queue }),
        1 => (queue, any::<bool>(), any::<bool>())
            .prop_map(|(queue, if_unused, if_empty)| Step::Delete { queue, if_unused, if_empty }),
        1 => (0..CONNECTIONS).prop_map(|connection| Step::Lose { connection }),
        4 => select(vec![1, 4, 5, 30, 2000]).prop_map(|ms| Step::Pass { ms }),
    ]
}

fn play(rig: &mut Rig, step: Step) {
    match step {
        Step::Batch { queue, publisher, bodies, settled } => rig.batch(queue, publisher, &bodies, &settled),
        Step::Get { queue, channel, no_ack } => rig.get(queue, channel, no_ack),
        Step::Consume(consumer) => rig.consume(consumer),
        Step::Cancel(which) => rig.cancel(which),
        Step::Take { connection } => rig.take(connection),
        Step::TakeNothing { connection } => rig.take_nothing(connection),
        Step::Limit { channel, max } => rig.limit(channel, max),
        Step::Purge { queue } => rig.purge(queue),
        Step::Delete { queue, if_unused, if_empty } => rig.delete(queue, if_unused, if_empty),
        Step::Lose { connection } => rig.lose(connection),
        Step::Pass { ms } => rig.pass(ms),
    }
}

proptest! {
    /// S-01 to S-03, S-05, S-13, S-14, S-16, S-17: who gets what and in which order; nothing is lost or there twice, no limit is
    /// exceeded, nobody who could take a message waits for one, and the memory is given back.
    #[test]
    fn queues_do_as_the_model(
        shape in shape(),
        steps in vec(step(), 1..60),
    ) {
        let mut rig = Rig::new(shape);
        for step in steps {
            play(&mut rig, step);
            rig.check();
        }
        rig.end();
    }
}
