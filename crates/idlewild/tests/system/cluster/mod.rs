//! Networks of four validators, each a process of its own, and what may befall them: crashes,
//! disks without room, cut cables, hours of work.
//!
//! `IDLEWILD_SEED` chooses other moments, `IDLEWILD_LONG=1` the long sizes.

#![expect(clippy::print_stdout, reason = "what a run measured is part of its result")]

mod crashes;
mod disk;
mod load;
mod mount;
mod partition;
mod soak;
mod wires;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use api::Client;
use futures_util::future::join_all;
use serde_json::Value;

use crate::common::{Home, patiently, until};
use crate::kill::processes::Service;
use crate::kill::{free_port, free_ports};
use load::{Load, Record};

/// How many validators there are: one of them may fail.
const VALIDATORS: usize = 4;
/// The same, as counted ports.
const PORTS: u16 = 4;
/// The seed without `IDLEWILD_SEED`.
const SEED: u64 = 0x1d1e_0004;
/// How long nodes may take to stand at the same block, on a machine that is busy.
const AGREE_MAX: Duration = Duration::from_secs(60);
/// The longest from a start to the first answer.
const RESTART_MAX: Duration = Duration::from_secs(5);
/// How long what was agreed on before may take to reach who is left, or cut off.
const SETTLE: Duration = Duration::from_secs(1);
/// What is shown of each log when a test fails, in bytes.
const LOG_BYTES: usize = 6_000;

/// A validator.
struct Member {
    service: Service,
    client: Client,
    /// Its data directory.
    data: PathBuf,
}

impl Member {
    /// Starts it and returns how long it took to answer, without the time that it had to wait for
    /// a processor while other processes had them all.
    async fn start(&mut self) -> Duration {
        let began = Instant::now();
        self.service.start();
        // A connection of before would only show that it is broken.
        let client = Client::new(self.client.address()).unwrap();
        patiently(|| client.network()).await.unwrap();
        let wall = began.elapsed();
        let took = wall.saturating_sub(self.service.queued());
        println!("  answers after {took:?} ({wall:?} on the clock)");
        assert!(took < RESTART_MAX, "{took:?} to start\n{}", self.service.log());
        took
    }

    async fn height(&self) -> u64 {
        patiently(|| self.client.network()).await.unwrap().height
    }
}

/// The validators of a network.
struct Cluster {
    /// Where their settings are.
    home: Home,
    members: Vec<Member>,
}

impl Cluster {
    /// Makes a network on this machine.
    fn make() -> Self {
        let first = free_ports(2 * PORTS);
        let ports = [first, first + PORTS].map(|port| port.to_string());
        let words = ["--port", &ports[0], "--chain-port", &ports[1]];
        Self::made(&words, |_, node, service| (service, node["url"].as_str().unwrap().to_owned()))
    }

    /// Makes a network of one validator with its own provider, as `idlewild up` starts it.
    fn alone() -> Self {
        let port = free_port().to_string();
        let client = Client::new(&format!("http://127.0.0.1:{port}")).unwrap();
        let service = Service::new(&["up", "--json", "--slots", "1", "--port", &port]);
        let data = service.home.path("data");
        Self { home: Home::default(), members: vec![Member { service, client, data }] }
    }

    /// Makes a network with further words; `place` says where each node is and by which address it
    /// is asked.
    fn made(words: &[&str], place: impl Fn(usize, &Value, Service) -> (Service, String)) -> Self {
        let home = Home::default();
        let init = ["network", "init", "--dir", "net", "--json", "--validators", "4"];
        let made = home.run(init.iter().chain(words)).with_code(0).json();
        let nodes = made["nodes"].as_array().unwrap();
        assert_eq!(nodes.len(), VALIDATORS);
        let member = |(number, node): (usize, &Value)| {
            let config = home.path(node["config"].as_str().unwrap());
            let data = config.with_file_name("data");
            let path = config.to_str().unwrap();
            let service = Service::new(&["validator", "--json", "--config", path]);
            let (service, url) = place(number, node, service);
            Member { service, client: Client::new(&url).unwrap(), data }
        };
        let members = nodes.iter().enumerate().map(member).collect();
        Self { home, members }
    }

    /// Starts all of them and waits until each answers.
    async fn start(&mut self) {
        for member in &mut self.members {
            member.service.start();
        }
        for member in &self.members {
            patiently(|| member.client.network()).await.unwrap();
        }
    }

    fn clients(&self) -> Vec<Client> {
        self.members.iter().map(|member| member.client.clone()).collect()
    }

    /// Waits until some nodes have final blocks above a height, and returns how long it took.
    async fn pass(&self, members: &[usize], height: u64, limit: Duration) -> Duration {
        let began = Instant::now();
        until("new final blocks", limit, || async {
            for member in members {
                let status = self.members[*member].client.network().await.ok()?;
                (status.height > height).then_some(())?;
            }
            Some(())
        })
        .await;
        began.elapsed()
    }

    /// Lets time pass in which the nodes that run must not end; returns the heights of some nodes
    /// after it.
    async fn wait(&mut self, members: &[usize], time: Duration) -> Vec<u64> {
        let mut running = self.members.iter_mut().filter(|member| member.service.is_up());
        running.next().unwrap().service.keep_running(time).await;
        let mut heights = Vec::new();
        for member in members {
            heights.push(self.members[*member].height().await);
        }
        heights
    }

    /// Checks that some nodes make nothing final for as long, and returns the height at which that
    /// is. Who was behind may still learn of what was final before.
    async fn stands_still(&mut self, members: &[usize], time: Duration, load: &Load) -> u64 {
        let before = self.wait(members, SETTLE).await;
        let after = self.wait(members, time).await;
        let height = *before.iter().max().unwrap();
        let is_still = after.iter().all(|after| *after <= height) && load.newest() <= height;
        assert!(is_still, "{members:?} agreed: {before:?} {after:?}, {}", load.newest());
        height
    }

    /// Waits until all nodes stand at the same block, and checks that they have the same state and
    /// everything that was acknowledged.
    async fn agree(&self, record: &Record) -> u64 {
        let height = until("the same height at all nodes", AGREE_MAX, || async {
            let mut statuses = Vec::new();
            for member in &self.members {
                statuses.push(member.client.network().await.ok()?);
            }
            let first = &statuses[0];
            if statuses.iter().any(|status| status.height != first.height) {
                return None;
            }
            let roots: Vec<_> = statuses.iter().map(|status| status.root).collect();
            assert!(roots.iter().all(|root| *root == first.root), "{} {roots:?}", first.height);
            Some(first.height)
        })
        .await;
        for (number, member) in self.members.iter().enumerate() {
            record.holds(number, &member.client, height).await;
        }
        height
    }

    /// Ends all of them in order.
    async fn end(mut self) {
        join_all(self.members.iter_mut().map(|member| member.service.end())).await;
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        println!("settings of the nodes: {}", self.home.directory.path().display());
        for (number, member) in self.members.iter().enumerate() {
            let log = member.service.log();
            let from = log.ceil_char_boundary(log.len().saturating_sub(LOG_BYTES));
            println!("--- node {number} said last\n{}", &log[from..]);
        }
    }
}
