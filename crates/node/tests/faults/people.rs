//! People who send funds to each other, and remember what they were told.

use std::collections::BTreeMap;

use faults::BEGINNING_MS;
use node::replica::Replica;
use tokio::sync::oneshot::{Receiver, error::TryRecvError};
use types::{
    Action, Amount, Asset, Hash, Reject, SecretKey, SignedTransaction, Time, Transaction,
    TransactionId, Verified,
};

use crate::schedule::Dice;

/// Ticks after which somebody who got no answer asks again.
const PATIENCE_TICKS: u32 = 200;

/// Somebody with funds.
pub(crate) struct Person {
    key: SecretKey,
    nonce: u64,
    open: Option<Open>,
}

/// A transaction of which it is open what became.
struct Open {
    signed: SignedTransaction,
    answer: Option<Receiver<Result<u64, Reject>>>,
    ticks: u32,
    /// Whether it was given to more than one node, so that it may be refused as done.
    again: bool,
}

/// All people, and what was acknowledged.
pub(crate) struct People {
    pub(crate) people: Vec<Person>,
    pub(crate) acknowledged: BTreeMap<TransactionId, u64>,
    /// Transactions that happened, by the refusal to do them again.
    pub(crate) known_done: Vec<TransactionId>,
    /// Transactions that nobody signed.
    pub(crate) forged: Vec<TransactionId>,
}

/// Returns the keys of so many people.
pub(crate) fn keys(count: u8) -> Vec<SecretKey> {
    (0..count).map(|person| SecretKey::from_bytes([100 + person; 32])).collect()
}

impl People {
    pub(crate) fn new(count: u8) -> Self {
        let person = |key| Person { key, nonce: 0, open: None };
        Self {
            people: keys(count).into_iter().map(person).collect(),
            acknowledged: BTreeMap::new(),
            known_done: Vec::new(),
            forged: Vec::new(),
        }
    }

    /// Lets one of them send something, through one of these nodes.
    pub(crate) fn act(&mut self, dice: &mut Dice, genesis: &Hash, nodes: &[Replica]) {
        let Some(node) = dice.pick(nodes) else { return };
        let [person, to] = [(); 2].map(|()| dice.place(self.people.len()));
        let to = self.people[to].key.address();
        let person = &mut self.people[person];
        if person.open.is_some() {
            return;
        }
        let amount = Amount::new(dice.below(50) + 1).unwrap();
        let action = Action::Transfer { to, asset: Asset::Wild, amount };
        let (signer, nonce) = (person.key.address(), person.nonce);
        let expires = Time::from_ms(BEGINNING_MS + 600_000);
        let transaction = Transaction { signer, nonce, expires, action };
        let signed = transaction.sign(genesis, &person.key);
        let answer = submit(node, &signed);
        person.open = Some(Open { signed, answer, ticks: 0, again: false });
    }

    /// Lets a dishonest node believe that somebody signed.
    pub(crate) fn forge(&mut self, dice: &mut Dice, liar: &Replica) {
        let person = &self.people[dice.place(self.people.len())];
        let to = self.people[dice.place(self.people.len())].key.address();
        let amount = Amount::new(1_000).unwrap();
        let action = Action::Transfer { to, asset: Asset::Wild, amount };
        let (signer, nonce) = (person.key.address(), person.nonce);
        let expires = Time::from_ms(BEGINNING_MS + 600_000 - dice.below(1_000));
        let transaction = Transaction { signer, nonce, expires, action };
        // It is signed for another network.
        let signed = transaction.sign(&Hash::ZERO, &person.key);
        self.forged.push(signed.transaction.id());
        let _nobody_waits = submit(liar, &signed);
    }

    /// Lets those who got no answer ask another node.
    pub(crate) fn insist(&mut self, dice: &mut Dice, nodes: &[Replica]) {
        for person in &mut self.people {
            let Some(open) = &mut person.open else { continue };
            let Some(node) = dice.pick(nodes) else { return };
            if open.answer.is_none() || open.ticks > PATIENCE_TICKS {
                open.answer = submit(node, &open.signed);
                (open.ticks, open.again) = (0, true);
            }
        }
    }

    /// Takes the answers that are there.
    pub(crate) fn listen_all(&mut self) {
        for person in 0..self.people.len() {
            self.listen(person);
        }
    }

    /// Takes the answer to a person's transaction, if it is there.
    fn listen(&mut self, person: usize) {
        let person = &mut self.people[person];
        let Some(open) = &mut person.open else { return };
        open.ticks += 1;
        let Some(answer) = &mut open.answer else { return };
        let id = open.signed.transaction.id();
        match answer.try_recv() {
            Ok(Ok(height)) => {
                self.acknowledged.insert(id, height);
                person.nonce += 1;
                person.open = None;
            }
            // It happened, as nobody else has the key.
            Ok(Err(Reject::NonceStale)) if open.again => {
                self.known_done.push(id);
                person.nonce += 1;
                person.open = None;
            }
            // The node that was asked is behind those that were asked before.
            Ok(Err(Reject::NonceAhead)) => open.answer = None,
            Ok(Err(reject)) => panic!("a good transaction was refused: {reject}"),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Closed) => {
                open.answer = None;
                open.again = true;
            }
        }
    }

    /// Says who waits for what.
    pub(crate) fn open(&self) -> String {
        let open = self.people.iter().filter_map(|person| person.open.as_ref());
        let shown = open.map(|open| {
            let asked = open.answer.is_some();
            format!("nonce {} asked {asked} {} ticks", open.signed.transaction.nonce, open.ticks)
        });
        shown.collect::<Vec<_>>().join(", ")
    }

    /// Returns whether nobody waits.
    pub(crate) fn are_done(&self) -> bool {
        self.people.iter().all(|person| person.open.is_none())
    }
}

fn submit(node: &Replica, signed: &SignedTransaction) -> Option<Receiver<Result<u64, Reject>>> {
    node.submit(vec![Verified::trust(signed.clone())]).pop().unwrap()
}
