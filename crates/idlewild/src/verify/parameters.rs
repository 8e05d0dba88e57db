//! The parameters with which a lease was settled.
//!
//! A vote may have changed them since the genesis, and again since the lease was closed; so they
//! are a row of the state after the block that closed it. Its header is known by its time, which
//! the lease's row names, since times of blocks only grow. Changes take effect at the beginning of
//! a block, among what else is due: where one did in the same block, the lease may have been
//! settled just before, and the state after the block's parent shows those parameters.

use api::Bundle;
use ledger::Key;
use types::{LeaseState, Parameters};

use super::{Refuted, shown};

/// Blocks whose parameters may be shown: the one that closed the lease, and the one before.
const BLOCKS_MAX: usize = 2;

/// Returns the parameters with which a lease in this state may have been settled: none if it is
/// not closed or none are shown.
pub(super) fn shown_for(bundle: &Bundle, state: &LeaseState) -> Result<Vec<Parameters>, Refuted> {
    let LeaseState::Closed { at, .. } = *state else { return Ok(Vec::new()) };
    let Some(closing) = bundle.parameters.first() else { return Ok(Vec::new()) };
    if closing.header.header.time != at {
        return Err(Refuted::Contradiction("the parameters are not of the block that closed it"));
    }
    let mut found = Vec::with_capacity(BLOCKS_MAX);
    let mut next = closing.header.header.hash();
    for view in bundle.parameters.iter().take(BLOCKS_MAX) {
        let header = &view.header.header;
        if header.hash() != next {
            return Err(Refuted::Contradiction("the parameters are not of the block before"));
        }
        next = header.parent;
        view.header.verify(&bundle.genesis).map_err(Refuted::Header)?;
        found.push(shown(&header.state, "parameters", &Key::Parameters, &view.row)?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use api::{ProofView, Row};
    use ledger::Ledger;
    use types::{
        BasisPoints, BeaconShare, Certificate, CertifiedHeader, CloseReason, Genesis, Hash, Header,
        LeaseId, List, SecretKey, Text, Time, Validator,
    };

    use super::*;

    fn validator() -> SecretKey {
        SecretKey::from_bytes([1; 32])
    }

    fn genesis(parameters: Parameters) -> Genesis {
        Genesis {
            network: Text::new("test").unwrap(),
            time: Time::from_ms(0),
            rules: ledger::RULES,
            token: true,
            validators: List::new(vec![Validator::without_beacon(validator().public())]).unwrap(),
            issuers: List::default(),
            wallets: List::default(),
            parameters,
        }
    }

    fn with_burn(points: u16) -> Parameters {
        Parameters { burn_share: BasisPoints::new(points).unwrap(), ..Parameters::public() }
    }

    /// Returns the row of parameters in a state that has them, with a header after `parent`.
    fn view(parameters: &Parameters, parent: Hash, time: u64, signer: &SecretKey) -> ProofView {
        let ledger = Ledger::new(&genesis(parameters.clone())).unwrap();
        let header = Header {
            height: time,
            time: Time::from_ms(time),
            parent,
            leader: 0,
            share: BeaconShare::from_bytes([0; 48]),
            body: Hash::ZERO,
            state: ledger.root(),
        };
        let mut network = genesis(Parameters::public());
        // A stranger signs as if it were the validator.
        network.validators = List::new(vec![Validator::without_beacon(signer.public())]).unwrap();
        let keys = std::slice::from_ref(signer);
        let certificate = Certificate::sign(&network, &header.hash(), keys).unwrap();
        let proved = ledger.prove(&Key::Parameters);
        let key = Key::Parameters.to_bytes();
        ProofView {
            header: CertifiedHeader { header, later: List::default(), certificate },
            row: Row::new(key.as_slice(), proved.value.as_deref(), &proved.proof),
        }
    }

    fn bundle(parameters: Vec<ProofView>) -> Bundle {
        let before = view(&with_burn(1), Hash::ZERO, 1, &validator());
        Bundle {
            genesis: genesis(Parameters::public()),
            id: LeaseId::from_bytes([0; 32]),
            header: before.header,
            lease: before.row.clone(),
            order: before.row.clone(),
            receipts: Vec::new(),
            audit: before.row.clone(),
            dispute: before.row,
            transactions: Vec::new(),
            parameters,
        }
    }

    fn check(parameters: Vec<ProofView>) -> Result<Vec<Parameters>, String> {
        let at = Time::from_ms(7);
        let state = LeaseState::Closed { at, reason: CloseReason::ProviderCompleted };
        shown_for(&bundle(parameters), &state).map_err(|refuted| refuted.to_string())
    }

    #[test]
    fn those_of_the_closing_block_and_of_the_one_before_count() {
        let (old, new) = (with_burn(100), with_burn(200));
        let before = view(&old, Hash::ZERO, 6, &validator());
        let closing = view(&new, before.header.header.hash(), 7, &validator());
        assert_eq!(check(vec![closing.clone()]), Ok(vec![new.clone()]));
        assert_eq!(check(vec![closing.clone(), before.clone()]), Ok(vec![new, old]));
        let off = "the parameters are not of the block that closed it";
        assert_eq!(check(vec![before]), Err(off.to_owned()));
        let stranger = view(&with_burn(0), Hash::ZERO, 6, &validator());
        let off = "the parameters are not of the block before";
        assert_eq!(check(vec![closing, stranger]), Err(off.to_owned()));
    }

    #[test]
    fn who_is_no_validator_shows_nothing() {
        let forged = view(&with_burn(0), Hash::ZERO, 7, &SecretKey::from_bytes([9; 32]));
        assert_eq!(check(vec![forged]), Err("the header of the state is not final".to_owned()));
        let mut other = view(&with_burn(0), Hash::ZERO, 7, &validator());
        other.row = view(&with_burn(1), Hash::ZERO, 7, &validator()).row;
        let refused = check(vec![other]).unwrap_err();
        assert!(refused.contains("the row of the parameters is not shown"), "{refused}");
    }

    #[test]
    fn a_lease_that_is_not_closed_needs_none() {
        let state = LeaseState::Pending { start_by: Time::from_ms(7) };
        assert_eq!(shown_for(&bundle(Vec::new()), &state).unwrap(), []);
        assert_eq!(check(Vec::new()), Ok(Vec::new()));
    }
}
