//! Problems as answers.

use api::{Problem, ProblemBody, ProblemDetail};
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use types::Reject;

use crate::{content::ContentError, handle::Stopped, index::IndexError};

/// A problem, and what is wrong in this case.
#[derive(Debug)]
pub(crate) struct Failure {
    problem: Problem,
    /// What the ledger would say, where that is the problem.
    reject: Option<Reject>,
    message: String,
}

impl Failure {
    pub(crate) fn new(problem: Problem, message: impl Into<String>) -> Self {
        Self { problem, reject: None, message: message.into() }
    }

    /// The ledger would refuse what is asked about: the answer has the code that it would have.
    pub(crate) fn refused(reject: Reject) -> Self {
        Self { reject: Some(reject), ..Self::new(Problem::Refused, reject.meaning()) }
    }

    /// The request is not what the API says.
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(Problem::Malformed, message)
    }

    /// What was asked for is not there.
    pub(crate) fn unknown(what: &str) -> Self {
        Self::new(Problem::Unknown, format!("no such {what}"))
    }

    /// The node itself fails; what happened stands in the log only.
    fn fault(error: &dyn std::error::Error) -> Self {
        tracing::error!("a request failed: {}", crate::fault::causes(error));
        Self::new(Problem::Fault, "the node failed to answer")
    }
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Self {
        Self::new(Problem::Stopped, stopped.to_string())
    }
}

impl From<IndexError> for Failure {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Behind { .. } | IndexError::Uncertified(_) => {
                Self::new(Problem::Behind, error.to_string())
            }
            IndexError::Stopped => Self::new(Problem::Stopped, error.to_string()),
            _ => Self::fault(&error),
        }
    }
}

impl From<ContentError> for Failure {
    fn from(error: ContentError) -> Self {
        Self::fault(&error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self { problem, reject, message } = self;
        let status = StatusCode::from_u16(problem.status()).expect("statuses are below 600");
        let code = reject.map_or(problem.code(), Reject::code).to_owned();
        let hint = problem.hint().to_owned();
        let error = ProblemDetail { code, message, hint };
        (status, Json(ProblemBody { error })).into_response()
    }
}
