//! `idlewild verify`

use std::convert::Infallible;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use api::Bundle;
use api::limits::RESPONSE_BYTES_MAX;
use clap::Args;
use light::{MARK, Proof, Proven};
use serde_json::json;
use types::{Decode, Genesis, Hash};

use super::Context;
use crate::failure::{Exit, Explain, Failure, NETWORK_UNCHECKED, Outcome};
use crate::output::dollars;
use crate::verify::rerun::{Engine, Given, rerun};
use crate::verify::{Check, check, state};

/// Check a lease's bill, or a proof of the state, without asking anybody
///
/// A bill's bundle comes from `idlewild lease bundle LEASE` or `idlewild run --bundle FILE`.
/// Checked are: the signatures of more than two thirds of the genesis' validators under the header,
/// that the state has the rows of lease, order and receipts, all signatures under receipts and
/// transactions, and the money, computed anew. With --program the job is also run again on this
/// machine, and must give the same work root.
///
/// A proof comes from `idlewild proof KIND NAME --output FILE`. Checked are the signatures under
/// the header, and that its state has the row that is shown, or has none. It needs the genesis
/// itself, as --genesis FILE.
///
/// All of it counts for the network that the genesis names, and anybody can make a network: so a
/// bundle's genesis must be that of the joined network, or of --genesis. Where there is neither,
/// the end is `network NOT CHECKED` with exit code 6.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The bundle or the proof; `-` reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The genesis of the network that it must be of: a file, or for a bundle its hash [default:
    /// the joined network's, if any]
    #[arg(long, value_name = "FILE|HASH")]
    genesis: Option<Known>,

    /// Run this program again, as the job was
    #[arg(long, value_name = "PROGRAM.wasm")]
    program: Option<PathBuf>,

    /// The directory that the job had as --input
    #[arg(long, value_name = "DIR", requires = "program")]
    input: Option<PathBuf>,

    /// The file that the job had as --stdin
    #[arg(long, value_name = "FILE", requires = "program")]
    stdin: Option<PathBuf>,

    /// What runs the program
    #[arg(long, value_enum, default_value_t = Engine::Compiler, requires = "program")]
    engine: Engine,
}

/// What somebody knows of a network from elsewhere.
#[derive(Debug, Clone)]
enum Known {
    /// Its genesis' hash.
    Hash(Hash),
    /// The file with its genesis.
    File(PathBuf),
}

impl FromStr for Known {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.parse().map_or_else(|_| Self::File(text.into()), Self::Hash))
    }
}

impl Known {
    fn hash(&self) -> Outcome<Hash> {
        match self {
            Self::Hash(hash) => Ok(*hash),
            Self::File(path) => Ok(read_genesis(path)?.hash()),
        }
    }
}

fn read_genesis(path: &Path) -> Outcome<Genesis> {
    node::config::read_genesis(path)
        .because(format_args!("{} is not the genesis of a network", path.display()))
        .or_exit(Exit::Usage)
        .hint(
            "--genesis is a file, as `idlewild network genesis` prints it, or for a bundle a hash \
             of 64 hexadecimal digits",
        )
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Outcome<u8> {
    let bytes = read(&arguments.file)?;
    if bytes.starts_with(&MARK) {
        return run_proof(context, &bytes, &arguments);
    }
    run_bundle(context, &bytes, arguments)
}

/// Checks a proof of the state.
fn run_proof(context: &Context, bytes: &[u8], arguments: &Arguments) -> Outcome<u8> {
    if arguments.program.is_some() {
        return Err(Failure::usage("--program runs a lease's job again, and this is no bundle")
            .hint("get the lease's bundle with `idlewild lease bundle LEASE`"));
    }
    let Some(Known::File(path)) = &arguments.genesis else {
        return Err(Failure::usage("a proof is checked from the network's genesis").hint(
            "name the file that holds it with --genesis FILE; `idlewild network genesis` prints \
             that of the joined network",
        ));
    };
    let genesis = read_genesis(path)?;
    let shown = arguments.file.display();
    let again = "do not believe it; get the proof again with `idlewild proof`";
    let proof = Proof::from_bytes(bytes).because(format_args!("{shown} is damaged")).hint(again)?;
    let proven = proof
        .verify(&genesis)
        .because(format_args!("{shown} proves nothing in the network of {}", path.display()))
        .hint(again)?;
    show_proven(context, &proven, &genesis, Expected::Found)
}

/// Shows what a proof of the state proves, and returns the exit code.
pub(super) fn show_proven(
    context: &Context,
    proven: &Proven,
    genesis: &Genesis,
    network: Expected,
) -> Outcome<u8> {
    let Proven { subject, header, votes, record } = proven;
    let (checks, hash) = (state::checks(proven, genesis), genesis.hash());
    let mut text = lines(&checks);
    text.push_str(&state::describe(proven));
    let what = match record {
        Some(_) => format!("{subject} holds"),
        None => format!("{subject} is absent"),
    };
    text.push_str(&network.verdict(&what, hash));
    let value = json!({
        "ok": network == Expected::Found,
        "network": network.name(),
        "genesis": hash,
        "kind": subject.kind(),
        "name": subject.name(),
        "present": record.is_some(),
        "record": record,
        "height": header.height,
        "time": header.time,
        "state": header.state,
        "votes": votes,
        "validators": genesis.validators.len(),
        "checks": checks,
    });
    context.output.show(text, &value)?;
    if record.is_none() {
        context.output.say(state::absence(subject.kind()));
    }
    Ok(network.code(context))
}

/// Returns a line for each thing that holds.
fn lines(checks: &[Check]) -> String {
    checks.iter().map(|check| format!("ok  {:<12} {}\n", check.name, check.found)).collect()
}

/// Checks a lease's bundle.
fn run_bundle(context: &Context, bytes: &[u8], arguments: Arguments) -> Outcome<u8> {
    let shown = arguments.file.display();
    let bundle: Bundle = serde_json::from_slice(bytes)
        .because(format_args!("{shown} is neither a lease's bundle nor a proof of the state"))
        .hint("get one with `idlewild lease bundle LEASE` or `idlewild proof KIND NAME`")?;
    let proven = check(&bundle)
        .because(format_args!("{shown} proves nothing"))
        .hint("do not pay or trust it; get the bundle again from a node you trust")?;
    let pinned = || context.settings.pin.as_ref().map(|pin| pin.genesis);
    let known = arguments.genesis.as_ref().map(Known::hash).transpose()?;
    let network = Expected::compare(known.or_else(pinned), proven.genesis)?;
    let mut checks = proven.checks.clone();
    if let Some(program) = arguments.program {
        let given = Given { program, input: arguments.input, stdin: arguments.stdin };
        // Guests need a thread of their own and much time; the runtime has nothing else to do.
        let found = tokio::task::block_in_place(|| rerun(&proven, &given, arguments.engine))?;
        checks.push(Check { name: "work", found });
    }
    let lease = &proven.lease;
    let mut text = lines(&checks);
    text.push_str(&network.verdict(&format!("lease {} holds", lease.id), proven.genesis));
    let value = json!({
        "ok": network == Expected::Found,
        "network": network.name(),
        "lease": lease.id,
        "genesis": proven.genesis,
        "state": lease.state,
        "tenant": lease.tenant,
        "provider": lease.provider,
        "units": lease.settlement.units,
        "paid_usd": dollars(lease.settlement.gross.saturating_plus(lease.settlement.premium)),
        "checks": checks,
    });
    context.output.show(text, &value)?;
    Ok(network.code(context))
}

/// Whether the network is the one that it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// It is.
    Found,
    /// Nobody said which one it must be.
    Unknown,
}

impl Expected {
    /// Returns its name in JSON.
    const fn name(self) -> &'static str {
        match self {
            Self::Found => "checked",
            Self::Unknown => "not checked",
        }
    }

    /// Returns the last line of a result.
    fn verdict(self, what: &str, genesis: Hash) -> String {
        match self {
            Self::Found => format!("{what} on the network {genesis}\n"),
            Self::Unknown => {
                format!("network NOT CHECKED: {what} if {genesis} is the genesis of yours\n")
            }
        }
    }

    /// Returns the exit code, and says what to do where nobody said which network it must be.
    fn code(self, context: &Context) -> u8 {
        if self == Self::Found {
            return 0;
        }
        context.output.say(
            "hint: pass the genesis that you know from elsewhere as --genesis, or join the network: \
             `idlewild join URL`",
        );
        NETWORK_UNCHECKED
    }

    fn compare(expected: Option<Hash>, found: Hash) -> Outcome<Self> {
        match expected {
            None => Ok(Self::Unknown),
            Some(expected) if expected == found => Ok(Self::Found),
            Some(expected) => {
                let text = format!("the lease is of the network {found}, not {expected}");
                Err(Failure::new(Exit::Failed, text)
                    .hint("name the network that you expect with --genesis HASH"))
            }
        }
    }
}

/// Reads what there is, at most as much as a node may answer.
fn read(path: &Path) -> Outcome<Vec<u8>> {
    let unreadable = || format!("cannot read {}", path.display());
    let bytes_max = RESPONSE_BYTES_MAX as u64;
    let mut bytes = Vec::new();
    let source: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).because(unreadable()).or_exit(Exit::Usage)?)
    };
    source.take(bytes_max + 1).read_to_end(&mut bytes).because(unreadable())?;
    if bytes.len() as u64 > bytes_max {
        return Err(Failure::new(Exit::Failed, "a bundle is not that long"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_is_the_expected_one_or_unknown() {
        let (one, other) = (Hash::of("test", &[b"a"]), Hash::of("test", &[b"b"]));
        assert_eq!(Expected::compare(Some(one), one).unwrap(), Expected::Found);
        assert_eq!(Expected::compare(None, one).unwrap(), Expected::Unknown);
        assert_eq!(Expected::compare(Some(other), one).unwrap_err().code(), 1);
    }
}
