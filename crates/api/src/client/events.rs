//! A stream of events that takes up the thread when the connection breaks.

use std::time::Duration;

use reqwest::{Method, Response};
use types::{Address, LeaseId};

use super::{Client, ClientError, with_query};
use crate::wire::{EventId, EventRecord};

/// Bytes of one event on the wire.
const EVENT_BYTES_MAX: usize = 256 * 1024;
/// The wait before the first try to connect again; doubled for each further one.
const RECONNECT_WAIT: Duration = Duration::from_millis(100);
/// Tries to connect again before the stream gives up.
const RECONNECTS_MAX: u32 = 7;

/// Which events to send.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Only what concerns this account.
    pub account: Option<Address>,
    /// Only what concerns this lease.
    pub lease: Option<LeaseId>,
    /// Only events of this name, such as `lease-closed`.
    pub kind: Option<String>,
    /// Only what happened after this place; from now on if absent.
    pub after: Option<EventId>,
}

/// Events as they happen. None is lost while the stream lives: after a break it resumes behind
/// the last one.
#[derive(Debug)]
pub struct EventStream {
    client: Client,
    path: String,
    last: Option<EventId>,
    open: Option<(Response, Lines)>,
}

impl Client {
    /// Opens a stream of events.
    ///
    /// # Errors
    /// [`ClientError`] when the node does not answer.
    pub async fn events(&self, filter: EventFilter) -> Result<EventStream, ClientError> {
        let query = [
            ("account", filter.account.map(|account| account.to_string())),
            ("lease", filter.lease.map(|lease| lease.to_string())),
            ("kind", filter.kind),
        ];
        let path = with_query("/v1/events", &query);
        let mut stream = EventStream { client: self.clone(), path, last: filter.after, open: None };
        stream.connect().await?;
        Ok(stream)
    }
}

impl EventStream {
    /// Waits for the next event.
    ///
    /// # Errors
    /// [`ClientError`] when the node stays away, or says what is no event.
    pub async fn next(&mut self) -> Result<EventRecord, ClientError> {
        let mut tries = 0;
        loop {
            let error = match self.read().await {
                Ok(event) => return Ok(event),
                Err(error) if error.is_transient() && tries < RECONNECTS_MAX => error,
                Err(error) => return Err(error),
            };
            self.open = None;
            tokio::time::sleep(RECONNECT_WAIT * 2_u32.pow(tries)).await;
            tries += 1;
            // A stream that never heard its place could miss what happened meanwhile, so the
            // node says it at the start of each stream; without it there is nothing to resume.
            if self.last.is_none() {
                return Err(error);
            }
        }
    }

    async fn connect(&mut self) -> Result<(), ClientError> {
        let mut request = self.client.request(Method::GET, &self.path)?;
        if let Some(last) = self.last {
            request = request.header("last-event-id", last.to_string());
        }
        let response = self.client.send(request).await?;
        self.open = Some((response, Lines::default()));
        Ok(())
    }

    async fn read(&mut self) -> Result<EventRecord, ClientError> {
        if self.open.is_none() {
            self.connect().await?;
        }
        loop {
            let (response, lines) = self.open.as_mut().expect("connected above");
            while let Some(message) = lines.next() {
                if let Some(id) = message.id {
                    self.last = Some(id);
                }
                if !message.data.is_empty() {
                    return serde_json::from_str(&message.data)
                        .map_err(|error| ClientError::Answer(error.to_string()));
                }
            }
            let chunk = response.chunk().await.map_err(|error| self.client.failure(error))?;
            let Some(chunk) = chunk else {
                return Err(ClientError::Timeout(self.client.address().to_owned()));
            };
            lines.push(&chunk)?;
        }
    }
}

/// A message of a stream: what stands between two blank lines.
#[derive(Debug, Default, PartialEq, Eq)]
struct Message {
    id: Option<EventId>,
    data: String,
}

/// Bytes of a stream on their way to messages.
#[derive(Debug, Default)]
struct Lines {
    pending: Vec<u8>,
    message: Message,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        if self.pending.len() + self.message.data.len() + bytes.len() > EVENT_BYTES_MAX {
            return Err(ClientError::TooLong);
        }
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    /// Takes the next message that is complete.
    fn next(&mut self) -> Option<Message> {
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\r', '\n']);
            if line.is_empty() {
                let message = std::mem::take(&mut self.message);
                if message != Message::default() {
                    return Some(message);
                }
            } else if let Some(data) = line.strip_prefix("data:") {
                self.message.data.push_str(data.trim_start());
            } else if let Some(id) = line.strip_prefix("id:") {
                self.message.id = id.trim().parse().ok();
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_whole_however_the_bytes_are_cut() {
        let text = ": hello\n\nid: 4.1\nevent: x\ndata: {\"a\":1}\n\nid:5.0\n\n";
        let expected = [
            Message { id: Some(EventId { height: 4, index: 1 }), data: "{\"a\":1}".to_owned() },
            Message { id: Some(EventId { height: 5, index: 0 }), data: String::new() },
        ];
        for size in 1..text.len() {
            let mut lines = Lines::default();
            let mut messages = Vec::new();
            for chunk in text.as_bytes().chunks(size) {
                lines.push(chunk).unwrap();
                messages.extend(std::iter::from_fn(|| lines.next()));
            }
            assert_eq!(messages, expected, "{size}");
        }
    }

    #[test]
    fn an_endless_message_is_refused() {
        let mut lines = Lines::default();
        assert!(lines.push(&vec![b'x'; EVENT_BYTES_MAX]).is_ok());
        assert!(matches!(lines.push(b"x"), Err(ClientError::TooLong)));
    }
}
