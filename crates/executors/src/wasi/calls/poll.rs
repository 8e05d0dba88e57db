//! Waits for descriptors and clocks.
//!
//! Every open descriptor is ready at once. A poll of clocks alone lets virtual time pass up to
//! the first deadline; nobody waits.

use super::Call;
use crate::wasi::abi::{Errno, Outcome, put, rights};
use crate::wasi::clock::ClockId;
use crate::wasi::content::byte_count;
use crate::wasi::descriptors::Object;
use crate::wasi::limits::SUBSCRIPTIONS_MAX;

const SUBSCRIPTION_BYTES: u32 = 48;
const EVENT_BYTES: u32 = 32;

/// What a guest waits for.
#[derive(Clone, Copy)]
enum Subscription {
    /// A clock, and for how long it has to run.
    Clock {
        left_ns: u64,
    },
    Descriptor {
        fd: u32,
        right: u64,
    },
    /// A clock that cannot be waited for.
    Refused(Errno),
}

/// A subscription with what the guest needs to recognise its event.
#[derive(Clone, Copy)]
struct Entry {
    user_data: [u8; 8],
    kind: u8,
    subscription: Subscription,
}

/// What happened.
struct Event {
    error: u16,
    bytes: u64,
    hangup: bool,
}

pub(super) fn poll_oneoff(call: &mut Call<'_>) -> Outcome {
    let count = call.u32(2);
    if count == 0 || count > SUBSCRIPTIONS_MAX {
        return Err(Errno::Invalid.into());
    }
    call.check_result(3, 4)?;
    call.memory.range(call.u32(1), u64::from(count * EVENT_BYTES))?;
    call.meter.charge_bytes(u64::from(count) * u64::from(SUBSCRIPTION_BYTES + EVENT_BYTES))?;
    let entries = read_entries(call, count)?;
    let passed = pass_time(call, &entries);
    let events = events(call, &entries, passed);
    let mut at = call.u32(1);
    for (entry, event) in &events {
        let mut bytes = [0; 32];
        put(&mut bytes, 0, &entry.user_data);
        put(&mut bytes, 8, &event.error.to_le_bytes());
        put(&mut bytes, 10, &[entry.kind]);
        put(&mut bytes, 16, &event.bytes.to_le_bytes());
        put(&mut bytes, 24, &[u8::from(event.hangup)]);
        call.memory.write(at, &bytes)?;
        at = at.wrapping_add(EVENT_BYTES);
    }
    let written = u32::try_from(events.len()).map_err(|_| Errno::Overflow)?;
    Ok(call.memory.write_u32(call.u32(3), written)?)
}

fn read_entries(call: &Call<'_>, count: u32) -> Result<Vec<Entry>, Errno> {
    let bytes = call.memory.bytes(call.u32(0), count * SUBSCRIPTION_BYTES)?;
    bytes.as_chunks::<48>().0.iter().map(|entry| parse_entry(call, entry)).collect()
}

fn parse_entry(call: &Call<'_>, bytes: &[u8; 48]) -> Result<Entry, Errno> {
    const CLOCK: u8 = 0;
    const READ: u8 = 1;
    const WRITE: u8 = 2;
    let (user_data, rest) = bytes.split_first_chunk::<8>().ok_or(Errno::Invalid)?;
    let ([kind, ..], rest) = rest.split_first_chunk::<8>().ok_or(Errno::Invalid)?;
    let (id, rest) = rest.split_first_chunk::<4>().ok_or(Errno::Invalid)?;
    let id = u32::from_le_bytes(*id);
    let subscription = match *kind {
        CLOCK => {
            let timeout = rest.get(4..).and_then(<[u8]>::first_chunk).ok_or(Errno::Invalid)?;
            let flags = rest.get(20..).and_then(<[u8]>::first_chunk).ok_or(Errno::Invalid)?;
            let (timeout, flags) = (u64::from_le_bytes(*timeout), u16::from_le_bytes(*flags));
            clock_subscription(call, id, timeout, flags)
        }
        READ => Subscription::Descriptor { fd: id, right: rights::FD_READ },
        WRITE => Subscription::Descriptor { fd: id, right: rights::FD_WRITE },
        _ => return Err(Errno::Invalid),
    };
    Ok(Entry { user_data: *user_data, kind: *kind, subscription })
}

fn clock_subscription(call: &Call<'_>, id: u32, timeout_ns: u64, flags: u16) -> Subscription {
    const RELATIVE: u16 = 0;
    const ABSOLUTE: u16 = 1;
    match (ClockId::from_code(id), flags) {
        (Some(ClockId::Processor), _) => Subscription::Refused(Errno::NotSupported),
        (Some(_), RELATIVE) => Subscription::Clock { left_ns: timeout_ns },
        (Some(clock), ABSOLUTE) => {
            let now = call.host.clock.read(clock, call.meter.fuel_left());
            Subscription::Clock { left_ns: timeout_ns.saturating_sub(now) }
        }
        _ => Subscription::Refused(Errno::Invalid),
    }
}

/// Returns the events of what is ready, of clocks those that run for at most `passed_ns`.
fn events(call: &Call<'_>, entries: &[Entry], passed_ns: u64) -> Vec<(Entry, Event)> {
    let event = |entry: &Entry| {
        let (error, bytes, hangup) = match entry.subscription {
            Subscription::Refused(errno) => (errno.code(), 0, false),
            Subscription::Clock { left_ns } if left_ns > passed_ns => return None,
            Subscription::Clock { .. } => (0, 0, false),
            Subscription::Descriptor { fd, right } => match descriptor_state(call, fd, right) {
                Ok((bytes, hangup)) => (0, bytes, hangup),
                Err(errno) => (errno.code(), 0, false),
            },
        };
        Some((*entry, Event { error, bytes, hangup }))
    };
    entries.iter().filter_map(event).collect()
}

/// Returns how many bytes can be read or written, and whether no more will come.
fn descriptor_state(call: &Call<'_>, fd: u32, right: u64) -> Result<(u64, bool), Errno> {
    let descriptor = call.host.descriptors.get(fd)?;
    descriptor.require(rights::POLL_FD_READWRITE).or_else(|_| descriptor.require(right))?;
    let streams = &call.host.streams;
    Ok(match &descriptor.object {
        Object::Stdin => {
            let left = byte_count(streams.stdin.get(streams.stdin_read..).unwrap_or(&[]));
            (left, left == 0)
        }
        Object::Stdout => (streams.stdout.room(), false),
        Object::Stderr => (streams.stderr.room(), false),
        Object::File { node, offset } if right == rights::FD_READ => {
            (call.host.files.content(*node)?.length().saturating_sub(*offset), false)
        }
        Object::File { .. } | Object::Directory { .. } => (0, false),
    })
}

/// Sleeps until the first deadline, unless something is ready before; returns for how long.
fn pass_time(call: &mut Call<'_>, entries: &[Entry]) -> u64 {
    let left = |entry: &Entry| match entry.subscription {
        Subscription::Clock { left_ns } => left_ns,
        Subscription::Descriptor { .. } | Subscription::Refused(_) => 0,
    };
    let first = entries.iter().map(left).min().unwrap_or(0);
    call.host.clock.sleep(first);
    first
}
