//! Events with their places.

use std::{fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use thiserror::Error;
use types::{Event, Time};

/// Where an event stands: its block and its place in it, as text `height.index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    /// The block's height.
    pub height: u64,
    /// The place in the block, from 0.
    pub index: u32,
}

/// Text that is not an event's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an event's place is written height.index, such as 12.0")]
pub struct NotAnEventId;

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.height, self.index)
    }
}

impl FromStr for EventId {
    type Err = NotAnEventId;

    fn from_str(text: &str) -> Result<Self, NotAnEventId> {
        let (height, index) = text.split_once('.').ok_or(NotAnEventId)?;
        let height = height.parse().map_err(|_| NotAnEventId)?;
        let id = Self { height, index: index.parse().map_err(|_| NotAnEventId)? };
        // `+1.0` and `01.0` would be further texts for the same place.
        if id.to_string() == text { Ok(id) } else { Err(NotAnEventId) }
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for EventId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EventId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": r"^[0-9]+\.[0-9]+$" })
    }
}

/// An event, where it stands and when it happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventRecord {
    /// Where it stands.
    pub id: EventId,
    /// The block's time.
    pub time: Time,
    /// What happened.
    pub event: Event,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_one_text() {
        let id = EventId { height: 12, index: 3 };
        assert_eq!("12.3".parse(), Ok(id));
        for bad in ["", "12", "12.", ".3", "+12.3", "012.3", "12.3.4", "12.-3"] {
            assert_eq!(bad.parse::<EventId>(), Err(NotAnEventId), "{bad}");
        }
    }
}
