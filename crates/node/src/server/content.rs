//! Content by hash.

use std::sync::atomic::Ordering;

use api::{Problem, StoredContent, limits::CONTENT_BYTES_MAX};
use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::Response,
};
use futures_util::{Stream, stream};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt, Take},
};
use types::{Address, ContentHash, LeaseId};

use super::{
    App, Failure, Link, Shared,
    lease::find,
    request::{Chunks, Parameters, announced, signed},
};
use crate::content::{
    Asked, Asker, Begun, ByteRange, ContentError, NoRoom, Upload, names, parse_range,
};

/// Bytes that are read from a file at a time.
const READ_BYTES: usize = 128 * 1024;

/// Returns who signed the request, as the ledger knows it.
fn asker(app: &App, signer: Address) -> Asker {
    let account = app.handle.read().ledger.provider_of(&signer).unwrap_or(signer);
    Asker { signer, account }
}

pub(super) async fn store(
    State(app): Shared,
    Extension(link): Extension<Link>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<StoredContent>, Failure> {
    let authorization = signed(&headers, &method, &uri, &app.handle.genesis_hash())?;
    let owner = asker(&app, authorization.address).account;
    if app.handle.read().ledger.account(&owner).is_none() {
        let message = "the signer has no account on this network";
        return Err(Failure::new(Problem::ContentOwner, message));
    }
    // Room is kept before anything comes, so how much comes must be said.
    let bytes = announced(&headers).ok_or_else(|| {
        Failure::new(Problem::LengthUnknown, "the request does not say how long the content is")
    })?;
    if bytes > CONTENT_BYTES_MAX {
        let message = format!("content has at most {CONTENT_BYTES_MAX} bytes");
        return Err(Failure::new(Problem::TooLarge, message));
    }
    let hash = authorization.body;
    let _place = app.gates.uploads.enter(link.peer).await;
    let chunks = Chunks::new(body);
    match app.content.begin(owner, hash, bytes).await? {
        Begun::Upload(upload) => receive(&app, *upload, chunks, hash).await?,
        Begun::Owned => discard(chunks).await?,
        Begun::NoRoom(none) => return Err(no_room(none)),
    }
    Ok(Json(StoredContent { hash, bytes }))
}

async fn receive(
    app: &App,
    mut upload: Upload,
    mut chunks: Chunks,
    announced: ContentHash,
) -> Result<(), Failure> {
    while let Some(chunk) = chunks.next().await? {
        app.metrics.content_bytes_in.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        if !upload.write(&chunk).await? {
            return Err(no_room(NoRoom::OfNode));
        }
    }
    let hash = upload.hash();
    if hash != announced {
        let message = format!("the bytes hash to {hash}, announced was {announced}");
        return Err(Failure::new(Problem::ContentMismatch, message));
    }
    Ok(upload.finish().await?)
}

/// Lets content pass that is here already: who sends it reads no answer before it is sent.
async fn discard(mut chunks: Chunks) -> Result<(), Failure> {
    while chunks.next().await?.is_some() {}
    Ok(())
}

fn no_room(none: NoRoom) -> Failure {
    match none {
        NoRoom::OfAccount => {
            Failure::new(Problem::ContentQuota, "the account's quota on this node is used up")
        }
        NoRoom::OfNode => Failure::new(Problem::ContentFull, "the node has no room for it"),
    }
}

async fn owns(app: &App, owner: Address, hash: ContentHash) -> Result<bool, ContentError> {
    app.content.run(move |store| store.owns(owner, hash)).await
}

/// Answers GET and HEAD.
pub(super) async fn fetch(
    State(app): Shared,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Failure> {
    let authorization = signed(&headers, &method, &uri, &app.handle.genesis_hash())?;
    let hash: ContentHash = parameters.path("hash")?;
    let lease = parameters.query::<LeaseId>("lease")?;
    parameters.finish()?;
    let asking = app.relay.asking(authorization.address, &headers, &method, &uri)?;
    let mut found = None;
    if may_read(&app, asker(&app, asking.address), hash, lease).await? {
        found = app.content.open_content(hash).await?;
    }
    if let Some((file, length)) = found {
        return respond(&app, &method, &headers, hash, file, length).await;
    }
    let elsewhere = match asking.is_relayed {
        true => None,
        false => app.relay.fetch(&method, &uri, &headers).await,
    };
    // One answer for what is not here and for what is not shown: the difference is nobody's.
    let unknown = || Failure::new(Problem::ContentUnknown, "no such content, or not for you");
    elsewhere.ok_or_else(unknown)
}

async fn may_read(
    app: &App,
    asker: Asker,
    hash: ContentHash,
    lease: Option<LeaseId>,
) -> Result<bool, Failure> {
    let Some(lease) = lease else { return Ok(owns(app, asker.account, hash).await?) };
    // What the asker owns does not count: a provider owns the results of all its tenants, and
    // asks for each in the name of that one's lease.
    let Some(view) = find(app, lease).await? else { return Ok(false) };
    if !asker.may_read(&app.handle.read().ledger, &view.lease, app.handle.genesis()) {
        return Ok(false);
    }
    let named = names(&view.lease, &view.order, &view.receipts);
    Ok(app.content.run(move |store| named.shows(store, hash)).await?)
}

async fn respond(
    app: &App,
    method: &Method,
    headers: &HeaderMap,
    hash: ContentHash,
    mut file: File,
    length: u64,
) -> Result<Response, Failure> {
    let tag = format!("\"{hash}\"");
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let response = Response::builder()
        .header(header::ETAG, &tag)
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::CACHE_CONTROL, "private, max-age=31536000, immutable")
        .header(header::CONTENT_TYPE, "application/octet-stream");
    let known = text(header::IF_NONE_MATCH)
        .is_some_and(|tags| tags == "*" || tags.split(',').any(|known| known.trim() == tag));
    let whole = ByteRange { start: 0, end: length };
    let same = text(header::IF_RANGE).is_none_or(|known| known == tag);
    let asked = text(header::RANGE).filter(|_| same).map(|range| parse_range(range, length));
    let (response, range) = match asked {
        _ if known => (response.status(StatusCode::NOT_MODIFIED), ByteRange { start: 0, end: 0 }),
        None | Some(Asked::All) => (response.status(StatusCode::OK), whole),
        Some(Asked::Part(range)) => {
            let ByteRange { start, end } = range;
            let value = format!("bytes {start}-{}/{length}", end - 1);
            let response = response.header(header::CONTENT_RANGE, value);
            (response.status(StatusCode::PARTIAL_CONTENT), range)
        }
        Some(Asked::Nothing) => {
            let message = format!("the content has {length} bytes");
            return Err(Failure::new(Problem::ContentRange, message));
        }
    };
    let bytes = range.end - range.start;
    let response = if known { response } else { response.header(header::CONTENT_LENGTH, bytes) };
    let body = if *method == Method::HEAD || bytes == 0 {
        Body::empty()
    } else {
        file.seek(std::io::SeekFrom::Start(range.start)).await.map_err(ContentError::from)?;
        app.metrics.content_bytes_out.fetch_add(bytes, Ordering::Relaxed);
        Body::from_stream(read_chunks(file.take(bytes)))
    };
    Ok(response.body(body).expect("headers are made of digits and names"))
}

fn read_chunks(
    file: Take<File>,
) -> impl Stream<Item = Result<bytes::Bytes, std::io::Error>> + Send + 'static {
    stream::try_unfold(file, |mut file| async move {
        let mut chunk = Vec::with_capacity(READ_BYTES);
        while chunk.len() < READ_BYTES && file.read_buf(&mut chunk).await? > 0 {}
        Ok((!chunk.is_empty()).then(|| (bytes::Bytes::from(chunk), file)))
    })
}
