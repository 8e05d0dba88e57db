//! What a proof of the state shows, in words.

use light::{Proven, Record};
use serde_json::{Value, json};
use types::{Genesis, ProofKind, Subject};

use super::Check;
use crate::output::{plural, usd, utc};

/// Returns what was checked, in order.
pub(crate) fn checks(proven: &Proven, genesis: &Genesis) -> Vec<Check> {
    let Proven { subject, header, votes, record } = proven;
    let signers = plural(genesis.validators.len(), "validator");
    let is = if record.is_some() { "is" } else { "is not" };
    let block = format!("block {}, made {},", header.height, utc(header.time));
    vec![
        Check {
            name: "header",
            found: format!("{block} is signed by {votes} of {signers} of {}", genesis.hash()),
        },
        Check { name: "row", found: format!("{subject} {is} in the state {}", header.state) },
    ]
}

/// Returns what the row holds, a line for each field; nothing where there is none.
pub(crate) fn describe(proven: &Proven) -> String {
    let mut lines = Vec::new();
    match (&proven.record, proven.subject) {
        (None, _) => {}
        (Some(Record::Wallet(amount)), Subject::Wild(_)) => {
            lines.push(("holds".to_owned(), format!("{amount} WILD")));
        }
        (Some(Record::Wallet(amount)), _) => lines.push(("holds".to_owned(), usd(*amount))),
        (Some(record), _) => flatten("", &json!(record), &mut lines),
    }
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    lines.into_iter().map(|(name, text)| format!("    {name:<width$}  {text}\n")).collect()
}

/// Adds a line for each field, named by the way to it.
fn flatten(path: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    let below = |name: &str| match path {
        "" => name.to_owned(),
        _ => format!("{path}.{name}"),
    };
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, field)| flatten(&below(name), field, lines));
        }
        Value::Array(items) => {
            let numbered = (0..).zip(items);
            numbered
                .for_each(|(at, item): (usize, _)| flatten(&below(&at.to_string()), item, lines));
        }
        Value::Null => lines.push((path.to_owned(), "none".to_owned())),
        Value::String(text) => lines.push((path.to_owned(), text.clone())),
        Value::Bool(_) | Value::Number(_) => lines.push((path.to_owned(), value.to_string())),
    }
}

/// Returns what it means that the state has no such row, where that is not plain.
pub(crate) fn absence(kind: ProofKind) -> &'static str {
    match kind {
        ProofKind::Account | ProofKind::Provider => "no transaction has made one by that block",
        ProofKind::Usd | ProofKind::Wild => "the wallet holds nothing at that block",
        ProofKind::Offer => "it does not stand at that block: not yet, or not any more",
        ProofKind::Order
        | ProofKind::Lease
        | ProofKind::Receipt
        | ProofKind::Audit
        | ProofKind::Dispute => {
            "it is not there at that block: not yet, or not any more, since leases leave the state \
             some epochs after they are paid"
        }
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use types::{
        Account, Address, Amount, Assignment, Audit, BeaconShare, Duration, Finding, Hash, Header,
        LeaseId, List, Parameters, PublicKey, SecretKey, Text, Time, Validator,
    };

    use super::*;

    fn shown(subject: Subject, record: Option<Record>) -> String {
        let key = SecretKey::from_bytes([1; 32]).public();
        let genesis = Genesis {
            network: Text::new("test").unwrap(),
            time: Time::from_ms(0),
            rules: 1,
            token: true,
            validators: List::new(vec![Validator::without_beacon(key)]).unwrap(),
            issuers: List::default(),
            wallets: List::default(),
            parameters: Parameters::local(),
        };
        let header = Header {
            height: 17,
            time: Time::from_ms(1_795_489_533_000),
            parent: Hash::ZERO,
            leader: 0,
            share: BeaconShare::from_bytes([0; 48]),
            body: Hash::ZERO,
            state: Hash::ZERO,
        };
        let proven = Proven { subject, header, votes: 1, record };
        let checks = checks(&proven, &genesis);
        let lines = checks.iter().map(|check| format!("{}: {}\n", check.name, check.found));
        let text = lines.chain([describe(&proven)]).collect::<String>();
        text.replace(&genesis.hash().to_string(), "GENESIS").replace(&"0".repeat(64), "HASH")
    }

    #[test]
    fn every_field_is_a_line() {
        let address = Address::new(PublicKey::from_bytes([7; 32]));
        let lease = LeaseId::from_bytes([0; 32]);
        let account = Account { nonce: 3, open_orders: 1 };
        let held = Record::Wallet(Amount::new(1_543).unwrap());
        let audit = Audit {
            lease,
            work_root: Hash::ZERO,
            fee: Amount::new(5).unwrap(),
            round: 1,
            beacon: Hash::ZERO,
            assignments: List::new(vec![Assignment {
                auditor: address,
                round: 1,
                time: Duration::from_ms(40),
                commitment: None,
                finding: Some(Finding::Unavailable),
            }])
            .unwrap(),
        };
        let all = [
            shown(Subject::Account(address), Some(Record::Account(account))),
            shown(Subject::Usd(address), Some(held.clone())),
            shown(Subject::Wild(address), Some(held)),
            shown(Subject::Audit(lease), Some(Record::Audit(Box::new(audit)))),
            shown(Subject::Receipt(lease, 2), None),
        ];
        let all = all.concat().replace(&address.to_string(), "ADDRESS");
        assert_snapshot!(all, @r"
        header: block 17, made 2026-11-24 03:05:33 UTC, is signed by 1 of 1 validator of GENESIS
        row: account ADDRESS is in the state HASH
            nonce        3
            open_orders  1
        header: block 17, made 2026-11-24 03:05:33 UTC, is signed by 1 of 1 validator of GENESIS
        row: usd ADDRESS is in the state HASH
            holds  $0.001543
        header: block 17, made 2026-11-24 03:05:33 UTC, is signed by 1 of 1 validator of GENESIS
        row: wild ADDRESS is in the state HASH
            holds  0.001543 WILD
        header: block 17, made 2026-11-24 03:05:33 UTC, is signed by 1 of 1 validator of GENESIS
        row: audit HASH is in the state HASH
            lease                        HASH
            work_root                    HASH
            fee                          5
            round                        1
            beacon                       HASH
            assignments.0.auditor        ADDRESS
            assignments.0.round          1
            assignments.0.time           40
            assignments.0.commitment     none
            assignments.0.finding.found  unavailable
        header: block 17, made 2026-11-24 03:05:33 UTC, is signed by 1 of 1 validator of GENESIS
        row: receipt HASH.2 is not in the state HASH
        ");
    }
}
