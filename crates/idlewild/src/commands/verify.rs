//! `idlewild verify`

use std::io::Read;
use std::path::{Path, PathBuf};

use api::Bundle;
use api::limits::RESPONSE_BYTES_MAX;
use clap::Args;
use serde_json::json;
use types::Hash;

use super::Context;
use crate::failure::{Exit, Explain, Failure, NETWORK_UNCHECKED, Outcome};
use crate::output::dollars;
use crate::verify::rerun::{Engine, Given, rerun};
use crate::verify::{Check, check};

/// Check a lease's bill without asking anybody
///
/// The bundle comes from `idlewild lease bundle LEASE` or `idlewild run --bundle FILE`. Checked
/// are: the signatures of more than two thirds of the genesis' validators under the header, that
/// the state has the rows of lease, order and receipts, all signatures under receipts and
/// transactions, and the money, computed anew. With --program the job is also run again on this
/// machine, and must give the same work root.
///
/// All of it counts for the network that the bundle names, and anybody can make a network: so the
/// genesis must be that of the joined network, or of --genesis. Where there is neither, the end is
/// `network NOT CHECKED` with exit code 6.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The bundle; `-` reads standard input
    #[arg(value_name = "LEASE.json")]
    bundle: PathBuf,

    /// The genesis' hash of the network that it must be of [default: the joined network's, if any]
    #[arg(long, value_name = "HASH")]
    genesis: Option<Hash>,

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

pub(super) async fn run(context: &Context, arguments: Arguments) -> Outcome<u8> {
    let bundle = read(&arguments.bundle)?;
    let proven = check(&bundle)
        .because(format_args!("{} proves nothing", arguments.bundle.display()))
        .hint("do not pay or trust it; get the bundle again from a node you trust")?;
    let expected = arguments.genesis.or(context.settings.pin.as_ref().map(|pin| pin.genesis));
    let network = Expected::compare(expected, proven.genesis)?;
    let mut checks = proven.checks.clone();
    if let Some(program) = arguments.program {
        let given = Given { program, input: arguments.input, stdin: arguments.stdin };
        // Guests need a thread of their own and much time; the runtime has nothing else to do.
        let found = tokio::task::block_in_place(|| rerun(&proven, &given, arguments.engine))?;
        checks.push(Check { name: "work", found });
    }
    let lease = &proven.lease;
    let mut text: String =
        checks.iter().map(|check| format!("ok  {:<12} {}\n", check.name, check.found)).collect();
    text.push_str(&match network {
        Expected::Found => format!("lease {} holds on the network {}\n", lease.id, proven.genesis),
        Expected::Unknown => format!(
            "network NOT CHECKED: lease {} holds if {} is the genesis of yours\n",
            lease.id, proven.genesis
        ),
    });
    let value = json!({
        "ok": network == Expected::Found,
        "network": match network {
            Expected::Found => "checked",
            Expected::Unknown => "not checked",
        },
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
    if network == Expected::Unknown {
        context.output.say(
            "hint: pass the genesis that you know from elsewhere as --genesis HASH, or join the \
             network: `idlewild join URL`",
        );
        return Ok(NETWORK_UNCHECKED);
    }
    Ok(0)
}

/// Whether the network is the one that it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// It is.
    Found,
    /// Nobody said which one it must be.
    Unknown,
}

impl Expected {
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

fn read(path: &Path) -> Outcome<Bundle> {
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
    serde_json::from_slice(&bytes)
        .because(format_args!("{} is not a lease's bundle", path.display()))
        .hint("get one with `idlewild lease bundle LEASE`")
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
