//! How the agent is set up: what is sold, for how much, with what of this machine.

use std::path::PathBuf;

use classes::job::{MEMORY_PAGES_MAX, OUTPUT_BYTES_MAX, RATE_MIN};
use executors::job::{STREAM_BYTES_MAX, largest_result, streams_bytes};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use types::{
    Amount, Hash, Rate, Text,
    limits::{OFFER_SLOTS_MAX, REGION_BYTES_MAX},
};

use crate::{detect::Machine, disk::BLOCK_BYTES};

/// Pages of 64 KiB in a MiB.
const PAGES_PER_MIB: u32 = 16;
/// Memory of a job where the system does not say how much there is, in MiB.
const JOB_MEMORY_MIB: u32 = 256;
/// The most memory of a job that is offered by itself, in MiB.
const JOB_MEMORY_MIB_MAX: u32 = 2048;

/// The agent's configuration. Every field has a default; unknown ones are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The address of the network's node.
    pub node: String,
    /// The hash of the network's genesis; another network is refused. Any network if absent.
    pub genesis: Option<Hash>,
    /// The directory of journal and content.
    pub data: PathBuf,
    /// Jobs at the same time, at most 4,096; one for each core if absent.
    pub slots: Option<u16>,
    /// The price: micro-USD for a million Mfuel.
    pub price: Rate,
    /// The least that a lease costs, in micro-USD; the network's minimum if that is higher.
    pub minimum: Amount,
    /// Where this machine is, such as `eu`, at most 16 bytes; not claimed if absent.
    pub region: Option<Text<REGION_BYTES_MAX>>,
    /// Memory of one job, in MiB; by the machine's memory if absent, at most 2,048.
    pub job_memory_mib: Option<u32>,
    /// Output of one job, in MiB, at most 1,024; less where the machine's memory is short.
    pub job_output_mib: u32,
    /// Inputs of one job that are taken, in MiB; less where the machine's memory is short, which
    /// holds them while the job runs.
    pub job_input_mib: u32,
    /// Inputs that are kept for later jobs on disk, in MiB.
    pub cache_mib: u32,
    /// Results that are kept on disk, in MiB; no less than what all slots may write.
    pub results_mib: u32,
    /// Content that the worker keeps in memory, in MiB.
    pub worker_cache_mib: u32,
    /// How long an offer stands before it is renewed, in seconds, at least 30.
    pub offer_seconds: u32,
    /// How long results are kept after they were paid, in seconds.
    pub keep_seconds: u32,
    /// How often the ledger is listed, in milliseconds, at least 50. Events are acted on at once.
    pub list_ms: u32,
    /// What to have staked, in micro-WILD, where there is a token. Needs the account's key.
    pub stake: Amount,
    /// Whether to ask the node's faucet for funds when the account has none.
    pub faucet: bool,
    /// Whether the work of others is audited, for what tenants paid for that.
    pub audit: bool,
    /// Whether offers are taken down when the agent stops.
    pub retire_on_stop: bool,
    /// How long jobs may go on when the agent stops, in seconds.
    pub drain_seconds: u32,
    /// Whether results are altered before they are handed in, to show that this is found out; no
    /// file can set it.
    #[serde(skip)]
    pub alters: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node: "http://127.0.0.1:7070".to_owned(),
            genesis: None,
            data: PathBuf::from("provider"),
            slots: None,
            price: Rate::new(5_000).expect("the default is in range"),
            minimum: Amount::new(1_543).expect("the default is in range"),
            region: None,
            job_memory_mib: None,
            job_output_mib: 256,
            job_input_mib: 1024,
            cache_mib: 4096,
            results_mib: 4096,
            worker_cache_mib: 256,
            offer_seconds: 3600,
            keep_seconds: 600,
            list_ms: 2000,
            stake: Amount::ZERO,
            faucet: false,
            audit: true,
            retire_on_stop: true,
            drain_seconds: 30,
            alters: false,
        }
    }
}

/// What is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field} must be {range}")]
pub struct ConfigError {
    /// The field.
    pub field: &'static str,
    /// What it may be.
    pub range: &'static str,
}

/// What one job gets, from configuration and machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    /// Jobs at the same time.
    pub(crate) slots: u16,
    /// Memory of one job, in pages of 64 KiB.
    pub(crate) memory_pages: u32,
    /// Output of one job, in bytes.
    pub(crate) output_bytes: u64,
    /// Inputs of one job, in bytes.
    pub(crate) input_bytes: u64,
}

impl Config {
    /// Checks what the types do not say.
    ///
    /// # Errors
    /// [`ConfigError`] names the first field that is wrong.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let slots = self.slots.map_or(1, u32::from);
        let memory = self.job_memory_mib.unwrap_or(1);
        let checks = [
            ("slots", "1 to 4096", (1..=OFFER_SLOTS_MAX).contains(&slots)),
            ("job_memory_mib", "1 to 4095", (1..4096).contains(&memory)),
            ("job_output_mib", "at most 1024", mib(self.job_output_mib) <= OUTPUT_BYTES_MAX),
            ("job_input_mib", "1 to 1024", (1..=1024).contains(&self.job_input_mib)),
            ("offer_seconds", "at least 30", self.offer_seconds >= 30),
            ("list_ms", "at least 50", self.list_ms >= 50),
            (
                "price",
                "at least 200 micro-USD a million Mfuel, what the power costs",
                self.price >= RATE_MIN,
            ),
        ];
        match checks.into_iter().find(|(_, _, holds)| !holds) {
            Some((field, range, _)) => Err(ConfigError { field, range }),
            None => Ok(()),
        }
    }

    /// Returns the bytes of results that are kept, where each slot gets this share.
    pub(crate) fn results_bytes(&self, share: Share) -> u64 {
        let slots = u64::from(share.slots).saturating_mul(result_bytes(share.output_bytes));
        mib(self.results_mib).max(slots)
    }

    /// Returns what one job gets on `machine`.
    ///
    /// A quarter of the machine's memory is for the system, the agent and what its processes keep
    /// over jobs. The rest is shared by the slots and, where the work of others is audited, by the
    /// one job at a time that is done for that. Each part holds, at the worst, the memory of the
    /// program, its inputs twice (in the agent and in the worker), and what it writes once; that is
    /// held three times on its way to the agent, when the memory of the program is free again. So
    /// memory gets 17 of 24 parts, outputs and streams 3, and the inputs half of what is left,
    /// which is 2. A part of 768 MiB (3 GiB for two slots and audits, 5 GiB for four) has 544 MiB
    /// of memory, and 64 MiB each of outputs and inputs: enough for what `idlewild run` asks for if
    /// it is not told.
    pub(crate) fn share(&self, machine: &Machine) -> Share {
        let cores = u16::try_from(machine.cores.min(OFFER_SLOTS_MAX)).unwrap_or(u16::MAX);
        let slots = self.slots.unwrap_or(cores).max(1);
        let pages = |mib: u32| mib.saturating_mul(PAGES_PER_MIB).min(MEMORY_PAGES_MAX);
        let (output_bytes, input_bytes) = (mib(self.job_output_mib), mib(self.job_input_mib));
        let Some(memory_bytes) = machine.memory_bytes else {
            let memory_pages = pages(self.job_memory_mib.unwrap_or(JOB_MEMORY_MIB));
            return Share { slots, memory_pages, output_bytes, input_bytes };
        };
        let all = memory_bytes / 4 * 3 / u64::from(slots).saturating_add(self.audit.into());
        let memory_mib = self.job_memory_mib.unwrap_or_else(|| {
            let bytes = all / 24 * 17;
            u32::try_from(bytes >> 20).unwrap_or(u32::MAX).clamp(1, JOB_MEMORY_MIB_MAX)
        });
        let output_bytes = output_bytes.min(written_within(all / 24 * 3));
        let written = output_bytes.saturating_add(streams_bytes(output_bytes));
        let most = mib(memory_mib).saturating_add(written).max(written.saturating_mul(3));
        let left = all.saturating_sub(most);
        // Whoever wants more memory for jobs than there is gets it, and small inputs.
        // Inputs that the program moves to its outputs are there once more on their way.
        let moved = all.saturating_sub(written.saturating_mul(3)) / 3;
        let input_bytes = input_bytes.min((left / 2).min(moved).max(all / 24));
        Share { slots, memory_pages: pages(memory_mib), output_bytes, input_bytes }
    }
}

/// Returns the room on disk for the largest result of a job that may write so many bytes: a file
/// for each content, which takes whole blocks.
pub(crate) const fn result_bytes(output_bytes: u64) -> u64 {
    let most = largest_result(output_bytes);
    most.bytes.saturating_add(most.contents.saturating_mul(BLOCK_BYTES))
}

/// Returns the most bytes that a job may write to files so that these and its streams have so
/// many together.
const fn written_within(bytes: u64) -> u64 {
    if bytes / 3 <= STREAM_BYTES_MAX { bytes / 3 } else { bytes - 2 * STREAM_BYTES_MAX }
}

/// Returns as many MiB in bytes.
pub(crate) const fn mib(count: u32) -> u64 {
    (count as u64) << 20
}

#[cfg(test)]
mod tests {
    use executors::wasi::RESULT_ENTRIES_MAX;
    use proptest::prelude::*;

    use super::*;
    use crate::disk::taken;

    fn machine(cores: u32, memory_bytes: Option<u64>) -> Machine {
        Machine {
            cores,
            architecture: "x86_64",
            system: "linux",
            processor: None,
            memory_bytes,
            disk_bytes: None,
        }
    }

    #[test]
    fn the_defaults_are_valid_and_unknown_fields_are_not() {
        assert_eq!(Config::default().validate(), Ok(()));
        let read = |json: &str| serde_json::from_str::<Config>(json);
        assert_eq!(read("{}").unwrap(), Config::default());
        assert_eq!(read(r#"{"slots": 3}"#).unwrap().slots, Some(3));
        assert!(read(r#"{"slot": 3}"#).is_err());
        assert!(read(r#"{"region": "a-name-of-17-byte"}"#).is_err());
    }

    #[test]
    fn limits_hold_at_n_and_n_plus_1() {
        let check = |change: fn(&mut Config), field| {
            let mut config = Config::default();
            change(&mut config);
            assert_eq!(config.validate().map_err(|error| error.field), field);
        };
        check(|config| config.slots = Some(4096), Ok(()));
        check(|config| config.slots = Some(4097), Err("slots"));
        check(|config| config.slots = Some(0), Err("slots"));
        check(|config| config.job_memory_mib = Some(4095), Ok(()));
        check(|config| config.job_memory_mib = Some(4096), Err("job_memory_mib"));
        check(|config| config.job_output_mib = 1024, Ok(()));
        check(|config| config.job_output_mib = 1025, Err("job_output_mib"));
        check(|config| config.price = RATE_MIN, Ok(()));
        check(|config| config.price = Rate::ZERO, Err("price"));
        check(|config| config.list_ms = 49, Err("list_ms"));
    }

    #[test]
    fn all_slots_may_always_write_a_result() {
        // Files of a byte as many as there can be, the rest in one, two streams and the manifest.
        let largest = |output: u64| {
            let files = u64::try_from(RESULT_ENTRIES_MAX).unwrap();
            let stream = output.min(16 << 20);
            let tiny = (1..files).map(|_| 1);
            tiny.chain([output - (files - 1), stream, stream, 32 << 20]).map(taken).sum::<u64>()
        };
        for (output_mib, cores) in [(1, 1), (16, 8), (256, 4), (256, 64), (1024, 3), (1024, 4)] {
            let config = Config { job_output_mib: output_mib, ..Config::default() };
            let bytes = config.results_bytes(config.share(&machine(cores, None)));
            let needed = u64::from(cores) * largest(mib(output_mib));
            assert!(bytes >= needed.max(mib(config.results_mib)), "{output_mib} {cores}");
            // And hardly more.
            assert!(bytes <= mib(config.results_mib).max(needed / 20 * 21 + mib(1)));
        }
    }

    #[test]
    fn the_machine_is_shared_by_its_slots() {
        let share = |config: &Config, machine: &Machine| {
            let share = config.share(machine);
            (share.slots, share.memory_pages)
        };
        let config = Config::default();
        assert_eq!(share(&config, &machine(4, Some(5 << 30))), (4, 544 * 16));
        assert_eq!(share(&config, &machine(1, Some(64 << 30))), (1, 2048 * 16));
        assert_eq!(share(&config, &machine(2, None)), (2, 256 * 16));
        let config = Config { slots: Some(1), job_memory_mib: Some(4095), ..config };
        assert_eq!(share(&config, &machine(9, None)), (1, 4095 * 16));
    }

    #[test]
    fn a_small_machine_takes_ordinary_jobs() {
        let Share { slots, memory_pages, output_bytes, input_bytes } =
            Config::default().share(&machine(2, Some(3 << 30)));
        assert_eq!((slots, memory_pages), (2, 544 * 16));
        assert_eq!((output_bytes, input_bytes), (mib(64), mib(64)));
        let large = Config::default().share(&machine(8, Some(64 << 30)));
        assert_eq!((large.memory_pages, large.output_bytes), (2048 * 16, mib(256)));
        assert_eq!(large.input_bytes, mib(1024));
    }

    #[test]
    fn memory_of_ones_own_choice_leaves_little_for_inputs_and_never_none() {
        let config = Config { job_memory_mib: Some(2000), audit: false, ..Config::default() };
        let share = config.share(&machine(1, Some(2 << 30)));
        assert_eq!((share.memory_pages, share.input_bytes), (2000 * 16, mib(64)));
    }

    proptest! {
        #[test]
        fn what_slots_and_audits_hold_leaves_a_quarter_of_the_memory(
            cores in 1..=256_u32,
            memory_mib in 64..1_u64 << 20,
            job_output_mib in 0..=1024_u32,
            job_input_mib in 1..=8192_u32,
            audit: bool,
        ) {
            let config = Config { job_output_mib, job_input_mib, audit, ..Config::default() };
            let bytes = memory_mib << 20;
            let share = config.share(&machine(cores, Some(bytes)));
            // A page at least, on machines that are too small for their cores.
            prop_assume!(share.memory_pages > PAGES_PER_MIB);
            let memory = u64::from(share.memory_pages) << 16;
            let written = share.output_bytes + 2 * share.output_bytes.min(16 << 20);
            let inputs = share.input_bytes;
            let job = (memory + written + 2 * inputs).max(3 * (written + inputs));
            let jobs = u64::from(share.slots) + u64::from(audit);
            prop_assert!(job * jobs <= bytes / 4 * 3);
            prop_assert!(share.output_bytes <= mib(job_output_mib));
            prop_assert!(share.input_bytes <= mib(job_input_mib) && share.input_bytes > 0);
        }
    }
}
