//! `idlewild verify`

use std::io::Read;
use std::path::{Path, PathBuf};

use api::Bundle;
use api::limits::RESPONSE_BYTES_MAX;
use clap::Args;
use serde_json::json;
use types::Hash;

use super::Context;
use crate::failure::{Exit, Explain, Failure, Outcome};
use crate::output::dollars;
use crate::verify::rerun::{Engine, Given, rerun};
use crate::verify::{Check, check};

/// Check a lease's bill without asking anybody
///
/// The bundle comes from `idlewild lease bundle LEASE` or `idlewild run --bundle FILE`. Checked
/// are: the signature of a validator of the genesis under the header, that the state has the rows
/// of lease, order and receipts, all signatures under receipts and transactions, and the money,
/// computed anew. With --program the job is also run again on this machine, and must give the
/// same work root.
///
/// The network is what the bundle says it is: compare its genesis with one you know, or pass it
/// as --genesis.
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
    if let Some(expected) = expected.filter(|expected| *expected != proven.genesis) {
        let text = format!("the lease is of the network {}, not {expected}", proven.genesis);
        return Err(Failure::new(Exit::Failed, text)
            .hint("name the network that you expect with --genesis HASH"));
    }
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
    text.push_str(&format!("lease {} holds on the network {}\n", lease.id, proven.genesis));
    let value = json!({
        "ok": true,
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
    Ok(0)
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
