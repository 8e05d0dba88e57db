//! Who is drawn to check work: seats, so many for each auditor as its stake gives.
//!
//! The seats of a class are numbered without gaps, so that a draw is one look-up: uniform over
//! seats, and so in proportion to stake. A seat that goes is taken by the last one. Who does not
//! do an audit loses its seats for an epoch, and so does who is found cheating; stake it loses
//! only for cheating. Who says that work could not be had loses nothing but its pay: nobody can
//! tell whether it was shown the inputs.

use types::{
    Address, Asset, Auditor, ClassId, Duration, Event, List, Provider, Time,
    limits::AUDITOR_SEATS_MAX,
};

use crate::{
    key::{Key, Row},
    matching,
    state::{Broken, State},
};

/// Returns how many seats there are in a class.
pub(crate) fn seats(state: &State, class: ClassId) -> Result<u32, Broken> {
    Ok(state.get(Key::Seats(class))?.unwrap_or(0))
}

/// Returns the seats that a provider's stake gives it.
pub(crate) fn entitled(state: &State, provider: &Provider) -> Result<usize, Broken> {
    if !matching::is_staked(state, provider)? {
        return Ok(0);
    }
    let stake = state.balance(Row::Stake(provider.address), Asset::Wild)?;
    // Without a token, or where no stake is asked for, everybody has one.
    let minimum = state.parameters().stake_minimum.get();
    let count = stake.get().checked_div(minimum).unwrap_or(1);
    Ok(usize::try_from(count).unwrap_or(AUDITOR_SEATS_MAX).min(AUDITOR_SEATS_MAX))
}

/// Gives an auditor the seats that its stake gives, and keeps it.
pub(crate) fn seat(
    state: &mut State,
    provider: &Provider,
    mut auditor: Auditor,
) -> Result<(), Broken> {
    let (class, address) = (auditor.terms.class, provider.address);
    let wanted = entitled(state, provider)?;
    resize(state, address, &mut auditor, wanted)?;
    let event = match u32::try_from(wanted).map_err(|_| Broken)? {
        0 => Event::Delisted { auditor: address, class, barred_until: auditor.barred_until },
        seats => Event::Enlisted { auditor: address, class, seats },
    };
    state.emit(event);
    keep(state, address, &auditor)
}

/// Lets the seats of a provider that has some follow its stake.
pub(crate) fn follow_stake(state: &mut State, provider: &Provider) -> Result<(), Broken> {
    for class in classes::CLASSES {
        let key = Key::Auditor(class.id(), provider.address);
        let Some(auditor) = state.get::<Auditor>(key)? else { continue };
        if !auditor.seats.is_empty() && auditor.seats.len() != entitled(state, provider)? {
            seat(state, provider, auditor)?;
        }
    }
    Ok(())
}

/// Takes an auditor's seats away, at its own wish.
pub(crate) fn leave(
    state: &mut State,
    address: Address,
    mut auditor: Auditor,
) -> Result<(), Broken> {
    resize(state, address, &mut auditor, 0)?;
    let Auditor { barred_until, .. } = auditor;
    state.emit(Event::Delisted { auditor: address, class: auditor.terms.class, barred_until });
    keep(state, address, &auditor)
}

/// Takes an auditor's seats away for an epoch.
fn bar(state: &mut State, address: Address, mut auditor: Auditor) -> Result<(), Broken> {
    auditor.barred_until = state.now().after(state.parameters().epoch_ms);
    leave(state, address, auditor)
}

/// Takes all seats of a cheat away, in every class.
pub(crate) fn bar_cheat(state: &mut State, address: Address) -> Result<(), Broken> {
    for class in classes::CLASSES {
        if let Some(auditor) = state.get(Key::Auditor(class.id(), address))? {
            bar(state, address, auditor)?;
        }
    }
    Ok(())
}

/// Returns whether a provider has audits to do.
pub(crate) fn has_open(state: &State, address: Address) -> Result<bool, Broken> {
    for class in classes::CLASSES {
        let auditor: Option<Auditor> = state.get(Key::Auditor(class.id(), address))?;
        if auditor.is_some_and(|auditor| auditor.open > 0) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Notes that an auditor has an audit to do, which takes it so long; returns when it has done it,
/// after those that it was drawn for before.
pub(crate) fn begin_audit(
    state: &mut State,
    address: Address,
    mut auditor: Auditor,
    time: Duration,
) -> Result<Time, Broken> {
    auditor.open = auditor.open.checked_add(1).ok_or(Broken)?;
    auditor.free_at = auditor.free_at.max(state.now()).after(time);
    keep(state, address, &auditor)?;
    Ok(auditor.free_at)
}

/// Notes that an auditor does not do the work of an audit any more, for which it had so long.
pub(crate) fn end_work(
    state: &mut State,
    class: ClassId,
    address: Address,
    time: Duration,
) -> Result<(), Broken> {
    let mut auditor: Auditor = state.need(Key::Auditor(class, address))?;
    auditor.free_at = auditor.free_at.before(time).max(state.now());
    keep(state, address, &auditor)
}

/// Notes that an auditor has an audit less to do, since it did it or missed it.
pub(crate) fn end_audit(
    state: &mut State,
    class: ClassId,
    address: Address,
    is_missed: bool,
) -> Result<(), Broken> {
    let mut auditor: Auditor = state.need(Key::Auditor(class, address))?;
    auditor.open = auditor.open.checked_sub(1).ok_or(Broken)?;
    if is_missed { bar(state, address, auditor) } else { keep(state, address, &auditor) }
}

/// Keeps an auditor as long as there is something to keep.
fn keep(state: &mut State, address: Address, auditor: &Auditor) -> Result<(), Broken> {
    let key = Key::Auditor(auditor.terms.class, address);
    if auditor.seats.is_empty() && auditor.open == 0 && auditor.barred_until <= state.now() {
        state.remove(key);
        return Ok(());
    }
    state.put(key, auditor)
}

/// Gives an auditor so many seats. The caller keeps the auditor.
fn resize(
    state: &mut State,
    address: Address,
    auditor: &mut Auditor,
    wanted: usize,
) -> Result<(), Broken> {
    let class = auditor.terms.class;
    let mut own = std::mem::take(&mut auditor.seats).into_inner();
    let before = seats(state, class)?;
    let mut count = before;
    while own.len() < wanted {
        state.put(Key::Seat(class, count), &address)?;
        own.push(count);
        count = count.checked_add(1).ok_or(Broken)?;
    }
    while own.len() > wanted {
        let gone = own.pop().ok_or(Broken)?;
        count = count.checked_sub(1).ok_or(Broken)?;
        if gone != count {
            let mover: Address = state.need(Key::Seat(class, count))?;
            state.put(Key::Seat(class, gone), &mover)?;
            if mover == address {
                renumber(&mut own, count, gone)?;
            } else {
                let key = Key::Auditor(class, mover);
                let mut other: Auditor = state.need(key)?;
                let mut seats = other.seats.into_inner();
                renumber(&mut seats, count, gone)?;
                other.seats = List::new(seats)?;
                state.put(key, &other)?;
            }
        }
        state.remove(Key::Seat(class, count));
    }
    auditor.seats = List::new(own)?;
    match count {
        _ if count == before => {}
        0 => state.remove(Key::Seats(class)),
        _ => state.put(Key::Seats(class), &count)?,
    }
    Ok(())
}

/// Gives the seat of number `from` another one.
fn renumber(seats: &mut [u32], from: u32, to: u32) -> Result<(), Broken> {
    *seats.iter_mut().find(|seat| **seat == from).ok_or(Broken)? = to;
    Ok(())
}
