//! The node that a command speaks to, and the key with which it does.

use std::sync::Arc;

use api::{Client, NetworkStatus, Submitter};
use types::{Address, Genesis, Hash, SecretKey};

use crate::config::{Pin, Settings};
use crate::failure::{Exit, Failure, Outcome};
use crate::output::Output;

/// A node that answers, of the network that the data directory belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    /// Asks the node.
    pub(crate) client: Client,
    /// What it said of itself.
    pub(crate) status: NetworkStatus,
}

/// A key at work on a network.
#[derive(Debug, Clone)]
pub(crate) struct Signer {
    /// Asks the node.
    pub(crate) client: Client,
    /// The network's genesis.
    pub(crate) genesis: Hash,
    /// The key.
    pub(crate) key: Arc<SecretKey>,
    /// Submits transactions that the key signs.
    pub(crate) submitter: Submitter,
}

impl Network {
    /// Reaches the node of `settings` and compares its network with the pinned one.
    pub(crate) async fn reach(settings: &Settings) -> Outcome<Self> {
        let client = Client::new(&settings.node)?;
        let status = client.network().await?;
        if let Some(pin) = &settings.pin {
            compare(pin, &status, &settings.node)?;
        }
        Ok(Self { client, status })
    }

    /// Returns the genesis of the network.
    pub(crate) async fn genesis(&self) -> Outcome<Genesis> {
        let genesis = self.client.genesis().await?;
        if genesis.hash() != self.status.genesis {
            return Err(Failure::new(Exit::Failed, "the node's genesis is not the one it names")
                .hint("do not trust this node"));
        }
        Ok(genesis)
    }

    /// Says which network the node claims to be of, where nothing binds this data directory to
    /// one: what is signed next counts there.
    pub(crate) fn name_unless_joined(&self, settings: &Settings, output: Output) {
        if settings.pin.is_none() {
            output.warn(format_args!(
                "no network is joined: signing for {} of genesis {}, as {} says; `idlewild join \
                 URL` pins one",
                self.status.network, self.status.genesis, settings.node
            ));
        }
    }

    /// Puts a key to work.
    pub(crate) fn signer(&self, key: SecretKey) -> Signer {
        let (key, genesis) = (Arc::new(key), self.status.genesis);
        let submitter = Submitter::new(self.client.clone(), Arc::clone(&key), genesis);
        Signer { client: self.client.clone(), genesis, key, submitter }
    }
}

impl Signer {
    /// Returns the account.
    pub(crate) fn address(&self) -> Address {
        self.key.address()
    }
}

fn compare(pin: &Pin, status: &NetworkStatus, node: &str) -> Outcome<()> {
    if pin.genesis == status.genesis {
        return Ok(());
    }
    let text = format!(
        "{node} serves the network {} of genesis {}, but this data directory belongs to {} of \
         genesis {}",
        status.network, status.genesis, pin.network, pin.genesis
    );
    Err(Failure::new(Exit::Failed, text).hint(
        "name a node of that network with --node URL, use another --data DIR, or move for good \
         with `idlewild join URL --again`",
    ))
}

#[cfg(test)]
mod tests {
    use types::{Duration, Text, Time};

    use super::*;

    fn status(genesis: Hash) -> NetworkStatus {
        NetworkStatus {
            network: Text::new("here").unwrap(),
            genesis,
            height: 0,
            time: Time::from_ms(0),
            root: Hash::ZERO,
            epoch: 0,
            epoch_began: Time::from_ms(0),
            epoch_ms: Duration::from_ms(1_000),
            rules: 1,
            token: true,
            faucet: true,
            version: String::new(),
        }
    }

    #[test]
    fn another_genesis_than_the_pinned_one_is_an_error_with_a_hint() {
        let genesis = Hash::of("test", &[b"a"]);
        let pin = Pin { network: "there".to_owned(), genesis, node: String::new() };
        assert!(compare(&pin, &status(genesis), "http://n").is_ok());
        let failure = compare(&pin, &status(Hash::ZERO), "http://n").unwrap_err();
        assert!(failure.to_string().contains("hint: name a node of that network"), "{failure}");
    }
}
