//! stub
use crate::broker::journal::*;
use std::sync::Arc;
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct StoreError;
#[derive(Clone, Copy, Debug)]
pub enum Durability {
    Group,
    Os,
    Interval(std::time::Duration),
}
impl std::str::FromStr for Durability {
    type Err = String;
    fn from_str(_: &str) -> Result<Self, String> {
        Ok(Self::Group)
    }
}
pub struct Options {
    pub durability: Durability,
    pub disk_free_limit: u64,
}
pub struct RecoveredQueue {
    pub queue: QueueId,
    pub first: u64,
    pub next: u64,
    pub count: u64,
    pub weight: u64,
}
pub struct Recovered {
    pub definitions: Vec<(Box<[u8]>, Box<[u8]>)>,
    pub queues: Vec<RecoveredQueue>,
    pub clean: bool,
    pub cut: Option<String>,
    pub damaged: Vec<(QueueId, StoreError)>,
    pub next_queue_id: u64,
}
pub trait Sink<P>: Send + Sync {
    fn loaded(&self, queue: QueueId, from: u64, result: Result<Vec<Loaded<P>>, StoreError>);
    fn paged_out(&self, queue: QueueId, bytes: usize);
    fn space_low(&self, low: bool);
    fn failed(&self, error: StoreError);
}
pub struct Opening<P>(P);
impl<P> Opening<P> {
    pub fn start(self, _: Arc<Journal<P>>, _: Arc<dyn Sink<P>>) -> Store<P> {
        todo!()
    }
}
pub struct Store<P>(P);
impl<P> Store<P> {
    pub fn request(&self, _: Request<P>) {}
    pub fn close(&self) {}
}
pub fn open_dir<P: Payload>(
    _: &std::path::Path,
    _: Options,
    _: impl Fn(u64, u64),
) -> Result<(Opening<P>, Recovered), StoreError> {
    todo!()
}
