//! Class `job`: batch WebAssembly, deterministic and metered in millions of fuel.
//!
//! A job is a WASI preview-1 program with arguments, environment, standard input and a directory
//! of inputs. Fuel and the limits are part of the specification, and the metering they refer to
//! has a version, so that a job gives the same result and the same bill on every machine that
//! serves that version. How fuel is charged is defined by the executor of that version.

use serde::{Deserialize, Serialize};

use schemars::JsonSchema;
use types::{
    BasisPoints, Claims, ClassId, ContentHash, Decode, DecodeError, Duration, Encode, Hash, List,
    Rate, Reader, Text, Units, codec,
};

use crate::{Assurance, Class, Malformed, Mismatch, Sample, Steps};

/// The class's number.
pub const ID: ClassId = ClassId(1);
/// The least probability of an audit: one in twenty.
const AUDIT_PROBABILITY_MIN: BasisPoints = match BasisPoints::new(500) {
    Ok(share) => share,
    Err(_) => BasisPoints::ZERO,
};
/// The least rate of an offer: a million Mfuel are about ten minutes of a core, which take a
/// watt-hour.
pub const RATE_MIN: Rate = match Rate::new(200) {
    Ok(rate) => rate,
    Err(_) => Rate::ZERO,
};
/// Mfuel that the machine of an auditor does in a second, at least.
pub const AUDITOR_SPEED_MIN: u32 = 50;
/// Mfuel that the interpreter of a validator does in a second, at least.
const INTERPRETER_SPEED_MIN: u64 = 20;
/// Fuel in one unit.
pub const FUEL_PER_UNIT: u64 = 1_000_000;
/// Arguments of one job.
pub const ARGUMENTS_MAX: usize = 64;
/// Environment variables of one job.
pub const ENVIRONMENT_MAX: usize = 64;
/// Bytes of one argument, or of one variable with its value.
pub const ARGUMENT_BYTES_MAX: usize = 1024;
/// Pages of 64 KiB that a job may use as memory: 4 GiB less one page.
pub const MEMORY_PAGES_MAX: u32 = 65_535;
/// Bytes of the files that a job may write.
pub const OUTPUT_BYTES_MAX: u64 = 1 << 30;
/// Bytes of the inputs of one job that others check: they have to bring them here.
pub const CHECKED_INPUT_BYTES_MAX: u64 = 1 << 30;
/// Fuel that one job may use.
pub const FUEL_MAX: u64 = 1 << 50;

/// What a tenant wants run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Spec {
    /// The version of the metering that counts its fuel.
    pub metering: u16,
    /// The WebAssembly module.
    pub program: ContentHash,
    /// The manifest of the directory that the program sees as `/in`.
    pub input: Option<ContentHash>,
    /// What the program reads as standard input.
    pub stdin: Option<ContentHash>,
    /// The arguments after the program's name.
    pub arguments: List<Text<ARGUMENT_BYTES_MAX>, ARGUMENTS_MAX>,
    /// Variables as `NAME=value`, sorted by name.
    pub environment: List<Text<ARGUMENT_BYTES_MAX>, ENVIRONMENT_MAX>,
    /// Where the program's randomness comes from; chosen by the tenant.
    pub seed: Hash,
    /// The limits.
    pub limits: Limits,
}
codec!(struct Spec { metering, program, input, stdin, arguments, environment, seed, limits });

/// What a job may use. Reaching fuel, memory or output is part of the result; reaching wall time
/// gives no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    /// Fuel.
    pub fuel: u64,
    /// Memory, in pages of 64 KiB.
    pub memory_pages: u32,
    /// Bytes of the files that it writes; standard output and error have as many each, but no
    /// more than 16 MiB.
    pub output_bytes: u64,
}
codec!(struct Limits { fuel, memory_pages, output_bytes });

/// What a provider offers for jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Terms {
    /// The version of the metering that it runs.
    pub metering: u16,
    /// The speed of one slot that it claims, in millions of fuel a second.
    pub mfuel_per_second: u32,
    /// The most memory of one job, in pages of 64 KiB.
    pub memory_pages: u32,
    /// The most output of one job, in bytes.
    pub output_bytes: u64,
}
codec!(struct Terms { metering, mfuel_per_second, memory_pages, output_bytes });

/// What a job used, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Fuel used.
    pub fuel: u64,
    /// How it ended.
    pub exit: Exit,
    /// The manifest of what it wrote: `out/…`, `stdout` and `stderr`.
    pub output: ContentHash,
}
codec!(struct Usage { fuel, exit, output });

impl Usage {
    /// Returns what stands for the result root of work that uses more fuel than its receipt says:
    /// that alone shows that the receipt is wrong, and nobody does the rest of it.
    #[must_use]
    pub fn over_bill_root() -> Hash {
        Hash::of("idlewild job over its bill", &[])
    }

    /// Returns the root over everything that the job results in.
    #[must_use]
    pub fn result_root(&self) -> Hash {
        Hash::of("idlewild job result", &[&self.to_bytes()])
    }
}

/// How a job ended. All of these are results: the same on every machine, and paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// The program ended with this code.
    Code(u32),
    /// It used up its fuel.
    OutOfFuel,
    /// It called too deeply.
    StackExhausted,
    /// It executed `unreachable`, as a panic or abort does.
    Unreachable,
    /// It went out of bounds of its memory or a table.
    OutOfBounds,
    /// It divided by zero.
    DivisionByZero,
    /// An integer division or conversion overflowed.
    IntegerOverflow,
    /// It called through a table what is not there or has another type.
    BadCall,
    /// It could not begin: its program is not WebAssembly, or over a limit, or imports what there
    /// is not; or its inputs cannot be laid out.
    Unrunnable,
}
codec!(enum Exit {
    0 = Code(code),
    1 = OutOfFuel,
    2 = StackExhausted,
    3 = Unreachable,
    4 = OutOfBounds,
    5 = DivisionByZero,
    6 = IntegerOverflow,
    7 = BadCall,
    8 = Unrunnable,
});

impl Spec {
    /// Checks what the types do not say.
    ///
    /// # Errors
    /// [`Malformed`] that names the first thing wrong.
    pub fn validate(&self) -> Result<(), Malformed> {
        let Limits { fuel, memory_pages, output_bytes } = self.limits;
        if fuel == 0 || fuel > FUEL_MAX {
            return Err(Malformed("fuel must be 1 to 2^50"));
        }
        if memory_pages == 0 || memory_pages > MEMORY_PAGES_MAX {
            return Err(Malformed("memory must be 1 to 65,535 pages"));
        }
        if output_bytes > OUTPUT_BYTES_MAX {
            return Err(Malformed("output must be at most 1 GiB"));
        }
        if self.arguments.iter().any(|text| text.as_str().contains('\0')) {
            return Err(Malformed("an argument contains a zero byte"));
        }
        let mut last = None;
        for variable in self.environment.iter() {
            let (name, value) = variable
                .as_str()
                .split_once('=')
                .ok_or(Malformed("a variable is written NAME=value"))?;
            if name.is_empty() || name.contains('\0') || value.contains('\0') {
                return Err(Malformed("a variable has no name, or contains a zero byte"));
            }
            if last.is_some_and(|last| last >= name) {
                return Err(Malformed("variables must be sorted by name, each once"));
            }
            last = Some(name);
        }
        Ok(())
    }
}

/// Returns the units of `fuel`, each begun one counted.
#[must_use]
pub fn units_of_fuel(fuel: u64) -> Units {
    Units::new(fuel.div_ceil(FUEL_PER_UNIT)).expect("2^64 over a million is in range")
}

/// The class.
#[derive(Debug)]
pub struct Job;

fn decode<T: Decode>(bytes: &[u8], what: &'static str) -> Result<T, Malformed> {
    T::from_bytes(bytes).map_err(|_: DecodeError| Malformed(what))
}

fn spec(bytes: &[u8]) -> Result<Spec, Malformed> {
    let spec: Spec = decode(bytes, "not the specification of a job")?;
    spec.validate()?;
    Ok(spec)
}

fn terms(bytes: &[u8]) -> Result<Terms, Malformed> {
    decode(bytes, "not the terms of an offer for jobs")
}

/// Reads just the limits, which stand at the end, for the ledger's frequent questions.
fn limits(spec: &[u8]) -> Result<Limits, Malformed> {
    const LIMITS_BYTES: usize = 20;
    let (_, bytes) = spec
        .split_last_chunk::<LIMITS_BYTES>()
        .ok_or(Malformed("not the specification of a job"))?;
    decode(bytes, "not the specification of a job")
}

impl Class for Job {
    fn id(&self) -> ClassId {
        ID
    }

    fn name(&self) -> &'static str {
        "job"
    }

    fn unit(&self) -> &'static str {
        "Mfuel"
    }

    fn assurance(&self) -> Assurance {
        Assurance::Exact
    }

    fn audit_probability_min(&self) -> BasisPoints {
        AUDIT_PROBABILITY_MIN
    }

    fn rate_min(&self) -> Rate {
        RATE_MIN
    }

    fn receipts_max(&self) -> u32 {
        1
    }

    fn capacity(&self, bytes: &[u8], slots: u32, epoch: Duration) -> Result<Units, Malformed> {
        let speed = u128::from(terms(bytes)?.mfuel_per_second);
        let slot_ms = u128::from(slots).saturating_mul(u128::from(epoch.as_ms()));
        let units = speed.saturating_mul(slot_ms) / 1_000;
        Ok(u64::try_from(units).ok().and_then(|units| Units::new(units).ok()).unwrap_or(Units::MAX))
    }

    fn units_max(&self, bytes: &[u8]) -> Result<Units, Malformed> {
        Ok(units_of_fuel(spec(bytes)?.limits.fuel))
    }

    fn matches(&self, spec: &[u8], bytes: &[u8], _: &Claims) -> Result<(), Mismatch> {
        let terms = terms(bytes).map_err(|Malformed(what)| Mismatch(what))?;
        let limits = limits(spec).map_err(|Malformed(what)| Mismatch(what))?;
        let metering = u16::decode(&mut Reader::new(spec));
        if metering != Ok(terms.metering) {
            return Err(Mismatch("it runs another version of the metering"));
        }
        if limits.memory_pages > terms.memory_pages {
            return Err(Mismatch("it has less memory for a job"));
        }
        if limits.output_bytes > terms.output_bytes {
            return Err(Mismatch("it keeps less output of a job"));
        }
        Ok(())
    }

    fn units(&self, spec: &[u8], usage: &[u8]) -> Result<Units, Malformed> {
        let usage: Usage = decode(usage, "not the usage of a job")?;
        if usage.fuel > limits(spec)?.fuel {
            return Err(Malformed("more fuel than the specification allows"));
        }
        Ok(units_of_fuel(usage.fuel))
    }

    fn time(&self, bytes: &[u8], units: Units) -> Result<Duration, Malformed> {
        let speed = u128::from(terms(bytes)?.mfuel_per_second);
        let ms = u128::from(units.get()).saturating_mul(1_000);
        let ms = ms.checked_add(speed).and_then(|sum| sum.checked_sub(1)?.checked_div(speed));
        // Who does nothing in a second never comes to the end.
        let ms = ms.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(u64::MAX);
        Ok(Duration::from_ms(ms))
    }

    fn judging_time(&self, units: Units) -> Duration {
        // What the interpreter finds wrong is done on the compiler too.
        let speeds = [INTERPRETER_SPEED_MIN, u64::from(AUDITOR_SPEED_MIN)];
        Duration::from_seconds(speeds.map(|speed| units.get().div_ceil(speed)).iter().sum())
    }

    fn audits(&self, bytes: &[u8]) -> Result<(), Malformed> {
        match terms(bytes)?.mfuel_per_second {
            ..AUDITOR_SPEED_MIN => Err(Malformed("it is too slow to audit")),
            _ => Ok(()),
        }
    }

    fn steps(&self) -> Option<&'static dyn Steps> {
        None
    }

    fn inputs(&self, bytes: &[u8]) -> Result<Vec<ContentHash>, Malformed> {
        let Spec { program, input, stdin, .. } = spec(bytes)?;
        Ok([Some(program), input, stdin].into_iter().flatten().collect())
    }

    fn results(&self, usage: &[u8]) -> Result<Vec<ContentHash>, Malformed> {
        let usage: Usage = decode(usage, "not the usage of a job")?;
        Ok(vec![usage.output])
    }

    fn result_root(&self, usage: &[u8]) -> Result<Hash, Malformed> {
        decode::<Usage>(usage, "not the usage of a job").map(|usage| usage.result_root())
    }

    fn sample(&self, seed: u64) -> Sample {
        let content = |salt: u8| ContentHash::of(&[&seed.to_le_bytes()[..], &[salt]].concat());
        let text = |text: &str| Text::new(text).expect("short text");
        let fuel = (seed % FUEL_MAX).max(1);
        let [low, high, ..] = seed.to_le_bytes();
        let pages = u32::from(u16::from_le_bytes([low, high])).max(1);
        let limits = Limits { fuel, memory_pages: pages, output_bytes: seed % OUTPUT_BYTES_MAX };
        let spec = Spec {
            metering: 1,
            program: content(0),
            input: seed.is_multiple_of(2).then(|| content(1)),
            stdin: seed.is_multiple_of(3).then(|| content(2)),
            arguments: List::new(vec![text("--seed"), text("7")]).expect("two arguments"),
            environment: List::new(vec![text("A=1"), text("B=")]).expect("two variables"),
            seed: Hash::of("sample", &[&seed.to_le_bytes()]),
            limits,
        };
        let terms = Terms {
            metering: 1,
            mfuel_per_second: 1_000,
            memory_pages: MEMORY_PAGES_MAX,
            output_bytes: OUTPUT_BYTES_MAX,
        };
        let usage = Usage { fuel: fuel / 2, exit: Exit::Code(0), output: content(3) };
        Sample { terms: terms.to_bytes(), spec: spec.to_bytes(), usage: usage.to_bytes() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample_spec() -> Spec {
        Spec::from_bytes(&Job.sample(6).spec).unwrap()
    }

    #[test]
    fn a_begun_unit_counts() {
        let check = |fuel, units| assert_eq!(units_of_fuel(fuel).get(), units);
        check(0, 0);
        check(1, 1);
        check(FUEL_PER_UNIT, 1);
        check(FUEL_PER_UNIT + 1, 2);
    }

    #[test]
    fn judging_takes_a_slow_interpreter_and_then_a_slow_compiler() {
        let time = |units| Job.judging_time(Units::new(units).unwrap());
        let seconds = [0, 1, 20, 21, 1_000].map(time);
        assert_eq!(seconds, [0, 2, 2, 3, 70].map(Duration::from_seconds));
    }

    #[test]
    fn a_begun_millisecond_counts() {
        let check = |mfuel_per_second, units, ms| {
            let terms = Terms { metering: 1, mfuel_per_second, memory_pages: 1, output_bytes: 1 };
            let units = Units::new(units).unwrap();
            assert_eq!(Job.time(&terms.to_bytes(), units), Ok(Duration::from_ms(ms)));
        };
        check(1_000, 0, 0);
        check(1_000, 1, 1);
        check(3, 1, 334);
        check(2_000, 5_000, 2_500);
        check(0, 1, u64::MAX);
        check(1, Units::MAX.get(), Units::MAX.get() * 1_000);
    }

    #[test]
    fn limits_hold_at_the_bound_and_not_above() {
        let check = |change: fn(&mut Spec), accepted: bool| {
            let mut spec = sample_spec();
            change(&mut spec);
            assert_eq!(Job.units_max(&spec.to_bytes()).is_ok(), accepted);
        };
        check(|spec| spec.limits.fuel = FUEL_MAX, true);
        check(|spec| spec.limits.fuel = FUEL_MAX + 1, false);
        check(|spec| spec.limits.fuel = 0, false);
        check(|spec| spec.limits.memory_pages = MEMORY_PAGES_MAX, true);
        check(|spec| spec.limits.memory_pages = MEMORY_PAGES_MAX + 1, false);
        check(|spec| spec.limits.output_bytes = OUTPUT_BYTES_MAX, true);
        check(|spec| spec.limits.output_bytes = OUTPUT_BYTES_MAX + 1, false);
    }

    #[test]
    fn variables_have_one_order() {
        let check = |variables: &[&str], accepted: bool| {
            let mut spec = sample_spec();
            let texts = variables.iter().map(|text| Text::new(*text).unwrap()).collect();
            spec.environment = List::new(texts).unwrap();
            assert_eq!(spec.validate().is_ok(), accepted, "{variables:?}");
        };
        check(&["A=1", "B=2"], true);
        check(&["B=2", "A=1"], false);
        check(&["A=1", "A=2"], false);
        check(&["A"], false);
        check(&["=1"], false);
        check(&["A=\0"], false);
    }

    #[test]
    fn an_offer_serves_only_what_it_has_room_for() {
        let terms = Terms { metering: 1, mfuel_per_second: 1, memory_pages: 10, output_bytes: 99 };
        let check = |pages, output_bytes, metering, expected: Result<(), Mismatch>| {
            let mut spec = sample_spec();
            spec.limits = Limits { fuel: 1, memory_pages: pages, output_bytes };
            spec.metering = metering;
            let found = Job.matches(&spec.to_bytes(), &terms.to_bytes(), &Claims::default());
            assert_eq!(found, expected);
        };
        check(10, 99, 1, Ok(()));
        check(11, 99, 1, Err(Mismatch("it has less memory for a job")));
        check(10, 100, 1, Err(Mismatch("it keeps less output of a job")));
        check(10, 99, 2, Err(Mismatch("it runs another version of the metering")));
    }

    #[test]
    fn usage_beyond_the_fuel_limit_is_impossible() {
        let Sample { spec, usage, .. } = Job.sample(10_000_000);
        let mut usage = Usage::from_bytes(&usage).unwrap();
        usage.fuel = 10_000_000;
        assert_eq!(Job.units(&spec, &usage.to_bytes()), Ok(units_of_fuel(10_000_000)));
        usage.fuel = 10_000_001;
        assert!(Job.units(&spec, &usage.to_bytes()).is_err());
    }
}
