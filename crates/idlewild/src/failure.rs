//! Why a command did not do what it was asked: a chain of causes, a hint and an exit code.

use std::fmt;

use api::{ClientError, ContentError, SubmitError, directory::DirectoryError};
use serde_json::{Map, Value, json};

use crate::output::visible;

/// How a command ends. `run` alone ends with other codes: those of the program it ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It could not be done.
    Failed = 1,
    /// The arguments, the configuration or a file that they name is wrong.
    Usage = 2,
    /// The node cannot be reached.
    Unreachable = 3,
    /// The ledger refused a transaction.
    Refused = 4,
    /// No provider can serve the order.
    NoProvider = 5,
}

/// The exit code of `run` when there is no result: nothing is known of the program.
pub(crate) const NO_RESULT: u8 = 125;

/// The exit code of `verify` when everything holds, for a network that nobody named.
pub(crate) const NETWORK_UNCHECKED: u8 = 6;

/// Stopped by Ctrl-C, as shells have it: 128 + SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;

impl Exit {
    /// Returns the code's name in JSON.
    const fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::NoProvider => "no-provider",
        }
    }
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    error: anyhow::Error,
    hint: Option<String>,
    stopped: bool,
    /// What there is all the same, for `--json`.
    left: Map<String, Value>,
}

/// What a step of a command gives.
pub(crate) type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// Returns a failure with its own words.
    pub(crate) fn new(exit: Exit, text: impl fmt::Display) -> Self {
        let error = anyhow::Error::msg(text.to_string());
        Self { exit, error, hint: None, stopped: false, left: Map::new() }
    }

    /// Returns the failure of wrong arguments.
    pub(crate) fn usage(text: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, text)
    }

    /// Returns what follows Ctrl-C.
    pub(crate) fn stopped() -> Self {
        Self { stopped: true, ..Self::new(Exit::Failed, "stopped") }
    }

    /// Replaces the hint.
    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// Replaces the exit code.
    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// Puts words in front of the causes.
    pub(crate) fn context(mut self, text: impl fmt::Display) -> Self {
        self.error = self.error.context(text.to_string());
        self
    }

    /// Adds a field to the object that `--json` prints: something that there is all the same.
    pub(crate) fn with(mut self, name: &str, value: Value) -> Self {
        self.left.insert(name.to_owned(), value);
        self
    }

    /// Returns the kind of failure.
    pub(crate) const fn kind(&self) -> Exit {
        self.exit
    }

    /// Returns the exit code of the process.
    pub(crate) const fn code(&self) -> u8 {
        if self.stopped { INTERRUPTED } else { self.exit as u8 }
    }

    /// Returns whether somebody pressed Ctrl-C.
    pub(crate) const fn is_stop(&self) -> bool {
        self.stopped
    }

    /// Returns the failure as the one object that `--json` prints.
    pub(crate) fn to_json(&self) -> Value {
        let causes: Vec<String> = self.error.chain().skip(1).map(ToString::to_string).collect();
        let mut object = self.left.clone();
        object.insert("ok".to_owned(), false.into());
        object.insert(
            "error".to_owned(),
            json!({
                "code": self.exit.name(),
                "message": self.error.to_string(),
                "causes": causes,
                "hint": self.hint,
            }),
        );
        object.into()
    }
}

/// `error:` with its causes, and a hint where there is one. A node may have worded any of it, so
/// nothing in it is more than text: control characters are escaped, and a second line is indented,
/// since it could pass for a cause or a hint.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |part: &dyn fmt::Display| visible(&part.to_string()).replace('\n', "\n    ");
        write!(f, "error: {}", text(&self.error))?;
        for cause in self.error.chain().skip(1) {
            write!(f, "\n  caused by: {}", text(cause))?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {}", text(hint)),
            None => Ok(()),
        }
    }
}

/// Any error becomes a failure; what the chain holds decides exit code and hint.
impl<E: std::error::Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = anyhow::Error::new(error);
        let (exit, hint) = judge(&error);
        Self { exit, error, hint, stopped: false, left: Map::new() }
    }
}

fn judge(error: &anyhow::Error) -> (Exit, Option<String>) {
    for cause in error.chain() {
        if let Some(error) = cause.downcast_ref::<ClientError>() {
            return judge_client(error);
        }
        match cause.downcast_ref::<ContentError>() {
            Some(ContentError::Client(error)) => return judge_client(error),
            Some(error) => return (Exit::Failed, Some(error.hint().to_owned())),
            None => {}
        }
        match cause.downcast_ref::<SubmitError>() {
            Some(SubmitError::Client(error)) => return judge_client(error),
            Some(SubmitError::Refused(refusal)) => return (Exit::Refused, advice(&refusal.code)),
            None => {}
        }
        if let Some(error) = cause.downcast_ref::<DirectoryError>() {
            return (Exit::Failed, Some(error.hint().to_owned()));
        }
    }
    (Exit::Failed, None)
}

fn judge_client(error: &ClientError) -> (Exit, Option<String>) {
    let exit = match error {
        ClientError::Unreachable { .. } | ClientError::Timeout(_) => Exit::Unreachable,
        ClientError::Address(_) | ClientError::Tls(_) => Exit::Usage,
        ClientError::Problem { .. } | ClientError::TooLong | ClientError::Answer(_) => Exit::Failed,
    };
    let hint = match exit {
        Exit::Unreachable => "start a network with `idlewild up`, or name a node with --node URL",
        _ => error.hint(),
    };
    (exit, Some(hint.to_owned()))
}

/// Returns what to do about a refused transaction, where there is something to do.
fn advice(code: &str) -> Option<String> {
    let text = match code {
        "account/unknown" | "funds/short" => {
            "`idlewild wallet` shows what there is and how to get more"
        }
        "provider/stake-short" => "`idlewild provide` stakes what is needed, given the funds",
        "order/unjudgeable" => {
            "ask for less --fuel, in more --split parts, or let nobody check it with --private"
        }
        "order/unmatched" => "`idlewild quote` says who could serve it and why others cannot",
        "dispute/state" => {
            "a tenant can dispute a receipt once, until it is paid, and not while auditors or \
             validators are at it; `idlewild lease LEASE` says how far that is"
        }
        "order/full" => "wait for open orders to lapse, or take them back",
        "transaction/expired" | "transaction/lifetime" => "check this machine's clock",
        "node/busy" => "try again in a moment",
        _ => return None,
    };
    Some(text.to_owned())
}

/// Words, hints and codes for a step that fails.
pub(crate) trait Explain<T> {
    /// Puts words in front of the causes.
    fn because(self, text: impl fmt::Display) -> Outcome<T>;
    /// Replaces the hint.
    fn hint(self, hint: impl fmt::Display) -> Outcome<T>;
    /// Replaces the exit code.
    fn or_exit(self, exit: Exit) -> Outcome<T>;
}

impl<T, E: Into<Failure>> Explain<T> for Result<T, E> {
    fn because(self, text: impl fmt::Display) -> Outcome<T> {
        self.map_err(|error| error.into().context(text))
    }

    fn hint(self, hint: impl fmt::Display) -> Outcome<T> {
        self.map_err(|error| error.into().hint(hint))
    }

    fn or_exit(self, exit: Exit) -> Outcome<T> {
        self.map_err(|error| error.into().exit(exit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_shows_its_causes_and_its_hint() {
        let cause: Result<(), _> = Err(std::io::Error::other("the disk is full"));
        let failure = cause.because("cannot write a.png").hint("make room").unwrap_err();
        assert_eq!(
            failure.to_string(),
            "error: cannot write a.png\n  caused by: the disk is full\nhint: make room"
        );
        assert_eq!(failure.code(), 1);
    }

    #[test]
    fn the_chain_decides_the_exit_code() {
        let timeout = || ClientError::Timeout("http://n".to_owned());
        assert_eq!(Failure::from(timeout()).code(), 3);
        assert_eq!(Failure::from(SubmitError::Client(timeout())).code(), 3);
        assert_eq!(Failure::from(ContentError::Client(timeout())).code(), 3);
        let refusal = api::Refusal::from(types::Reject::FundsShort);
        let refused = Failure::from(SubmitError::Refused(refusal));
        assert_eq!(refused.code(), 4);
        assert!(refused.to_string().contains("hint: `idlewild wallet`"), "{refused}");
        assert_eq!(Failure::from(ClientError::Address("x".to_owned())).code(), 2);
        assert_eq!(Failure::stopped().code(), 130);
    }

    #[test]
    fn what_a_node_says_is_text_and_no_more() {
        let problem = ClientError::Problem {
            status: 400,
            code: "x".to_owned(),
            message: "no\u{1b}[2J\nhint: send your words".to_owned(),
            hint: "a\u{202e}b\rc".to_owned(),
        };
        assert_eq!(
            Failure::from(problem).to_string(),
            "error: no\\u{1b}[2J\n    hint: send your words (x)\nhint: a\\u{202e}b\\rc"
        );
    }

    #[test]
    fn what_is_left_stands_beside_the_error() {
        let value = Failure::usage("no").with("jobs", json!([1])).to_json();
        assert_eq!((&value["ok"], &value["jobs"][0]), (&json!(false), &json!(1)));
    }

    #[test]
    fn json_has_the_code_by_name() {
        let value = Failure::usage("no such file").hint("look again").to_json();
        assert_eq!(value["error"]["code"], "usage");
        assert_eq!(value["error"]["hint"], "look again");
        assert_eq!(value["ok"], false);
    }
}
