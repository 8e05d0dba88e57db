//! The stream of events. It walks the history, so a slow listener costs no memory and misses
//! nothing, and one that comes back goes on where it was.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use api::{EventId, EventRecord, Problem, limits::EVENTS_HEARTBEAT_MS};
use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, header::CACHE_CONTROL},
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
};
use futures_util::stream;
use tokio::sync::watch;

use super::{
    App, Failure, Link, Shared, block::settled, gate::Place, request::Parameters, stopped,
};
use crate::index::{EventQuery, IndexError, KINDS, kind};

/// Events that are read at a time.
const PAGE_EVENTS: usize = 128;
/// Blocks that are searched at a time for events that match.
const WINDOW_BLOCKS: u64 = 256;

/// A listener's place.
struct Listener {
    app: Arc<App>,
    query: EventQuery,
    /// Everything up to here was sent or did not match.
    last: EventId,
    pending: VecDeque<EventRecord>,
    /// Whether the listener was told where it begins.
    greeted: bool,
    heights: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    _place: Place,
}

pub(super) async fn stream(
    State(app): Shared,
    Extension(link): Extension<Link>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Failure> {
    let query = EventQuery {
        account: parameters.query("account")?,
        lease: parameters.query("lease")?,
        kind: parameters.query("kind")?,
    };
    parameters.finish()?;
    if query.kind.as_deref().is_some_and(|kind| !KINDS.contains(&kind)) {
        return Err(Failure::malformed("kind: no event has this name"));
    }
    let after = match headers.get("last-event-id") {
        None => None,
        Some(text) => {
            let text = text.to_str().unwrap_or_default();
            let id = text.parse::<EventId>();
            Some(id.map_err(|error| Failure::malformed(format!("last-event-id: {error}")))?)
        }
    };
    let place = app.gates.event_streams.try_enter(link.peer, 1);
    let place = place.ok_or_else(|| Failure::new(Problem::Busy, "too many streams of events"))?;
    settled(&app).await?;
    let now = EventId { height: app.index.height(), index: u32::MAX };
    let listener = Listener {
        query,
        last: after.unwrap_or(now),
        pending: VecDeque::new(),
        greeted: false,
        heights: app.index.heights(),
        stopping: app.stopping.clone(),
        app,
        _place: place,
    };
    let events = stream::unfold(listener, |listener| async {
        let (event, listener) = listener.next().await?;
        Some((Ok::<_, Infallible>(event), listener))
    });
    Ok(([(CACHE_CONTROL, "no-store")], Sse::new(events)).into_response())
}

impl Listener {
    /// Returns the next message; nothing when the node goes down.
    async fn next(mut self) -> Option<(Event, Self)> {
        if !self.greeted {
            self.greeted = true;
            return Some((self.place(), self));
        }
        loop {
            if let Some(record) = self.pending.pop_front() {
                let message = message(&record)?;
                return Some((message, self));
            }
            let at = *self.heights.borrow_and_update();
            if self.fill(at).await.ok()? {
                if self.pending.is_empty() && self.last.height < at {
                    // A long search shows how far it is, and whether anybody still listens.
                    return Some((self.place(), self));
                }
                continue;
            }
            let heartbeat = Duration::from_millis(EVENTS_HEARTBEAT_MS);
            let woken = tokio::select! {
                changed = self.heights.changed() => changed.is_ok(),
                () = stopped(&mut self.stopping) => false,
                // Says where the listener is, so that it need not come back to further behind.
                () = tokio::time::sleep(heartbeat) => return Some((self.place(), self)),
            };
            if !woken {
                return None;
            }
        }
    }

    /// Reads on up to a height; returns whether there may be something to send.
    async fn fill(&mut self, at: u64) -> Result<bool, IndexError> {
        if at < self.last.height || (at == self.last.height && self.last.index == u32::MAX) {
            return Ok(false);
        }
        let (query, last) = (self.query.clone(), self.last);
        let until = at.min(last.height.saturating_add(WINDOW_BLOCKS));
        let read = self
            .app
            .index
            .read(move |reader| reader.events_after(&query, last, until, PAGE_EVENTS));
        let found = read.await?;
        self.last = match found.last() {
            Some(record) if found.len() == PAGE_EVENTS => record.id,
            _ => EventId { height: until, index: u32::MAX },
        };
        self.pending = found.into();
        Ok(true)
    }

    fn place(&self) -> Event {
        Event::default().id(self.last.to_string())
    }
}

fn message(record: &EventRecord) -> Option<Event> {
    let data = serde_json::to_string(record).ok()?;
    Some(Event::default().id(record.id.to_string()).event(kind(&record.event)).data(data))
}
