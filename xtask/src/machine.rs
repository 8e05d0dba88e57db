//! The facts of the machine that a measurement was made on.

use serde::Serialize;
use std::fs;
use std::process::Command;
use std::thread;

/// What a figure depends on besides the code.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    /// The processor's name as the kernel gives it.
    pub(crate) cpu: String,
    /// Processors that this process may use.
    pub(crate) cores: usize,
    /// Memory in MiB.
    pub(crate) memory_mib: u64,
    /// The kernel's release.
    pub(crate) kernel: String,
    /// The compiler's version.
    pub(crate) rustc: String,
}

impl Machine {
    /// Reads the facts; what cannot be read is called `unknown`, or 0.
    pub(crate) fn read() -> Self {
        let facts = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let kernel = facts("/proc/sys/kernel/osrelease");
        let rustc = Command::new("rustc").arg("--version").output().map(|output| output.stdout);
        Self {
            cpu: named(fact(&facts("/proc/cpuinfo"), "model name").unwrap_or_default()),
            cores: thread::available_parallelism().map_or(0, usize::from),
            memory_mib: memory_mib(&facts("/proc/meminfo")),
            kernel: named(kernel.trim()),
            rustc: named(String::from_utf8_lossy(&rustc.unwrap_or_default()).trim()),
        }
    }
}

fn named(text: &str) -> String {
    if text.is_empty() { "unknown".into() } else { text.into() }
}

/// Returns the value of the first `name : value` line.
fn fact<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then_some(value.trim())
    })
}

fn memory_mib(meminfo: &str) -> u64 {
    let total = fact(meminfo, "MemTotal").and_then(|value| value.strip_suffix(" kB"));
    total.and_then(|kib| kib.trim().parse::<u64>().ok()).unwrap_or(0) / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_from_the_kernels_tables() {
        let cpuinfo = "processor\t: 0\nmodel name\t: Example 9000\nprocessor\t: 1\n";
        assert_eq!(fact(cpuinfo, "model name"), Some("Example 9000"));
        assert_eq!(memory_mib("MemTotal:       24000512 kB\nMemFree: 1 kB\n"), 23438);
        assert_eq!(memory_mib(""), 0);
    }
}
