//! The network that bad input meets: the real binary, and parties that speak to its API alone.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use api::{Client, ContentError, LeaseQuery, LeaseView, SubmitError, Submitter};
use classes::job::{Exit, Spec, Usage};
use node::local::{LocalNetwork, create};
use serde_json::Value;
use tokio::runtime::Runtime;
use types::{
    Action, Address, ContentHash, Decode, Duration as Length, Hash, LeaseId, LeaseState, OfferId,
    OfferTerms, OrderId, Parameters, SecretKey,
};

use crate::common::{Ended, Home, Up, patiently, until};
use crate::counter;
use crate::seller::{self, account, seller};
pub(super) use crate::seller::{Seller, amount, hour, key, order_of, register, spec};

/// How long a provider has to start a lease here.
const START_WINDOW: Length = Length::from_seconds(4);
/// The longest until a lease is settled.
const SETTLED_MAX: Duration = Duration::from_secs(30);
/// Steps of the good job.
const STEPS: u64 = 1_000;
/// The longest answer that is kept of what is said.
const SAID_BYTES_MAX: usize = 700;

/// What was said to bad input: a code that does not change, and words.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) code: String,
    pub(super) text: String,
}

impl Said {
    pub(super) fn new(code: impl ToString, text: impl Into<String>) -> Self {
        Self { code: code.to_string(), text: text.into() }
    }
}

/// Everybody on the network.
pub(super) struct World {
    pub(super) runtime: Runtime,
    pub(super) up: Up,
    pub(super) client: Client,
    pub(super) genesis: Hash,
    /// Orders by the API.
    pub(super) tenant: Submitter,
    pub(super) tenant_key: Arc<SecretKey>,
    /// Serves as a test says.
    pub(super) seller: Seller,
    /// Takes leases and never starts one.
    pub(super) idler: Seller,
    /// The key of the commands.
    main: Address,
    /// Has good jobs run, so that nobody else's money moves.
    witness: Submitter,
    good: ContentHash,
    /// What the good job gives each time.
    good_output: ContentHash,
    seen: BTreeSet<LeaseId>,
}

/// Returns the terms of an offer that only suits jobs with less memory than any other here has.
pub(super) fn offer_terms() -> OfferTerms {
    seller::offer_terms(8, amount(1_543))
}

impl World {
    /// Makes a network in which windows are short, and starts it.
    pub(super) fn new() -> Self {
        let home = Home::default();
        let parameters = Parameters {
            start_window_ms: START_WINDOW,
            release_window_ms: Length::from_ms(1),
            ..Parameters::local()
        };
        let network = LocalNetwork { parameters, ..LocalNetwork::default() };
        create(&home.path("data/node"), &network).unwrap();
        let up = home.up();
        let runtime = Runtime::new().unwrap();
        let client = Client::new(&up.url()).unwrap();
        let genesis = up.started["genesis"].as_str().unwrap().parse().unwrap();
        let main = up.started["tenant"].as_str().unwrap().parse().unwrap();
        let tenant_key = key(1);
        let (tenant, witness, seller, idler) = runtime.block_on(async {
            (
                account(&client, genesis, Arc::clone(&tenant_key)).await,
                account(&client, genesis, key(2)).await,
                seller(&client, genesis, 10, offer_terms()).await,
                seller(&client, genesis, 20, offer_terms()).await,
            )
        });
        let good = runtime.block_on(client.store(&key(2), &genesis, counter::program(STEPS)));
        let mut world = Self {
            runtime,
            up,
            client,
            genesis,
            tenant,
            tenant_key,
            seller,
            idler,
            main,
            witness,
            good: good.unwrap().hash,
            good_output: ContentHash::of(b""),
            seen: BTreeSet::new(),
        };
        world.good_output = world.good_job();
        world
    }

    pub(super) fn wait<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime.block_on(what)
    }

    /// Has the network's own provider run the good job; returns what it wrote.
    fn good_job(&self) -> ContentHash {
        let view = self.job(&self.witness, &spec(self.good, None));
        let usage = usage(&view).unwrap_or_else(|| panic!("no good job: {view:?}"));
        assert_eq!(usage.exit, Exit::Code(0));
        usage.output
    }

    /// Checks that a good job still runs and still gives the same.
    pub(super) fn still_works(&self) {
        assert_eq!(self.good_job(), self.good_output);
    }

    /// Returns the offer of the network's own provider.
    pub(super) fn offer(&self) -> OfferId {
        let provider: Address = self.up.started["provider"].as_str().unwrap().parse().unwrap();
        self.wait(until("the provider's offer", SETTLED_MAX, || async {
            let page = patiently(|| self.client.offers_of(provider, None, None)).await.unwrap();
            let free = |view: &&api::OfferView| view.leased < view.offer.terms.slots;
            page.items.iter().find(free).map(|view| view.offer.id)
        }))
    }

    /// Has the network's own provider run a job to its end.
    pub(super) fn job(&self, tenant: &Submitter, spec: &Spec) -> LeaseView {
        let terms = order_of(spec, self.offer());
        let placed = self.wait(tenant.submit(Action::PlaceOrder(Box::new(terms)))).unwrap();
        self.closed(LeaseId::from(OrderId::from(placed.id)))
    }

    /// Waits until a lease is settled.
    pub(super) fn closed(&self, id: LeaseId) -> LeaseView {
        self.wait(until("the lease is settled", SETTLED_MAX, || async {
            let view = patiently(|| self.client.lease(id)).await.unwrap();
            matches!(view.lease.state, LeaseState::Closed { .. }).then_some(view)
        }))
    }

    /// Uploads content in the tenant's name.
    pub(super) fn store(&self, bytes: Vec<u8>) -> Result<ContentHash, ContentError> {
        let stored = self.wait(self.client.store(&self.tenant_key, &self.genesis, bytes));
        stored.map(|stored| stored.hash)
    }

    /// Has the tenant order a program by the API, whatever it is; says how the job ended.
    pub(super) fn ordered(&self, program: Vec<u8>, input: Option<Vec<u8>>) -> Said {
        let program = self.store(program).unwrap();
        let input = input.map(|bytes| self.store(bytes).unwrap());
        let view = self.job(&self.tenant, &spec(program, input));
        let usage = usage(&view).unwrap_or_else(|| panic!("no receipt: {view:?}"));
        let exit = serde_json::to_value(usage.exit).unwrap();
        let code = exit.as_str().map_or_else(|| exit.to_string(), ToOwned::to_owned);
        Said::new(code, format!("{} fuel", usage.fuel))
    }

    /// Submits an action; says the code of its refusal.
    pub(super) fn submitted(&self, by: &Submitter, action: Action) -> Said {
        match self.wait(by.submit(action)) {
            Ok(_) => Said::new("accepted", ""),
            Err(SubmitError::Refused(refusal)) => Said::new(refusal.code, refusal.meaning),
            Err(SubmitError::Client(error)) => Said::new("no answer", error.to_string()),
        }
    }

    /// Runs a command with `--json`; says its exit code and what stands on standard error.
    pub(super) fn command(&self, words: &[&str]) -> Said {
        let Ended { code, stdout, stderr } = self.up.run([&["--json"][..], words].concat());
        let value: Value = serde_json::from_str(stdout.lines().next().unwrap_or_default()).unwrap();
        let about_all = ["inputs seen by", "CONFIDENTIALITY"];
        let said = stderr.lines().filter(|line| !about_all.iter().any(|all| line.starts_with(all)));
        let mut text = said.collect::<Vec<_>>().join("\n");
        if let Some(job) = value["jobs"].get(0) {
            let written = |stream: &str| job[stream].as_str().unwrap().len();
            text = format!("{text}\nwrote {} + {} bytes", written("stdout"), written("stderr"));
        }
        Said::new(code, text)
    }

    /// Writes a program and runs it by the command, within narrow limits.
    pub(super) fn ran(&self, program: &[u8]) -> Said {
        fs::write(self.up.home.path("bad.wasm"), program).unwrap();
        let limits = ["--fuel", "20M", "--memory", "16MiB", "--output-limit", "1MiB"];
        self.command(&[&["run", "--private", "bad.wasm"][..], &limits].concat())
    }

    /// Runs one of the hostile programs.
    pub(super) fn hostile(&self, name: &str) -> Said {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/programs/hostile");
        let text = fs::read_to_string(folder.join(name).with_extension("wat")).unwrap();
        self.ran(&wat::parse_str(text).unwrap())
    }

    /// Runs a good program with further words.
    pub(super) fn ran_with(&self, words: &[&str]) -> Said {
        fs::write(self.up.home.path("good.wasm"), counter::program(STEPS)).unwrap();
        self.command(&[&["run", "--private", "good.wasm"][..], words].concat())
    }

    /// Returns where the node listens, as requests name it.
    pub(super) fn host(&self) -> &str {
        self.client.address().strip_prefix("http://").unwrap()
    }

    /// Sends a request as it is; says the code in the answer.
    pub(super) fn requested(&self, head: &str, body: &[u8]) -> Said {
        let host = self.host();
        let mut stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(SETTLED_MAX)).unwrap();
        let request = format!("{head}\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        // A node that refuses what it has not read may cut the connection after its answer.
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
        let start = body.find('{').unwrap_or_else(|| panic!("{answer:?}"));
        let value = serde_json::Deserializer::from_str(&body[start..]).into_iter::<Value>().next();
        let error = &value.unwrap().unwrap()["error"];
        let text = |field: &str| error[field].as_str().unwrap().to_owned();
        Said::new(text("code"), text("message"))
    }

    /// Returns what the tenants hold together: of the commands, and of the API.
    pub(super) fn held(&self) -> u64 {
        [self.main, self.tenant.address()]
            .map(|address| self.wait(self.client.account(address)).unwrap().balances.usd.get())
            .iter()
            .sum()
    }

    /// Waits until all of the tenants' leases are settled, and returns what the new ones cost.
    pub(super) fn cost_of_new(&mut self) -> u64 {
        let mut cost = 0;
        for tenant in [self.main, self.tenant.address()] {
            let query =
                LeaseQuery { tenant: Some(tenant), limit: Some(200), ..LeaseQuery::default() };
            let leases = self.wait(self.client.leases(&query)).unwrap();
            assert_eq!(leases.next, None, "more leases than one page holds");
            for view in leases.items {
                if self.seen.insert(view.lease.id) {
                    let settled = self.closed(view.lease.id).lease.settlement;
                    cost += settled.gross.get() + settled.premium.get();
                }
            }
        }
        cost
    }

    /// Returns what was said without what differs from one run to the next, and not too long.
    pub(super) fn plain(&self, text: &str) -> String {
        let mut plain = self.up.plain(text);
        plain.truncate(plain.floor_char_boundary(SAID_BYTES_MAX));
        plain
    }
}

/// Returns what a lease's receipt says of its job.
pub(super) fn usage(view: &LeaseView) -> Option<Usage> {
    let receipt = view.receipts.first()?;
    Some(Usage::from_bytes(receipt.receipt.usage.as_slice()).unwrap())
}
