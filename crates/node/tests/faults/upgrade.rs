//! New rules come into force while people send, and nodes are updated one after another.

use faults::{BEGINNING_MS, simulate, validators};
use ledger::RULES;
use types::{
    Action, Amount, Asset, Change, Duration, Issuer, List, Parameters, SecretKey, Time,
    Transaction, Verified,
};

use crate::network::{Network, genesis, options};

/// The time at which the new rules come into force.
const EFFECTIVE: Time = Time::from_ms(BEGINNING_MS + 12_000);
const EXPIRES: Time = Time::from_ms(BEGINNING_MS + 600_000);

/// Somebody who may mint, and does nothing else.
struct Bank {
    key: SecretKey,
    sent: u64,
}

impl Bank {
    /// Mints a little through a node.
    fn act(&mut self, network: &Network, place: usize) {
        let Some(node) = network.replica(place) else { return };
        let (to, amount) = (SecretKey::from_bytes([9; 32]).address(), Amount::new(1).unwrap());
        let action = Action::Issue { to, asset: Asset::Usd, amount };
        let (signer, nonce) = (self.key.address(), self.sent);
        let transaction = Transaction { signer, nonce, expires: EXPIRES, action };
        let signed = transaction.sign(&network.genesis, &self.key);
        let answers = node.submit(vec![Verified::trust(signed)]);
        self.sent += u64::from(answers[0].is_some());
    }
}

fn vote(network: &Network, secret: [u8; 32]) -> Verified {
    let key = SecretKey::from_bytes(secret);
    let action = Action::Vote { change: Change::Rules(RULES + 1), effective: EFFECTIVE };
    let (signer, nonce) = (key.address(), 0);
    let transaction = Transaction { signer, nonce, expires: EXPIRES, action };
    Verified::trust(transaction.sign(&network.genesis, &key))
}

async fn pass(network: &mut Network, bank: &mut Bank, place: usize, until_ms: u64) {
    let until = std::time::UNIX_EPOCH + std::time::Duration::from_millis(BEGINNING_MS + until_ms);
    let mut ticks = 0_u64;
    while network.world.now() < until {
        network.tick().await;
        ticks += 1;
        if ticks.is_multiple_of(20) {
            bank.act(network, place);
        }
    }
}

#[test]
fn new_rules_come_into_force_under_load_and_stop_only_who_was_not_updated() {
    let key = SecretKey::from_bytes([200; 32]);
    let limit = Amount::new(1_000_000).unwrap();
    let mut genesis = genesis(4, &[]);
    // Without a token, validators vote.
    genesis.token = false;
    genesis.issuers =
        List::new(vec![Issuer { address: key.address(), asset: Asset::Usd, limit }]).unwrap();
    let mut parameters = Parameters::local();
    parameters.burn_share = types::BasisPoints::ZERO;
    parameters.stake_minimum = Amount::ZERO;
    parameters.change_delay_ms = Duration::from_ms(1);
    genesis.parameters = parameters;
    let mut bank = Bank { key, sent: 0 };
    let (options, memories, replicas) = options(&genesis, 0, &[]);
    simulate(11, options, async |world| {
        let mut network = Network::new(world, &genesis, memories, replicas, &[]);
        for place in 0..4 {
            network.start(place).await;
        }
        pass(&mut network, &mut bank, 0, 2_000).await;
        for (secret, _) in validators(4) {
            let voted = network.replica(1).unwrap().submit(vec![vote(&network, *secret)]).pop();
            let mut voted = voted.unwrap().expect("there is room");
            let answer = loop {
                network.tick().await;
                if let Ok(answer) = voted.try_recv() {
                    break answer;
                }
            };
            assert!(answer.is_ok(), "{answer:?}");
        }
        // One after another, as operators do it; the last does not.
        for (place, until_ms) in [(1, 4_500), (2, 7_000), (3, 9_500)] {
            network.update(place, RULES + 1);
            network.start(place).await;
            pass(&mut network, &mut bank, 0, until_ms).await;
        }
        assert_eq!(network.replica(0).unwrap().committed().ledger.network().rules, RULES);
        pass(&mut network, &mut bank, 1, 18_000).await;
        let why = network.take_failure(0).expect("who does not know the rules stops");
        assert!(why.contains("rules are version") && why.contains("update it"), "{why}");
        let of = |network: &Network, place: usize| network.replica(place).unwrap().committed();
        assert_eq!(of(&network, 1).ledger.network().rules, RULES + 1);
        let before = of(&network, 0).header.height;
        assert!(of(&network, 1).header.height > before + 5, "the others go on");
        // Once it is updated it goes on, too.
        network.update(0, RULES + 1);
        network.start(0).await;
        pass(&mut network, &mut bank, 2, 30_000).await;
        network.agreed();
        assert_eq!(of(&network, 0).ledger.network().rules, RULES + 1);
        let minted = of(&network, 0).ledger.account(&bank.key.address()).unwrap().nonce;
        assert!(minted >= bank.sent - 2, "{minted} of {}", bank.sent);
        assert!(bank.sent > 100);
    });
}
