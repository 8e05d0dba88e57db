//! The faucet: an issuer's key that gives every address a little, so often a day, and all together
//! so much a day.
//!
//! How often an address was given something stands in the history, so a restart does not forget.

use std::sync::Arc;

use api::{FaucetGrant, Funds, Problem};
use ledger::{Key, Row};
use tokio::sync::Mutex;
use types::{Action, Address, Asset, Duration, Reject, SecretKey, Time, Transaction};

use crate::{
    config::FaucetConfig,
    handle::{Answer, NodeHandle, Refused},
    index::Index,
    server::Failure,
};

const DAY: Duration = Duration::from_seconds(24 * 3600);
const LIFETIME: Duration = Duration::from_seconds(60);
/// Times that a grant is signed anew, should the key be used elsewhere too.
const ROUNDS_MAX: u32 = 4;

/// Gives funds away.
#[derive(Debug)]
pub(crate) struct Faucet {
    key: Arc<SecretKey>,
    config: FaucetConfig,
    /// One grant at a time, so that each sees the one before in the history.
    busy: Mutex<()>,
}

impl Faucet {
    pub(crate) fn new(key: SecretKey, config: FaucetConfig) -> Self {
        Self { key: Arc::new(key), config, busy: Mutex::default() }
    }

    /// Gives an address its funds.
    pub(crate) async fn give(
        &self,
        handle: &NodeHandle,
        index: &Index,
        to: Address,
    ) -> Result<FaucetGrant, Failure> {
        let _turn = self.busy.lock().await;
        index.wait_for(handle.read().header.height).await?;
        let since = Time::from_ms(api::now().as_ms().saturating_sub(DAY.as_ms()));
        let issuer = self.key.address();
        let issued = index.read(move |reader| reader.issued_since(issuer, to, since)).await?;
        let (in_all, given) = issued;
        if in_all >= self.config.grants_a_day {
            let message =
                format!("the faucet gave something {in_all} times today, as often as it may");
            return Err(Failure::new(Problem::FaucetSpent, message));
        }
        if given >= self.config.times_a_day {
            let message = format!("this address was given something {given} times today");
            return Err(Failure::new(Problem::FaucetSpent, message));
        }
        for _ in 0..ROUNDS_MAX {
            match self.try_give(handle, to).await? {
                Some(grant) => return Ok(grant),
                None => continue,
            }
        }
        Err(Failure::new(Problem::Busy, "the faucet's key is in use elsewhere"))
    }

    /// Tries once; nothing if the key's nonce was used meanwhile.
    async fn try_give(
        &self,
        handle: &NodeHandle,
        to: Address,
    ) -> Result<Option<FaucetGrant>, Failure> {
        let state = handle.read();
        let issuer = self.key.address();
        let nonce = state.ledger.account(&issuer).map_or(0, |account| account.nonce);
        let mut funds = Funds { usd: self.config.usd, wild: self.config.wild };
        if state.ledger.balance(Row::Wallet(issuer), Asset::Wild) < funds.wild {
            funds.wild = types::Amount::ZERO;
        }
        let mut actions = vec![Action::Issue { to, asset: Asset::Usd, amount: funds.usd }];
        if !funds.wild.is_zero() {
            actions.push(Action::Transfer { to, asset: Asset::Wild, amount: funds.wild });
        }
        let expires = api::now().after(LIFETIME);
        let sign = |(nonce, action)| {
            let transaction = Transaction { signer: issuer, nonce, expires, action };
            transaction.sign(&handle.genesis_hash(), &self.key)
        };
        let signed = (nonce..).zip(actions).map(sign).collect();
        let answers = handle.submit(signed).await?;
        grant(&answers, funds)
    }
}

fn grant(answers: &[Answer], funds: Funds) -> Result<Option<FaucetGrant>, Failure> {
    let mut last = 0;
    for answer in answers {
        match answer.result {
            Ok(height) => last = height,
            Err(Refused::Reject(Reject::NonceStale | Reject::NonceAhead)) => return Ok(None),
            Err(Refused::Busy) => {
                return Err(Failure::new(Problem::Busy, "the node has no room for it now"));
            }
            Err(Refused::Reject(reject)) => {
                let message = format!("the faucet is dry: {}", reject.meaning());
                return Err(Failure::new(Problem::FaucetSpent, message));
            }
            Err(Refused::Open) => {
                return Err(Failure::new(Problem::Behind, "no block holds the grant yet"));
            }
            Err(Refused::Signature) => {
                return Err(Failure::new(Problem::Fault, "the faucet's signature does not match"));
            }
        }
    }
    let transactions = answers.iter().map(|answer| answer.id).collect();
    Ok(Some(FaucetGrant { funds, height: last, transactions }))
}

/// Returns whether the key may issue credits here.
pub(crate) fn may_issue(key: &SecretKey, handle: &NodeHandle) -> bool {
    let proved = handle.read().ledger.prove(&Key::Issuer(key.address(), Asset::Usd));
    proved.value.is_some()
}
