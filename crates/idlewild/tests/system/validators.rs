//! Networks of several validators, each a process of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use api::Client;
use serde_json::Value;

use crate::common::{Ended, Home, command_in, ended, example, until};
use crate::kill::free_ports;

/// How long nodes may take to agree, on a machine that is busy with other tests.
const AGREE_MAX: Duration = Duration::from_secs(60);

/// The nodes of a network, each started from its own directory.
pub(crate) struct Nodes {
    pub(crate) home: Home,
    configs: Vec<PathBuf>,
    running: Vec<Option<Running>>,
}

struct Running {
    child: Child,
    url: String,
    /// Held open, since the node would notice that nobody reads.
    _stdout: BufReader<ChildStdout>,
}

impl Nodes {
    /// Makes a network, and starts all of its nodes.
    pub(crate) fn start(validators: usize, followers: usize) -> Self {
        let count = u16::try_from(validators + followers).unwrap();
        let first = free_ports(2 * count);
        let numbers = [validators, followers].map(|number| number.to_string());
        let ports = [first, first + count].map(|port| port.to_string());
        let sizes = ["--validators", &numbers[0], "--followers", &numbers[1]];
        let places = ["--port", &ports[0], "--chain-port", &ports[1]];
        Self::made([sizes, places].concat())
    }

    fn made(words: Vec<&str>) -> Self {
        let home = Home::default();
        let init = ["network", "init", "--dir", "net", "--json"];
        let made = home.run(init.into_iter().chain(words)).with_code(0).json();
        let nodes = made["nodes"].as_array().unwrap();
        let config = |node: &Value| home.path(node["config"].as_str().unwrap());
        let configs: Vec<PathBuf> = nodes.iter().map(config).collect();
        let running = configs.iter().map(|_| None).collect();
        let mut all = Self { home, configs, running };
        let children: Vec<Child> = (0..all.configs.len()).map(|node| all.spawn(node)).collect();
        for (node, child) in children.into_iter().enumerate() {
            all.running[node] = Some(wait_until_up(child));
        }
        all
    }

    fn spawn(&self, node: usize) -> Child {
        let mut command = command_in(self.home.directory.path());
        command.args(["validator", "--json", "--config"]).arg(&self.configs[node]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Starts a node that does not run.
    pub(crate) fn restart(&mut self, node: usize) {
        self.running[node] = Some(wait_until_up(self.spawn(node)));
    }

    /// Kills a node without warning.
    pub(crate) fn kill(&mut self, node: usize) {
        let mut running = self.running[node].take().unwrap();
        running.child.kill().unwrap();
        running.child.wait().unwrap();
    }

    /// Asks a node to end, and returns its exit code.
    pub(crate) fn end(&mut self, node: usize) -> i32 {
        let mut running = self.running[node].take().unwrap();
        let id = rustix::process::Pid::from_child(&running.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        running.child.wait().unwrap().code().unwrap_or(-1)
    }

    pub(crate) fn url(&self, node: usize) -> &str {
        &self.running[node].as_ref().unwrap().url
    }

    pub(crate) fn client(&self, node: usize) -> Client {
        Client::new(self.url(node)).unwrap()
    }

    /// Runs a command that asks a node.
    pub(crate) fn run(&self, node: usize, words: &[&str]) -> Ended {
        let mut command = self.home.command();
        ended(&command.env("IDLEWILD_NODE", self.url(node)).args(words).output().unwrap())
    }

    /// Waits until all nodes that run have the block of a height, and checks that it is the same.
    pub(crate) async fn agree_on(&self, height: u64) {
        let mut hashes = Vec::new();
        for node in (0..self.running.len()).filter(|node| self.running[*node].is_some()) {
            let client = self.client(node);
            let block = until("a block at every node", AGREE_MAX, || async {
                client.block(height).await.ok()
            });
            hashes.push(block.await.hash);
        }
        assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?} at {height}");
    }

    pub(crate) async fn height(&self, node: usize) -> u64 {
        self.client(node).network().await.unwrap().height
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for running in self.running.iter_mut().flatten() {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }
}

fn wait_until_up(mut child: Child) -> Running {
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let Ok(started) = serde_json::from_str::<Value>(&line) else {
        let output = child.wait_with_output().unwrap();
        panic!("a node did not start: {:?}", ended(&output));
    };
    let url = started["url"].as_str().unwrap_or_else(|| panic!("{started}")).to_owned();
    Running { child, url, _stdout: stdout }
}

/// A provider that sells through a node.
struct Seller {
    child: Child,
}

impl Seller {
    /// Starts one with a home of its own, and waits until its offer stands.
    async fn start(home: &Path, nodes: &Nodes, node: usize) -> Self {
        let url = nodes.url(node);
        let run = |words: &[&str]| ended(&command_in(home).args(words).output().unwrap());
        run(&["join", url]).with_code(0);
        run(&["wallet", "faucet", "--node", nodes.url(0)]).with_code(0);
        nodes.agree_on(nodes.height(0).await).await;
        let mut command = command_in(home);
        command.args(["provide", "--slots", "2", "--no-passphrase", "--quiet"]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let client = nodes.client(0);
        until("an offer", AGREE_MAX, || async {
            let offers = client.offers(classes::job::ID, None, None).await.ok()?;
            (!offers.items.is_empty()).then_some(())
        })
        .await;
        Self { child }
    }
}

impl Drop for Seller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn four_validators_and_a_follower_serve_a_market_and_outlive_any_one() {
    let mut nodes = Nodes::start(4, 1);
    let follower = 4;
    let seller_home = tempfile::tempdir().unwrap();
    let _seller = Seller::start(seller_home.path(), &nodes, follower).await;
    let hello = example("hello.wasm");
    let hello = hello.to_str().unwrap();
    nodes.home.run(["join", nodes.url(1)]).with_code(0);
    nodes.run(0, &["wallet", "faucet"]).with_code(0);
    nodes.agree_on(nodes.height(0).await).await;
    // Content that one node keeps is there for whoever asks another.
    let ran = nodes.run(1, &["run", hello, "--private", "--", "friend"]).with_code(0);
    assert!(ran.stdout.contains("friend"), "{ran:?}");
    let before = nodes.height(1).await;
    nodes.agree_on(before).await;

    // One of four is away: the others go on.
    nodes.kill(2);
    let ran = nodes.run(1, &["run", hello, "--private"]).with_code(0);
    assert!(ran.stdout.contains("hello"), "{ran:?}");
    let during = nodes.height(1).await;
    assert!(during > before, "{during}");
    nodes.restart(2);
    nodes.agree_on(during).await;

    // Whoever has the genesis checks the bill alone.
    let leases = nodes.run(2, &["ps", "--all", "--json"]).with_code(0).json();
    let lease = leases["leases"][0]["lease"].as_str().unwrap().to_owned();
    let bundle = nodes.run(2, &["lease", "bundle", &lease]).with_code(0);
    std::fs::write(nodes.home.path("lease.json"), bundle.stdout).unwrap();
    let verified = nodes.home.run(["verify", "lease.json"]).with_code(0);
    assert!(verified.stdout.contains("by 3 of 4 validators"), "{verified:?}");
    // The same of any row of the state, from a file of its own.
    nodes.run(2, &["proof", "lease", &lease, "--output", "lease.proof"]).with_code(0);
    for node in 0..=follower {
        assert_eq!(nodes.end(node), 0);
    }
    let words = ["verify", "lease.proof", "--genesis", "net/follower-1/genesis.json", "--json"];
    let verified = nodes.home.run(words).with_code(0).json();
    assert_eq!((&verified["name"], &verified["validators"]), (&lease.into(), &4.into()));
    assert!(verified["votes"].as_u64().unwrap() >= 3, "{verified}");
    assert_eq!(verified["record"]["receipts"], 1, "{verified}");
}

#[test]
fn a_node_on_a_host_of_its_own_serves_there() {
    let first = free_ports(2);
    let ports = [first, first + 1].map(|port| port.to_string());
    let places = ["--hosts", "localhost", "--port", &ports[0], "--chain-port", &ports[1]];
    let mut nodes = Nodes::made([&["--validators", "1"], &places[..]].concat());
    assert_eq!(nodes.url(0), format!("http://127.0.0.1:{first}"));
    let at_host = format!("http://localhost:{first}");
    nodes.home.run(["join", &at_host]).with_code(0);
    assert_eq!(nodes.end(0), 0);
}

#[test]
fn a_node_that_cannot_take_part_says_why() {
    let home = Home::default();
    let missing = home.run(["validator"]).with_code(2);
    assert!(missing.stderr.contains("--config FILE"), "{missing:?}");
    let missing = home.run(["validator", "--config", "nowhere.toml"]).with_code(1);
    assert!(missing.stderr.contains("network init"), "{missing:?}");
    home.run(["network", "init", "--validators", "2", "--dir", "net"]).with_code(0);
    let again = home.run(["network", "init", "--validators", "2", "--dir", "net"]).with_code(2);
    assert!(again.stderr.contains("holds a network already"), "{again:?}");
    let hosts = ["network", "init", "--validators", "3", "--dir", "other", "--hosts", "a,b"];
    let hosts = home.run(hosts).with_code(2);
    assert!(hosts.stderr.contains("2 hosts are named for 3 validators"), "{hosts:?}");

    let config = home.path("net/validator-1/config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let run = |text: &str| {
        std::fs::write(&config, text).unwrap();
        home.run(["validator", "--config", "net/validator-1/config.toml"])
    };
    let unknown = run(&text.replace("listen", "lisen")).with_code(2);
    assert!(unknown.stderr.contains("lisen"), "{unknown:?}");
    let alone: String =
        text.split_inclusive("\n\n").filter(|part| !part.contains("peers")).collect();
    let alone = run(&alone).with_code(1);
    assert!(alone.stderr.contains("1 other validators"), "{alone:?}");
    // With the key of another network it is no validator of this one.
    home.run(["network", "init", "--validators", "1", "--dir", "third"]).with_code(0);
    let key = home.path("net/validator-1/node.key");
    std::fs::copy(home.path("third/validator-1/node.key"), key).unwrap();
    let alone: String =
        text.split_inclusive("\n\n").filter(|part| !part.contains("peers")).collect();
    let stranger = run(&alone).with_code(1);
    assert!(stranger.stderr.contains("not among the genesis' validators"), "{stranger:?}");
}

#[test]
fn a_validator_says_when_nobody_of_its_network_answers() {
    let home = Home::default();
    let first = free_ports(4);
    let ports: Vec<String> = (0..4).map(|step| (first + step).to_string()).collect();
    let init = ["network", "init", "--validators"];
    let net = ["2", "--dir", "net", "--port", &ports[0], "--chain-port", &ports[2]];
    home.run(init.into_iter().chain(net)).with_code(0);
    // Where its second validator should be is one of another network.
    let other = ["1", "--dir", "other", "--port", &ports[1], "--chain-port", &ports[3]];
    home.run(init.into_iter().chain(other)).with_code(0);
    let spawn = |config: &str| {
        let mut command = command_in(home.directory.path());
        command.args(["validator", "--config", config]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let stranger = Guard(spawn("other/validator-1/config.toml"));
    let mut validator = Guard(spawn("net/validator-1/config.toml"));
    let lines = BufReader::new(validator.0.stderr.take().unwrap()).lines();
    let told = lines.map_while(Result::ok).find(|line| line.contains("none of 1 peers answers"));
    let told = told.expect("it says so before it ends");
    assert!(told.contains("another network"), "{told}");
    drop((validator, stranger));
}

/// Ends a process with the test.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
