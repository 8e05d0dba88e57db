//! Submitting transactions.

use std::collections::BTreeMap;

use api::{
    Outcome, Problem, Refusal, Submission, Submitted,
    limits::{SUBMISSION_BYTES_MAX, SUBMISSION_TRANSACTIONS_MAX},
};
use axum::{Extension, Json, body::Body, extract::State, http::HeaderMap};
use types::{
    Decode, Reject, SignedTransaction, TransactionId, limits::TRANSACTION_BYTES_MAX, text::from_hex,
};

use super::{
    App, Failure, Link, Shared,
    request::{announced, read_json},
};
use crate::handle::{Answer, Refused};

pub(super) async fn submit(
    State(app): Shared,
    Extension(link): Extension<Link>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Submitted>, Failure> {
    let most = SUBMISSION_BYTES_MAX as u64;
    let bytes = announced(&headers).unwrap_or(most).min(most);
    let kib = u32::try_from(bytes / 1_024 + 1).expect("a submission is below 4 TiB");
    let place = app.gates.submissions.try_enter(link.peer, kib);
    let _place = place.ok_or_else(|| Failure::new(Problem::Busy, "too many submissions"))?;
    let submission: Submission = read_json(&headers, body, SUBMISSION_BYTES_MAX).await?;
    let transactions = decode(&submission)?;
    let answers = app.handle.submit(transactions).await?;
    let known = happened_before(&app, &answers).await?;
    let outcome = |answer: Answer| match known.get(&answer.id) {
        Some(height) => Outcome { id: answer.id, height: Some(*height), reject: None },
        None => outcome(answer),
    };
    Ok(Json(Submitted { results: answers.into_iter().map(outcome).collect() }))
}

fn decode(submission: &Submission) -> Result<Vec<SignedTransaction>, Failure> {
    let count = submission.transactions.len();
    if count > SUBMISSION_TRANSACTIONS_MAX {
        let message = format!("{count} transactions; at most {SUBMISSION_TRANSACTIONS_MAX}");
        return Err(Failure::new(Problem::TooLarge, message));
    }
    let mut transactions = Vec::with_capacity(count);
    for (index, text) in submission.transactions.iter().enumerate() {
        let wrong = |what: &str| Err(Failure::malformed(format!("transactions[{index}]: {what}")));
        if text.len() > 2 * TRANSACTION_BYTES_MAX {
            return wrong(&format!("longer than {TRANSACTION_BYTES_MAX} bytes"));
        }
        let Some(bytes) = from_hex(text) else { return wrong("not lower-case hexadecimal") };
        match SignedTransaction::from_bytes(&bytes) {
            Ok(signed) => transactions.push(signed),
            Err(error) => return wrong(&error.to_string()),
        }
    }
    Ok(transactions)
}

/// Returns the blocks of those transactions that were refused only since they happened already:
/// whoever submits again after a lost answer learns what became of the first try.
async fn happened_before(
    app: &App,
    answers: &[Answer],
) -> Result<BTreeMap<TransactionId, u64>, Failure> {
    let stale = Err(Refused::Reject(Reject::NonceStale));
    let ids: Vec<_> =
        answers.iter().filter(|answer| answer.result == stale).map(|answer| answer.id).collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    app.index.wait_for(app.handle.read().header.height).await?;
    let places = app.index.read(move |reader| {
        let place = |id| Ok(reader.place(id)?.map(|place| (id, place.height)));
        ids.into_iter().map(place).collect::<Result<Vec<_>, _>>()
    });
    Ok(places.await?.into_iter().flatten().collect())
}

fn outcome(answer: Answer) -> Outcome {
    let id = answer.id;
    let refusal = match answer.result {
        Ok(height) => return Outcome { id, height: Some(height), reject: None },
        Err(Refused::Reject(reject)) => reject.into(),
        Err(Refused::Signature) => Refusal {
            code: Refusal::SIGNATURE.to_owned(),
            meaning: "a signature does not match, or is for another network".to_owned(),
        },
        Err(Refused::Busy) => Refusal {
            code: Refusal::BUSY.to_owned(),
            meaning: "the node has no room for it now; send it again".to_owned(),
        },
        Err(Refused::Open) => Refusal {
            code: Refusal::OPEN.to_owned(),
            meaning: "no block holds it yet, as validators do not agree on any now; it may still \
                      happen: ask for it by its name, or send the same again"
                .to_owned(),
        },
    };
    Outcome { id, height: None, reject: Some(refusal) }
}
