//! `idlewild proof`

use std::fs;
use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use light::Proof;
use types::{Blob, Encode, Genesis, ProofKind, Subject};

use super::Context;
use super::verify::{Expected, show_proven};
use crate::failure::{Exit, Explain, Failure, Outcome};

/// What to do about a node that cannot prove what it says.
const DISTRUST: &str = "do not trust this node; ask another with --node URL";

/// Prove what the state says of an account, a lease, a receipt, an audit…
///
/// What the node answers is checked against the network's genesis before it is shown or written:
/// more than two thirds of the validators signed the block, and its state has the row, or does not.
/// In rows, amounts are in millionths and times in milliseconds since 1970. Who has the genesis
/// checks the file again with `idlewild verify FILE --genesis GENESIS`, and asks nobody for it.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Of what
    #[arg(value_name = "KIND", value_parser = kinds())]
    kind: ProofKind,

    /// Which: an address of account, usd, wild, provider; LEASE.SEQUENCE of a receipt; the lease of
    /// audit and dispute
    #[arg(value_name = "NAME")]
    name: String,

    /// The file to write the proof to
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

fn kinds() -> impl TypedValueParser<Value = ProofKind> {
    PossibleValuesParser::new(ProofKind::ALL.map(ProofKind::name))
        .try_map(|name| name.parse::<ProofKind>())
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Outcome<u8> {
    let Arguments { kind, name, output } = arguments;
    let subject = Subject::new(kind, &name)
        .because(format_args!("`{name}` names no proof of kind {}", kind.name()))
        .or_exit(Exit::Usage)?;
    let network = context.network().await?;
    let genesis: Genesis = network.genesis().await?;
    let view = network.client.proof(&subject).await?;
    let wrong = |what: &str| Failure::new(Exit::Failed, what).hint(DISTRUST);
    let row = view.row.parts().ok_or_else(|| wrong("the node's proof is not hexadecimal"))?;
    let tree = Blob::new(row.proof).because("the node's proof is too long").hint(DISTRUST)?;
    let proof = Proof { subject, header: view.header, tree };
    let proven = proof
        .verify(&genesis)
        .because(format_args!("the node's proof of {subject} does not hold"))
        .hint(DISTRUST)?;
    if let Some(path) = &output {
        fs::write(path, proof.to_bytes())
            .because(format_args!("cannot write {}", path.display()))
            .hint("name a file in a directory that is there, with --output FILE")?;
    }
    let is_pinned = context.settings.pin.is_some();
    let network = if is_pinned { Expected::Found } else { Expected::Unknown };
    show_proven(context, &proven, &genesis, network)
}
