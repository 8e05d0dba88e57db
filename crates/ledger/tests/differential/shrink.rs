//! Looks for few transactions that still show a difference.
//!
//! Identifiers depend on nonces, so a transaction that was accepted is not dropped but replaced by
//! one that uses up the nonce and does next to nothing: a transfer of one micro unit to oneself.

use std::fmt::Write as _;

use types::{Action, Amount, Asset, Verified};

use crate::{
    episode::{Asked, Difference, Episode, Pair, guarded},
    world::trust,
};

/// Replays that the search may take.
const REPLAYS_MAX: usize = 150;

/// Returns text with the difference and the shortest sequence found that shows one.
pub(crate) fn report(episode: &Episode, difference: &Difference) -> String {
    let mut log = episode.log.clone();
    let mut shown = difference.clone();
    let mut replays = 0;
    for step in [Step::Drop, Step::Blank, Step::Drop] {
        let mut width = log.iter().map(|asked| asked.transactions.len()).sum::<usize>() / 2;
        while width > 0 && replays < REPLAYS_MAX {
            let mut from = 0;
            while replays < REPLAYS_MAX {
                let Some(candidate) = changed(&log, step, from, width) else { break };
                replays += 1;
                let still_shows = replay(episode, &candidate);
                if step == Step::Blank || still_shows.is_ok() {
                    from += width;
                }
                if let Err(found) = still_shows {
                    (log, shown) = (candidate, found);
                }
            }
            width /= 2;
        }
    }
    print(episode, &log, difference, &shown)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Leave transactions out.
    Drop,
    /// Replace them by ones that only use up the nonce.
    Blank,
}

/// Changes `width` transactions, counted over all blocks; nothing when there are none left.
fn changed(log: &[Asked], step: Step, from: usize, width: usize) -> Option<Vec<Asked>> {
    let mut log = log.to_vec();
    let mut index = 0;
    let mut has_changed = false;
    for asked in &mut log {
        let mut kept = Vec::new();
        for verified in asked.transactions.drain(..) {
            let is_hit = (from..from.saturating_add(width)).contains(&index);
            index += 1;
            has_changed |= is_hit;
            match step {
                Step::Drop if is_hit => {}
                Step::Blank if is_hit => kept.push(blank(&verified)),
                _ => kept.push(verified),
            }
        }
        asked.transactions = kept;
    }
    has_changed.then_some(log)
}

fn blank(verified: &Verified) -> Verified {
    let mut transaction = verified.transaction().clone();
    let (to, amount) = (transaction.signer, Amount::new(1).expect("one is in range"));
    transaction.action = Action::Transfer { to, asset: Asset::Usd, amount };
    trust(transaction)
}

fn replay(episode: &Episode, log: &[Asked]) -> Result<(), Difference> {
    guarded(|| {
        let mut pair = Pair::new(episode.genesis());
        log.iter().try_for_each(|asked| pair.replay(asked))
    })
}

fn print(episode: &Episode, log: &[Asked], first: &str, shown: &str) -> String {
    let mut text = format!("{first}\nshortest found: {shown}\n");
    let blocks: Vec<_> = log.iter().filter(|asked| !asked.transactions.is_empty()).collect();
    let last_blocks = blocks.len().saturating_sub(12);
    let parameters = &episode.genesis().parameters;
    writeln!(text, "{} blocks; {parameters:?}", log.len()).expect("text takes all");
    for asked in &blocks[last_blocks..] {
        writeln!(text, "block at {} by {}", asked.time, asked.leader).expect("text takes all");
        for verified in &asked.transactions {
            let (id, transaction) = (verified.id(), verified.transaction());
            writeln!(text, "  {id} {transaction:?}").expect("text takes all");
        }
    }
    text
}
