//! What the store's writer takes out of the journal, and when.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use leveret::broker::journal::{Group, Journal, Op, QueueId};
use leveret::broker::{Effects, Kept as KeptMessage};

use crate::support::FAR;

#[test]
fn what_nobody_waits_for_is_taken_too() {
    let journal = Arc::new(Journal::<KeptMessage>::new());
    let (taken, takes) = mpsc::channel();
    let writer = thread::spawn({
        let journal = journal.clone();
        move || {
            let mut group = Group::default();
            while journal.take(&mut group, Duration::from_millis(1), None, |_| ()) {
                taken.send(group.ops.len()).unwrap();
                journal.commit(&mut group, &mut Effects::default());
            }
        }
    });
    for _ in 0..3 {
        journal.write().push(Op::Drop { queue: QueueId(1) });
        assert_eq!(takes.recv_timeout(FAR), Ok(1));
    }
    journal.close();
    writer.join().unwrap();
    assert_eq!(journal.committed(), 3);
}
