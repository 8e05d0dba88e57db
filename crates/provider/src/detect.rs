//! What this machine is, as far as the system says.
//!
//! Everything here is declared: nobody else has measured it. What the system does not say is not
//! claimed. Limits of the control group count, since they are what work on this machine gets.

use std::{fs, path::Path};

use types::{Claim, ClaimKey, Claims, Provenance, Text, Time, Value, claim::CLAIM_TEXT_BYTES_MAX};

use crate::disk;

/// Where the limits of control groups stand.
const CGROUPS: &str = "/sys/fs/cgroup";

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Threads that run at the same time: the processor's, cut to affinity and quota.
    pub cores: u32,
    /// The architecture's name, such as `x86_64`.
    pub architecture: &'static str,
    /// The operating system's name, such as `linux`.
    pub system: &'static str,
    /// The processor's model.
    pub processor: Option<String>,
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
    /// Bytes free on the disk of the data directory.
    pub disk_bytes: Option<u64>,
}

impl Machine {
    /// Asks the system; `data` is a directory that exists.
    #[must_use]
    pub fn detect(data: &Path) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let processor = fs::read_to_string("/proc/cpuinfo").ok();
        Self {
            cores: u32::try_from(cores).unwrap_or(u32::MAX),
            architecture: std::env::consts::ARCH,
            system: std::env::consts::OS,
            processor: processor.as_deref().and_then(processor_model).map(str::to_owned),
            memory_bytes: memory(),
            disk_bytes: disk::free_bytes(data),
        }
    }

    /// Returns the claims of an offer from this machine, observed at `now`.
    #[must_use]
    pub fn claims(&self, region: Option<&str>, now: Time) -> Claims {
        let text = |text: &str| Value::Text(cut(text));
        let values = [
            ("cpu.arch", Some(text(self.architecture))),
            ("cpu.cores", Some(Value::Integer(i64::from(self.cores)))),
            ("cpu.model", self.processor.as_deref().map(text)),
            ("disk", self.disk_bytes.map(Value::Bytes)),
            ("memory", self.memory_bytes.map(Value::Bytes)),
            ("os", Some(text(self.system))),
            ("region", region.map(text)),
        ];
        let mut claims = Claims::new();
        for (key, value) in values {
            let Some(value) = value else { continue };
            let key = ClaimKey::new(key).expect("the keys above are claim keys");
            let claim = Claim { value, provenance: Provenance::Declared, at: now };
            claims.insert(key, claim).expect("the claims above are few");
        }
        claims
    }
}

/// Cuts text to what a claim holds, between two characters.
fn cut(text: &str) -> Text<CLAIM_TEXT_BYTES_MAX> {
    let end = text.floor_char_boundary(CLAIM_TEXT_BYTES_MAX);
    Text::new(&text[..end]).expect("cut to the bound")
}

/// Returns the memory that work on this machine may use: the system's, cut to the group's.
fn memory() -> Option<u64> {
    let system = fs::read_to_string("/proc/meminfo").ok().as_deref().and_then(memory_total);
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = group_limit_files(&groups).into_iter().filter_map(|path| {
        let limit = fs::read_to_string(path).ok()?;
        limit.trim().parse().ok()
    });
    system.into_iter().chain(limits).min()
}

/// Reads the total from the text of `/proc/meminfo`.
fn memory_total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Reads the first model from the text of `/proc/cpuinfo`.
fn processor_model(text: &str) -> Option<&str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        (name.trim() == "model name" && !value.is_empty()).then_some(value)
    })
}

/// Returns the files that may limit the memory of a process with this `/proc/self/cgroup`: those
/// of its group and of all groups above.
fn group_limit_files(text: &str) -> Vec<String> {
    let mut files = Vec::new();
    for line in text.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else { continue };
        let (root, file) = if controllers.is_empty() {
            (CGROUPS.to_owned(), "memory.max")
        } else if controllers.split(',').any(|controller| controller == "memory") {
            (format!("{CGROUPS}/memory"), "memory.limit_in_bytes")
        } else {
            continue;
        };
        let mut group = group.trim_end_matches('/');
        loop {
            files.push(format!("{root}{group}/{file}"));
            match group.rsplit_once('/') {
                Some((above, _)) => group = above,
                None => break,
            }
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_under_test_is_one() {
        let machine = Machine::detect(Path::new("/"));
        assert!(machine.cores >= 1);
        #[cfg(target_os = "linux")]
        assert!(machine.memory_bytes.is_some_and(|bytes| bytes > 1 << 20), "{machine:?}");
        let claims = machine.claims(Some("eu"), Time::from_ms(7));
        assert!(claims.iter().all(|(_, claim)| claim.provenance == Provenance::Declared));
        assert_eq!(claims.get("region").unwrap().value, Value::text("eu").unwrap());
    }

    #[test]
    fn what_is_not_known_is_not_claimed() {
        let machine = Machine {
            cores: 2,
            architecture: "x86_64",
            system: "linux",
            processor: None,
            memory_bytes: None,
            disk_bytes: None,
        };
        let claims = machine.claims(None, Time::from_ms(7));
        let keys: Vec<&str> = claims.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["cpu.arch", "cpu.cores", "os"]);
    }

    #[test]
    fn the_systems_texts_are_read() {
        assert_eq!(memory_total("MemFree: 1 kB\nMemTotal:  2048 kB\n"), Some(2 << 20));
        assert_eq!(memory_total("MemTotal: lots\n"), None);
        let cpu = "processor\t: 0\nmodel name\t: A CPU: fast\nmodel name\t: B\n";
        assert_eq!(processor_model(cpu), Some("A CPU: fast"));
        assert_eq!(processor_model("model name\t:\n"), None);
        assert_eq!(cut(&"é".repeat(40)).as_str(), "é".repeat(32));
    }

    #[test]
    fn every_group_above_may_limit_memory() {
        let check = |text: &str, expected: &[&str]| assert_eq!(group_limit_files(text), expected);
        check("0::/\n", &["/sys/fs/cgroup/memory.max"]);
        check(
            "0::/a/b\n",
            &[
                "/sys/fs/cgroup/a/b/memory.max",
                "/sys/fs/cgroup/a/memory.max",
                "/sys/fs/cgroup/memory.max",
            ],
        );
        check(
            "5:memory:/x\n4:cpu:/x\n",
            &[
                "/sys/fs/cgroup/memory/x/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            ],
        );
        check("nonsense", &[]);
    }
}
