//! Hosts of a test's own: a network namespace for each node, with an address on wires that can be
//! cut and one by which the test asks it, whatever is cut.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use super::mount::run;

/// The first address by which nodes are asked, from the block for tests of devices; each process
/// takes 16.
const ASKED_FROM: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
/// Processes whose addresses differ.
const PROCESSES: u32 = 8_192;

/// The wires between nodes. Dropped, they are gone with the hosts.
pub(super) struct Wires {
    /// Begins the name of everything that belongs to them.
    name: String,
    hosts: usize,
    asked: u32,
}

impl Wires {
    /// Lays them; nothing where this account may not, or this machine cannot.
    pub(super) fn lay(hosts: usize) -> Option<Self> {
        let process = std::process::id();
        let asked = u32::from(ASKED_FROM) + 16 * (process % PROCESSES);
        let wires = Self { name: format!("iw{process}"), hosts, asked };
        let laid = wires.lay_all();
        laid.inspect_err(|why| println!("skipped: no hosts of its own: {why}")).ok()?;
        Some(wires)
    }

    fn lay_all(&self) -> Result<(), String> {
        // What starts nodes there.
        run("nsenter", &["--version"])?;
        for switch in ["a", "b", "m"].map(|switch| self.part(switch)) {
            ip(&format!("link add {switch} type bridge"))?;
            ip(&format!("link set {switch} up"))?;
        }
        let (own, asking) = (Ipv4Addr::from(self.asked + 14), self.part("m"));
        ip(&format!("addr add {own}/28 dev {asking}"))?;
        for host in 0..self.hosts {
            let namespace = self.part(&format!("n{host}"));
            ip(&format!("netns add {namespace}"))?;
            ip(&format!("-n {namespace} link set lo up"))?;
            let ends = [("c", "a", Self::address(host), 24), ("q", "m", self.asked_at(host), 28)];
            for (kind, switch, address, bits) in ends {
                let (end, switch) = (self.part(&format!("{kind}{host}")), self.part(switch));
                ip(&format!("link add {end} type veth peer name {kind}0 netns {namespace}"))?;
                ip(&format!("link set {end} master {switch} up"))?;
                ip(&format!("-n {namespace} addr add {address}/{bits} dev {kind}0"))?;
                ip(&format!("-n {namespace} link set {kind}0 up"))?;
            }
        }
        Ok(())
    }

    fn part(&self, part: &str) -> String {
        format!("{}{part}", self.name)
    }

    /// Returns where nodes find a host.
    pub(super) fn address(host: usize) -> Ipv4Addr {
        Ipv4Addr::new(10, 99, 0, u8::try_from(host).unwrap() + 1)
    }

    /// Returns where the test finds a host.
    pub(super) fn asked_at(&self, host: usize) -> Ipv4Addr {
        Ipv4Addr::from(self.asked + u32::try_from(host).unwrap() + 1)
    }

    /// Returns the network namespace of a host.
    pub(super) fn namespace(&self, host: usize) -> PathBuf {
        PathBuf::from("/run/netns").join(self.part(&format!("n{host}")))
    }

    /// Cuts some hosts off from the others, not from each other.
    pub(super) fn cut(&self, hosts: &[usize]) {
        self.plug(hosts, "b");
    }

    /// Joins all hosts again.
    pub(super) fn heal(&self) {
        self.plug(&(0..self.hosts).collect::<Vec<_>>(), "a");
    }

    fn plug(&self, hosts: &[usize], switch: &str) {
        for host in hosts {
            let (end, switch) = (self.part(&format!("c{host}")), self.part(switch));
            ip(&format!("link set {end} master {switch}")).unwrap();
        }
    }
}

impl Drop for Wires {
    fn drop(&mut self) {
        // What was not laid is not there; ends go with the namespaces.
        for host in 0..self.hosts {
            let _ = ip(&format!("netns del {}", self.part(&format!("n{host}"))));
        }
        for switch in ["a", "b", "m"] {
            let _ = ip(&format!("link del {}", self.part(switch)));
        }
    }
}

fn ip(words: &str) -> Result<(), String> {
    run("ip", &words.split(' ').collect::<Vec<_>>())
}
