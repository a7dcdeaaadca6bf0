//! How many of a worker thread's sockets are in use.

use std::sync::Weak;

use tokio::net::TcpStream;

/// Which sockets have something to say.
#[derive(Default)]
pub(super) struct Survey {
    /// Those read in this survey and still open, and not more than matter.
    seen: Vec<Weak<TcpStream>>,
    /// Waits so far.
    waits: u32,
    /// The last survey saw more than [`Self::FEW`].
    saw_many: bool,
}

impl Survey {
    /// A publisher and a consumer that acks.
    const FEW: usize = 2;

    /// In so many waits a socket that is in use shows.
    const WAITS: u32 = 32;

    pub(super) fn count(&mut self, sockets: &[Weak<TcpStream>]) {
        for socket in sockets {
            if !self.seen.iter().any(|seen| seen.ptr_eq(socket)) {
                self.seen.retain(|seen| seen.strong_count() > 0);
                if self.seen.len() <= Self::FEW {
                    self.seen.push(socket.clone());
                }
            }
        }
        self.waits += 1;
        if self.waits == Self::WAITS {
            *self = Self { saw_many: self.are_many(), ..Self::default() };
        }
    }

    fn are_many(&self) -> bool {
        self.seen.len() > Self::FEW
    }

    pub(super) fn are_few(&self) -> bool {
        !self.saw_many && !self.are_many()
    }

    /// A survey has just begun.
    pub(super) fn is_new(&self) -> bool {
        self.waits == 0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use tokio::net::TcpListener;

    async fn sockets<const N: usize>() -> [Arc<TcpStream>; N] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut sockets = Vec::new();
        for _ in 0..N {
            sockets.push(Arc::new(TcpStream::connect(address).await.unwrap()));
        }
        sockets.try_into().unwrap()
    }

    #[tokio::test]
    async fn many_sockets_in_use_are_noticed_at_once_and_forgotten_in_the_second_survey_without_them() {
        let sockets: [_; 3] = sockets().await;
        let weak = sockets.each_ref().map(Arc::downgrade);
        let mut survey = Survey::default();
        for few in [true, true, false] {
            survey.count(&weak[..if few { 2 } else { 3 }]);
            assert_eq!(survey.are_few(), few);
        }
        let more = (0..).take_while(|_| {
            survey.count(&weak[..1]);
            !survey.are_few()
        });
        assert_eq!(more.count() as u32, 2 * Survey::WAITS - 3 - 1);
    }

    #[tokio::test]
    async fn one_connection_after_the_other_is_not_many() {
        let mut survey = Survey::default();
        for socket in sockets::<10>().await {
            survey.count(&[Arc::downgrade(&socket)]);
            assert!(survey.are_few());
        }
    }
}
