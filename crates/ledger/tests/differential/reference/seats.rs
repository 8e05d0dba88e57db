//! Auditors: who may be drawn, and at which seats.

use types::{Address, Auditor, AuditorTerms, ClassId, Event, LeaseId, List, Reject, Time};

use super::{Reference, actions::ensure, count};

/// What an auditor set, and until when it is busy and barred; the rest of its row is counted.
#[derive(Debug, Clone)]
pub(crate) struct Enlistment {
    pub(crate) terms: AuditorTerms,
    pub(crate) free_at: Time,
    pub(crate) barred_until: Time,
}

/// A seat among those who are drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seat {
    pub(crate) owner: Address,
    /// Counts the seats that were ever taken, so that the last one can be told.
    pub(crate) taken: u64,
}

/// What auditors do.
impl Reference {
    pub(super) fn enlist(&mut self, signer: Address, terms: AuditorTerms) -> Result<(), Reject> {
        let provider = self.provider_of(&signer).ok_or(Reject::NotProvider)?;
        if self.genesis.token {
            let stake = self.stake_of(&provider);
            ensure(stake >= self.parameters.stake_minimum, Reject::StakeShort)?;
        }
        let class = classes::find(terms.class).ok_or(Reject::ClassUnknown)?;
        ensure(class.audits(terms.terms.as_slice()).is_ok(), Reject::AuditorMalformed)?;
        let barred_until = self.barred_until(class.id(), provider);
        let suspended_until = self.provider(&provider).expect("it is one").suspended_until;
        let is_free = barred_until <= self.time && suspended_until <= self.time;
        ensure(is_free, Reject::AuditorBarred)?;

        let class = class.id();
        let known = self.enlistments.get(&(class, provider));
        let free_at = known.map_or(Time::default(), |known| known.free_at);
        self.enlistments.insert((class, provider), Enlistment { terms, free_at, barred_until });
        let seats = self.seats_of_stake(provider);
        self.set_seats(class, provider, seats);
        self.events.push(Event::Enlisted { auditor: provider, class, seats });
        Ok(())
    }

    pub(super) fn delist(&mut self, signer: Address, class: ClassId) -> Result<(), Reject> {
        let provider = self.provider_of(&signer).ok_or(Reject::NotProvider)?;
        ensure(self.seats_held(class, provider) > 0, Reject::AuditorUnknown)?;
        self.lose_seats(class, provider);
        Ok(())
    }
}

/// What follows.
impl Reference {
    /// Returns the row of an auditor, with what is counted.
    pub(crate) fn auditor(&self, class: ClassId, address: Address) -> Option<Auditor> {
        let kept = self.enlistments.get(&(class, address))?.clone();
        let Enlistment { terms, free_at, barred_until } = kept;
        let seats = self.seats.get(&class).map_or(&[][..], Vec::as_slice).iter().zip(0..);
        let mut own: Vec<(u64, u32)> = seats
            .filter(|(seat, _)| seat.owner == address)
            .map(|(seat, index)| (seat.taken, index))
            .collect();
        own.sort_unstable();
        let seats = List::new(own.into_iter().map(|(_, index)| index).collect());
        let seats = seats.expect("an auditor has 64 seats at most");
        let is_its = |(auditor, lease): &&(Address, LeaseId)| {
            *auditor == address && self.lease(lease).is_some_and(|lease| lease.class == class)
        };
        let open = count(self.to_do.iter().filter(is_its));
        Some(Auditor { terms, seats, open, free_at, barred_until })
    }

    fn barred_until(&self, class: ClassId, address: Address) -> Time {
        let kept = self.enlistments.get(&(class, address));
        kept.map_or(Time::default(), |enlistment| enlistment.barred_until)
    }

    fn seats_held(&self, class: ClassId, owner: Address) -> u32 {
        let seats = self.seats.get(&class).into_iter().flatten();
        count(seats.filter(|seat| seat.owner == owner))
    }

    fn seats_of_stake(&self, owner: Address) -> u32 {
        let minimum = self.parameters.stake_minimum.get();
        if !self.genesis.token || minimum == 0 {
            return 1;
        }
        let seats = (self.stake_of(&owner).get() / minimum).min(64);
        u32::try_from(seats).expect("64 at most")
    }

    fn set_seats(&mut self, class: ClassId, owner: Address, wanted: u32) {
        for _ in self.seats_held(class, owner)..wanted {
            self.seats_taken += 1;
            let taken = self.seats_taken;
            self.seats.entry(class).or_default().push(Seat { owner, taken });
        }
        for _ in wanted..self.seats_held(class, owner) {
            let seats = self.seats.get_mut(&class).expect("it has seats");
            let own = seats.iter().enumerate().filter(|(_, seat)| seat.owner == owner);
            let last = own.max_by_key(|(_, seat)| seat.taken).expect("it has seats");
            let index = last.0;
            // The last of all takes its place.
            seats.swap_remove(index);
        }
    }

    /// Takes all seats in the class from an auditor, which may be barred already.
    fn lose_seats(&mut self, class: ClassId, auditor: Address) {
        self.set_seats(class, auditor, 0);
        let barred_until = self.barred_until(class, auditor);
        self.events.push(Event::Delisted { auditor, class, barred_until });
        self.forget_idle(class, auditor);
    }

    /// Takes all seats in the class from an auditor, and bars it for an epoch.
    pub(super) fn bar(&mut self, class: ClassId, auditor: Address) {
        let until = self.time.after(self.parameters.epoch_ms);
        let kept = self.enlistments.get_mut(&(class, auditor)).expect("it was enlisted");
        kept.barred_until = until;
        self.lose_seats(class, auditor);
    }

    /// Forgets an auditor that has no seats, nothing to do, and is not barred.
    pub(super) fn forget_idle(&mut self, class: ClassId, address: Address) {
        let Some(auditor) = self.auditor(class, address) else { return };
        let is_barred = auditor.barred_until > self.time;
        if auditor.seats.is_empty() && auditor.open == 0 && !is_barred {
            self.enlistments.remove(&(class, address));
        }
    }

    /// Gives an auditor the seats of its stake, which changed.
    pub(super) fn let_seats_follow(&mut self, owner: Address) {
        for class in classes::CLASSES {
            let class = class.id();
            let (held, wanted) = (self.seats_held(class, owner), self.seats_of_stake(owner));
            if held == 0 || held == wanted {
                continue;
            }
            if wanted == 0 {
                self.lose_seats(class, owner);
            } else {
                self.set_seats(class, owner, wanted);
                let auditor = owner;
                self.events.push(Event::Enlisted { auditor, class, seats: wanted });
            }
        }
    }
}
