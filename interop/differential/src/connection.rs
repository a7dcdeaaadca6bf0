//! A connection of a script with its channels, and whatever it takes to send a step on one.

use std::collections::BTreeMap;

use leveret_protocol::method::{channel, queue};

use crate::channel::{Channel, Expected};
use crate::link::{Gone, Link};
use crate::names::Names;
use crate::step::Action;
use crate::uri::Uri;

/// A TCP connection, while there is one, and its channels.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    /// None before the first use and after the end.
    pub(crate) link: Option<Link>,
    /// Those that were used.
    pub(crate) channels: BTreeMap<u16, Channel>,
}

impl Connection {
    /// The link, opened if it is not there.
    pub(crate) fn link(&mut self, uri: &Uri) -> Result<&mut Link, Gone> {
        if self.link.is_none() {
            self.channels.clear();
        }
        match &mut self.link {
            Some(link) => Ok(link),
            none => Ok(none.insert(Link::open(uri)?)),
        }
    }

    /// Sends an action, and channel.open before it where the channel is not open.
    pub(crate) fn send(
        &mut self,
        uri: &Uri,
        number: u16,
        action: &Action,
        names: &Names,
        tag: u64,
    ) -> Result<(), Gone> {
        self.open_channel(uri, number)?;
        let channel = self.channels.entry(number).or_default();
        let Some(link) = &mut self.link else {
            return Ok(());
        };
        channel.sent(action, tag);
        action.write(names, tag, number, link);
        link.flush()
    }

    /// Opens a channel that is not open, without waiting for the answer.
    pub(crate) fn open_channel(&mut self, uri: &Uri, number: u16) -> Result<(), Gone> {
        self.link(uri)?;
        let channel = self.channels.entry(number).or_default();
        if let (false, Some(link)) = (channel.open, &mut self.link) {
            *channel = Channel::default();
            channel.open = true;
            channel.expected.push(Expected { reply: "channel.open-ok", action: None });
            link.write(number, channel::Open {});
        }
        Ok(())
    }

    /// Asks every open channel for a sign of life.
    pub(crate) fn ping(&mut self) -> Result<(), Gone> {
        let Some(link) = &mut self.link else {
            return Ok(());
        };
        for (number, channel) in self.channels.iter_mut().filter(|(_, channel)| channel.open) {
            channel.pings += 1;
            link.write(*number, channel::Flow { active: true });
        }
        link.flush()
    }

    /// Asks for a queue's counts on a channel.
    pub(crate) fn look(&mut self, uri: &Uri, number: u16, queue: &str) -> Result<(), Gone> {
        self.open_channel(uri, number)?;
        let link = self.link(uri)?;
        link.write(number, queue::Declare { queue, passive: true, ..Default::default() });
        link.flush()
    }

    /// Forgets everything: TCP has ended.
    pub(crate) fn forget(&mut self) {
        self.link = None;
        self.channels.clear();
    }
}
