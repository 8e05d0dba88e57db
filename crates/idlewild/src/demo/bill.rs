//! The demo's bill: what each lease cost, proven, and that no coin was lost or made.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use api::EventRecord;
use types::{Address, Amount, CheckState, Event, LeaseId, LeaseState, Units, Verdict};

use crate::failure::{Explain, Outcome};
use crate::local::LocalNode;
use crate::network::Network;
use crate::output::{count, usd};
use crate::verify::{self, Proven};

/// Events on one page of a history.
const PAGE_EVENTS: usize = 200;

/// What a demo cost, and whether all of it holds.
#[derive(Debug, Default)]
pub(crate) struct Bill {
    /// Jobs that are done and paid.
    pub(crate) jobs: u64,
    /// Units that were paid.
    pub(crate) units: Units,
    /// What the tenant paid, audit premiums included.
    pub(crate) paid: Amount,
    /// The burned part of it.
    pub(crate) burn: Amount,
    /// The treasury's part of it.
    pub(crate) treasury: Amount,
    /// Leases that were drawn for an audit.
    pub(crate) audits: u64,
    /// Auditors that agreed with the receipt.
    pub(crate) agreed: u64,
    /// What cheats lost of their stake, in micro-WILD.
    pub(crate) slashed: Amount,
    /// What the tenant was given back for work that was wrong or unchecked.
    pub(crate) refunded: Amount,
    /// What each provider earned, and how many jobs it did.
    pub(crate) earned: BTreeMap<Address, (Amount, u64)>,
    /// Leases, those without a result included.
    pub(crate) leases: u64,
    /// Leases whose proof holds.
    pub(crate) proven: u64,
    /// Providers whose work was found wrong.
    pub(crate) cheats: BTreeSet<Address>,
    /// What does not hold.
    pub(crate) faults: Vec<String>,
}

impl Bill {
    /// Checks the bundle of every lease that the tenant had, adds them up, compares the sum with
    /// the tenant's wallet, which was `given` so much, and has the whole book recounted.
    pub(crate) async fn draw(
        network: &Network,
        node: &LocalNode,
        tenant: Address,
        given: Amount,
        leases: &[LeaseId],
    ) -> Outcome<Self> {
        let mut bill = Self::default();
        let mut locked = Amount::ZERO;
        for id in leases {
            let bundle = match network.client.bundle(*id).await {
                Err(error) if error.is_unknown() => continue,
                bundle => bundle.because(format_args!("cannot get the proof of lease {id}"))?,
            };
            bill.leases += 1;
            match verify::check(&bundle) {
                Ok(proven) if matches!(proven.lease.state, LeaseState::Closed { .. }) => {
                    bill.add(&proven)?;
                }
                Ok(proven) => {
                    bill.proven += 1;
                    locked = locked.plus(proven.lease.escrow)?;
                }
                Err(refuted) => {
                    // With its causes, on one line.
                    let refuted = anyhow::Error::new(refuted);
                    bill.faults.push(format!("lease {id}: {refuted:#}"));
                }
            }
        }
        bill.add_history(network, tenant).await?;
        let held = network.client.account(tenant).await?.balances.usd;
        let accounted = held.plus(locked)?.plus(bill.paid)?;
        if accounted != given {
            let (accounted, given) = (usd(accounted), usd(given));
            bill.faults.push(format!("the tenant was given {given} and {accounted} are found"));
        }
        if let Err(imbalance) = node.recount() {
            bill.faults.push(format!("the book does not balance: {imbalance}"));
        }
        Ok(bill)
    }

    /// Adds up what was given back, and what those who cheated lost.
    async fn add_history(&mut self, network: &Network, tenant: Address) -> Outcome<()> {
        for record in history(network, tenant).await? {
            if let Event::Refunded { amount, .. } = record.event {
                self.refunded = self.refunded.plus(amount)?;
            }
        }
        for cheat in self.cheats.clone() {
            for record in history(network, cheat).await? {
                if let Event::Slashed { amount, .. } = record.event {
                    self.slashed = self.slashed.plus(amount)?;
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, proven: &Proven) -> Outcome<()> {
        let lease = &proven.lease;
        let settled = &lease.settlement;
        self.proven += 1;
        if let Some(audit) = &proven.audit {
            self.audits += 1;
            let agreed = audit.verdicts().filter(|(_, verdict)| *verdict == Verdict::Agree);
            self.agreed += u64::try_from(agreed.count()).unwrap_or(u64::MAX);
        }
        if lease.check == CheckState::Failed {
            self.cheats.insert(lease.provider);
        }
        if lease.check.is_refunded() {
            self.paid = self.paid.plus(settled.premium)?;
            return Ok(());
        }
        self.jobs += u64::from(lease.receipts > 0);
        self.units = self.units.plus(settled.units)?;
        self.paid = self.paid.plus(settled.gross)?.plus(settled.premium)?;
        self.burn = self.burn.plus(settled.burn)?;
        self.treasury = self.treasury.plus(settled.treasury)?;
        if lease.receipts > 0 {
            let earned = self.earned.entry(lease.provider).or_default();
            earned.0 = earned.0.plus(settled.net)?;
            earned.1 += 1;
        }
        Ok(())
    }

    /// Counts it as a fault if another number of jobs was paid than done.
    pub(crate) fn expect_jobs(&mut self, done: usize) {
        if u64::try_from(done) != Ok(self.jobs) {
            self.faults.push(format!("{done} jobs are done and {} are paid", self.jobs));
        }
    }

    /// Returns the fee: what neither the providers nor the auditors get.
    pub(crate) fn fee(&self) -> Amount {
        self.burn.saturating_plus(self.treasury)
    }

    /// Returns whether everything holds.
    pub(crate) fn holds(&self) -> bool {
        self.faults.is_empty() && self.proven == self.leases
    }
}

/// Returns everything that happened to an account.
async fn history(network: &Network, account: Address) -> Outcome<Vec<EventRecord>> {
    let mut records = Vec::new();
    let mut before = None;
    loop {
        let page = network.client.account_history(account, before, Some(PAGE_EVENTS)).await?;
        records.extend(page.items);
        match page.next {
            Some(next) => before = Some(next.parse()?),
            None => return Ok(records),
        }
    }
}

/// The bill for people.
impl fmt::Display for Bill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} jobs, {} Mfuel", self.jobs, count(self.units.get()))?;
        writeln!(f, "  paid by the tenant   {:>12}", usd(self.paid))?;
        for (provider, (earned, jobs)) in &self.earned {
            writeln!(f, "  {jobs:>3} jobs earned      {:>12}  {provider}", usd(*earned))?;
        }
        if !self.refunded.is_zero() {
            writeln!(f, "  given back           {:>12}", usd(self.refunded))?;
        }
        writeln!(f, "  burned               {:>12}", usd(self.burn))?;
        writeln!(f, "  treasury             {:>12}", usd(self.treasury))?;
        writeln!(f, "{} of {} leases proven from the genesis", self.proven, self.leases)?;
        if self.faults.is_empty() {
            writeln!(f, "every coin accounted for")?;
        }
        for fault in &self.faults {
            writeln!(f, "WRONG: {fault}")?;
        }
        Ok(())
    }
}
