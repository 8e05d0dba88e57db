//! What `run` and `quote` take: arguments as they are written, then a request that holds.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use api::limits::CONTENT_BYTES_MAX;
use clap::Args;
use classes::job::{
    CHECKED_INPUT_BYTES_MAX, FUEL_MAX, Limits, MEMORY_PAGES_MAX, OUTPUT_BYTES_MAX, Spec,
};
use executors::wasm::specification::METERING_VERSION;
use types::{
    Amount, AuditTerms, BasisPoints, Constraint, Hash, List, Readers, Text, limits::AUDITORS_MAX,
};

use crate::failure::{Exit, Explain, Failure, Outcome};
use crate::jobs::{Contents, Names, Terms};
use crate::parse;

/// The most parts that a job is split into.
const PARTS_MAX: u32 = 4_096;

/// Bytes of a page of memory.
const PAGE_BYTES: u64 = 65_536;

/// A job as it is written.
#[derive(Debug, Args)]
pub(crate) struct JobArguments {
    /// The program: WebAssembly with WASI preview 1
    #[arg(value_name = "PROGRAM.wasm")]
    program: PathBuf,

    /// The directory that the program sees as /in, and may change copies of in its working
    /// directory
    #[arg(long, value_name = "DIR")]
    input: Option<PathBuf>,

    /// What the program reads as standard input; `-` takes this command's
    #[arg(long, value_name = "FILE")]
    stdin: Option<PathBuf>,

    /// A variable of the program's environment; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse::variable)]
    env: Vec<(String, String)>,

    /// The most that each job may cost [default: twice what the cheapest offer asks]
    ///
    /// An offer that is busy counts for the cheapest too: the job then waits rather than go to
    /// somebody much dearer who is free.
    #[arg(long, value_name = "USD", value_parser = parse::money, allow_negative_numbers = true)]
    max_price: Option<Amount>,

    /// What a provider's claims must satisfy, such as `memory >= 8GiB && region == "eu"`
    #[arg(long, value_name = "EXPR")]
    require: Option<String>,

    /// Run the program N times, spread over providers
    ///
    /// Part I, from 0, has IDLEWILD_PART=I and IDLEWILD_PARTS=N in its environment, and {part}
    /// and {parts} are replaced in its arguments. Its files go to DIR/I of --output DIR.
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(PARTS_MAX)))]
    split: Option<u32>,

    /// The most fuel that each job may use; it decides how much is locked
    #[arg(long, value_name = "COUNT", value_parser = parse::count, default_value = "1T")]
    fuel: u64,

    /// The most memory that each job may use
    #[arg(long, value_name = "SIZE", value_parser = parse::size, default_value = "512MiB")]
    memory: u64,

    /// The most that each job may write to files
    #[arg(long, value_name = "SIZE", value_parser = parse::size, default_value = "64MiB")]
    output_limit: u64,

    /// Where the program's randomness comes from, 64 hexadecimal digits [default: chance]
    #[arg(long, value_name = "HEX")]
    seed: Option<Hash>,

    /// The probability that the work is checked by auditors, at least 5%, paid on top
    ///
    /// Auditors are drawn by stake after the work is done, and do it once more. If they find
    /// something else, validators judge; you have your money back if the work was wrong.
    #[arg(long, value_name = "PERCENT", value_parser = parse::share, default_value = "5%")]
    audit: u16,

    /// How many auditors check, where they do
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 1,
        value_parser = clap::value_parser!(u8).range(1..=i64::from(AUDITORS_MAX))
    )]
    auditors: u8,

    /// Let nobody but the provider read the inputs; the work then counts as unverified
    #[arg(long, conflicts_with_all = ["audit", "auditors"])]
    private: bool,

    /// How long a provider may take before the job is placed again
    #[arg(long, value_name = "TIME", value_parser = parse::time, default_value = "10min")]
    timeout: Duration,

    /// How long a provider may take to start before its lease is closed and the job is placed
    /// again
    #[arg(long, value_name = "TIME", value_parser = parse::time, default_value = "15s")]
    start_wait: Duration,

    /// How long to wait for a provider that is free
    #[arg(long, value_name = "TIME", value_parser = parse::time, default_value = "2min")]
    wait: Duration,

    /// The program's arguments
    #[arg(last = true, value_name = "ARGS")]
    arguments: Vec<String>,
}

/// A job that can be ordered.
#[derive(Debug)]
pub(crate) struct Request {
    /// What it reads.
    pub(crate) contents: Contents,
    /// What is asked of providers.
    pub(crate) terms: Terms,
    parts: Option<u32>,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    seed: Hash,
    limits: Limits,
}

/// Whether standard input is read where a job takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stdin {
    /// It is.
    Taken,
    /// It is left to others: only the price is asked for.
    Left,
}

impl JobArguments {
    /// Checks everything and reads what has to be read.
    pub(crate) fn request(self, stdin: Stdin) -> Outcome<Request> {
        let limits = limits(self.fuel, self.memory, self.output_limit)?;
        let audit = self.audit_terms()?;
        let constraint = match &self.require {
            Some(text) => constraint(text)?,
            None => Constraint::default(),
        };
        if self.timeout < Duration::from_secs(1) {
            return Err(Failure::usage("--timeout is at least 1s"));
        }
        let mut contents = Contents::program_file(&self.program)?;
        if let Some(directory) = &self.input {
            contents = contents.input(directory)?;
        }
        match &self.stdin {
            Some(path) if path == Path::new("-") => {
                let taken = stdin == Stdin::Taken;
                contents = contents.stdin(if taken { read_stdin()? } else { Vec::new() });
            }
            Some(path) => contents = contents.stdin_file(path)?,
            None => {}
        }
        let terms = Terms {
            constraint,
            max_price: self.max_price,
            audit,
            duration: self.timeout,
            order_wait: self.wait,
            start_wait: self.start_wait,
        };
        let seed = match self.seed {
            Some(seed) => seed,
            None => random_seed()?,
        };
        let request = Request {
            contents,
            terms,
            parts: self.split,
            arguments: self.arguments,
            environment: self.env.into_iter().collect(),
            seed,
            limits,
        };
        // What is wrong with arguments or environment is said before anything is sent.
        request.specs(&request.contents.names_of_bytes()?)?;
        if audit.auditors > 0 && request.contents.bytes()? > CHECKED_INPUT_BYTES_MAX {
            let failure = Failure::usage("auditors take at most 1GiB of inputs");
            return Err(failure.hint("split the work, or use --private"));
        }
        Ok(request)
    }

    fn audit_terms(&self) -> Outcome<AuditTerms> {
        if self.private {
            return Ok(AuditTerms::NONE);
        }
        let probability = BasisPoints::new(self.audit)?;
        let least = classes::Class::audit_probability_min(&classes::job::Job);
        if probability < least {
            let text = format!("--audit is at least {} %", least.get() / 100);
            return Err(Failure::new(Exit::Usage, text)
                .hint("--private lets nobody check the work, and costs nothing on top"));
        }
        let auditors = self.auditors;
        Ok(AuditTerms { probability, auditors, readers: Readers::Auditors })
    }
}

impl Request {
    /// Returns how many jobs it is.
    pub(crate) fn count(&self) -> u32 {
        self.parts.unwrap_or(1)
    }

    /// Returns whether it is split, so that each part has a directory of its own.
    pub(crate) const fn is_split(&self) -> bool {
        self.parts.is_some()
    }

    /// Returns the specification of each job, for contents of these names.
    pub(crate) fn specs(&self, names: &Names) -> Outcome<Vec<Spec>> {
        (0..self.count()).map(|part| self.spec(names, part)).collect()
    }

    fn spec(&self, names: &Names, part: u32) -> Outcome<Spec> {
        let (number, count) = (part.to_string(), self.count().to_string());
        let mut environment = self.environment.clone();
        let mut arguments = self.arguments.clone();
        let mut seed = self.seed;
        if self.is_split() {
            for argument in &mut arguments {
                *argument = argument.replace("{part}", &number).replace("{parts}", &count);
            }
            environment.insert("IDLEWILD_PART".to_owned(), number);
            environment.insert("IDLEWILD_PARTS".to_owned(), count);
            seed = Hash::of("idlewild part", &[seed.as_bytes(), &part.to_le_bytes()]);
        }
        let spec = Spec {
            metering: METERING_VERSION,
            program: names.program,
            input: names.input,
            stdin: names.stdin,
            arguments: texts(arguments.into_iter(), "arguments")?,
            environment: texts(
                environment.into_iter().map(|(name, value)| format!("{name}={value}")),
                "variables",
            )?,
            seed,
            limits: self.limits,
        };
        spec.validate().or_exit(Exit::Usage)?;
        Ok(spec)
    }
}

fn texts<const BYTES: usize, const COUNT: usize>(
    texts: impl Iterator<Item = String>,
    what: &str,
) -> Outcome<List<Text<BYTES>, COUNT>> {
    let hint = "put long lists into a file of --input";
    let texts: Result<Vec<_>, _> = texts.map(Text::new).collect();
    let texts = texts.because(format_args!("one of the {what} is too long"));
    let list = List::new(texts.or_exit(Exit::Usage).hint(hint)?);
    list.because(format_args!("there are too many {what}")).or_exit(Exit::Usage).hint(hint)
}

fn limits(fuel: u64, memory: u64, output_bytes: u64) -> Outcome<Limits> {
    if fuel == 0 || fuel > FUEL_MAX {
        return Err(Failure::usage(format_args!("--fuel is 1 to {FUEL_MAX}")));
    }
    let memory_pages = u32::try_from(memory.div_ceil(PAGE_BYTES)).unwrap_or(u32::MAX);
    if memory_pages == 0 || memory_pages > MEMORY_PAGES_MAX {
        return Err(Failure::usage("--memory is more than nothing and less than 4GiB"));
    }
    if output_bytes > OUTPUT_BYTES_MAX {
        return Err(Failure::usage("--output-limit is at most 1GiB"));
    }
    Ok(Limits { fuel, memory_pages, output_bytes })
}

fn constraint(text: &str) -> Outcome<Constraint> {
    types::constraint::parse(text)
        .because("--require is not a constraint")
        .or_exit(Exit::Usage)
        .hint("write it as in: memory >= 8GiB && region in [\"eu\", \"us\"]")
}

fn random_seed() -> Outcome<Hash> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).because("the system gives no randomness")?;
    Ok(Hash::from_bytes(bytes))
}

fn read_stdin() -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut bounded = std::io::stdin().lock().take(CONTENT_BYTES_MAX + 1);
    bounded.read_to_end(&mut bytes).because("cannot read standard input")?;
    if bytes.len() as u64 > CONTENT_BYTES_MAX {
        return Err(Failure::usage("standard input is longer than 1GiB"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use types::ContentHash;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        job: JobArguments,
    }

    fn request(words: &[&str]) -> Outcome<Request> {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("p.wasm");
        std::fs::write(&program, b"\0asm\x01\0\0\0").unwrap();
        let line = ["run", program.to_str().unwrap()].into_iter().chain(words.iter().copied());
        let line = Line::try_parse_from(line).map_err(Failure::usage)?;
        line.job.request(Stdin::Left)
    }

    fn names() -> Names {
        Names { program: ContentHash::of(b"p"), input: None, stdin: None }
    }

    #[test]
    fn wrong_values_are_refused_with_a_reason() {
        for (words, reason) in [
            (&["--fuel", "0"][..], "--fuel is 1 to"),
            (&["--fuel", "2000T"], "--fuel is 1 to"),
            (&["--memory", "0"], "--memory is more than nothing"),
            (&["--memory", "4GiB"], "--memory is more than nothing"),
            (&["--output-limit", "2GiB"], "--output-limit is at most"),
            (&["--require", "memory >"], "--require is not a constraint"),
            (&["--timeout", "10ms"], "--timeout is at least 1s"),
            (&["--env", "A"], "NAME=value"),
            (&["--split", "0"], "0 is not in 1..=4096"),
            (&["--audit", "5%", "--private"], "cannot be used with"),
            (&["--auditors", "8"], "8 is not in 1..=7"),
            (&["--seed", "12"], "64 lower-case hexadecimal digits"),
        ] {
            let failure = request(words).unwrap_err();
            assert_eq!(failure.code(), 2, "{words:?}");
            assert!(failure.to_string().contains(reason), "{words:?}: {failure}");
        }
        let long = "x".repeat(1_025);
        let failure = request(&["--", &long]).unwrap_err();
        assert!(failure.to_string().contains("one of the arguments is too long"), "{failure}");
    }

    #[test]
    fn an_ordinary_job_is_one_job_with_its_arguments_as_they_are() {
        let request = request(&["--env", "B=2", "--env", "A=1", "--", "{part}", "x"]).unwrap();
        let specs = request.specs(&names()).unwrap();
        assert_eq!(specs.len(), 1);
        let arguments: Vec<&str> = specs[0].arguments.iter().map(Text::as_str).collect();
        assert_eq!(arguments, ["{part}", "x"]);
        let environment: Vec<&str> = specs[0].environment.iter().map(Text::as_str).collect();
        assert_eq!(environment, ["A=1", "B=2"]);
        assert_eq!(specs[0].limits.memory_pages, 8_192);
    }

    #[test]
    fn parts_differ_in_arguments_environment_and_seed() {
        let request = request(&["--split", "2", "--", "{part}-of-{parts}"]).unwrap();
        let specs = request.specs(&names()).unwrap();
        let first: Vec<&str> = specs.iter().map(|spec| spec.arguments[0].as_str()).collect();
        assert_eq!(first, ["0-of-2", "1-of-2"]);
        let environment: Vec<&str> = specs[1].environment.iter().map(Text::as_str).collect();
        assert_eq!(environment, ["IDLEWILD_PART=1", "IDLEWILD_PARTS=2"]);
        assert_ne!(specs[0].seed, specs[1].seed);
    }

    #[test]
    fn nobody_reads_a_private_job() {
        assert_eq!(request(&["--private"]).unwrap().terms.audit, AuditTerms::NONE);
        let audited = request(&["--audit", "5%", "--auditors", "3"]).unwrap().terms.audit;
        assert_eq!((audited.probability.get(), audited.auditors), (500, 3));
        let plain = request(&[]).unwrap().terms.audit;
        assert_eq!((plain.probability.get(), plain.auditors), (500, 1));
        assert_eq!(plain.readers, Readers::Auditors);
        assert!(request(&["--audit", "4.99%"]).is_err());
    }
}
