//! Tags of representations and requests that depend on them, as
//! [RFC 9110, section 13](https://www.rfc-editor.org/rfc/rfc9110#section-13) has them.
//!
//! A tag is made of the bytes of the representation. Where the resource counts its changes, the count stands before it:
//! `"3-5f2b…"`. Such a resource is changed if it is still at that version, whatever its stock has become meanwhile: the
//! stock has a call of its own. The compressed form of an answer has a tag of its own, which ends in `-gzip`.
//!
//! What is no tag matches nothing: with `If-Match` nothing is done, and with `If-None-Match` everything is sent.

mod tag;

use axum::{
    body::{Body, Bytes},
    extract::{FromRequestParts, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use chassis::grpc::status::reason;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tonic::{Code, Status};

use self::tag::{COMPRESSED, Tag, Tags, without_coding};
use super::Api;
use crate::problem::{FieldError, Problem};

/// Of a digest: two different representations of one resource have the same tag once in 2⁹⁶ times.
const DIGEST_BYTES: usize = 12;
/// How often a change is tried that others keep getting in before.
pub(super) const MAX_ATTEMPTS: usize = 64;
/// What a 304 does not say of the answer that it stands for (RFC 9110, section 15.4.5).
const OF_THE_ANSWER: [HeaderName; 4] = [
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::TRANSFER_ENCODING,
];
/// What anybody may see may be shown for that long without asking again: long enough to take the load of a page that
/// everybody opens, and short enough for nobody to notice.
pub(super) const CATALOGUE: HeaderValue = HeaderValue::from_static("public, max-age=5");

/// So long may the tags be that a request names, in bytes: some fifty of ours.
pub(super) const LONGEST_LIST: usize = 4096;

/// What is wrong with lists of tags that nobody would have been given.
pub(super) fn overlong(headers: &HeaderMap) -> impl Iterator<Item = FieldError> + '_ {
    [
        ("If-Match", header::IF_MATCH),
        ("If-None-Match", header::IF_NONE_MATCH),
    ]
    .into_iter()
    .filter(|(_, name)| {
        let values = headers.get_all(name).into_iter();
        values.map(HeaderValue::len).sum::<usize>() > LONGEST_LIST
    })
    .map(|(name, _)| FieldError {
        field: name.to_owned(),
        detail: format!("may have at most {LONGEST_LIST} bytes"),
    })
}

/// What a request depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Preconditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

/// What follows from the preconditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Perform,
    NotModified,
    Failed,
}

/// An answer with its tag.
#[derive(Debug)]
pub(super) struct Representation<T> {
    value: T,
    version: Option<i64>,
    is_public: bool,
}

/// What tells these bytes from others, in hexadecimal digits.
pub(super) fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    let mut digits = String::new();
    for byte in &Sha256::digest(bytes)[..DIGEST_BYTES] {
        let _never_fails = write!(digits, "{byte:02x}");
    }
    digits
}

impl<T: Serialize> Representation<T> {
    /// Of what belongs to an account.
    pub(super) fn new(value: T) -> Self {
        Self {
            value,
            version: None,
            is_public: false,
        }
    }

    /// Of a resource that counts its changes.
    pub(super) fn at_version(mut self, version: i64) -> Self {
        self.version = Some(version);
        self
    }

    /// Of what everybody may see, and a cache may keep for a moment.
    pub(super) fn public(mut self) -> Self {
        self.is_public = true;
        self
    }

    /// Without its tag.
    pub(super) fn into_inner(self) -> T {
        self.value
    }

    /// The tag's text without quotes, and the bytes it is made of.
    fn encode(&self) -> Result<(String, Vec<u8>), serde_json::Error> {
        let bytes = serde_json::to_vec(&self.value)?;
        let digest = digest(&bytes);
        let opaque = match self.version {
            Some(version) => format!("{version}-{digest}"),
            None => digest,
        };
        Ok((opaque, bytes))
    }

    /// Whether a change may be made of what is now this.
    pub(super) fn check(&self, wanted: &Preconditions) -> Result<(), Problem> {
        let (opaque, _) = self.encode().map_err(|_| Problem::internal())?;
        wanted.check(|tag| without_coding(&tag.opaque) == opaque.as_bytes())
    }

    /// The headers and the body of an answer with it. An error is a value that can't be written.
    pub(super) fn write(&self) -> Result<(HeaderMap, Bytes), Problem> {
        let (opaque, bytes) = self.encode().map_err(|_| Problem::internal())?;
        let tag = HeaderValue::try_from(format!("\"{opaque}\"")).map_err(|_| Problem::internal())?;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ETAG, tag);
        if self.is_public {
            headers.insert(header::CACHE_CONTROL, CATALOGUE);
            headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        Ok((headers, bytes.into()))
    }
}

impl<T: Serialize> IntoResponse for Representation<T> {
    fn into_response(self) -> Response {
        self.write().into_response()
    }
}

impl Preconditions {
    fn of(headers: &HeaderMap) -> Self {
        Self {
            if_match: Tags::of(headers, &header::IF_MATCH),
            if_none_match: Tags::of(headers, &header::IF_NONE_MATCH),
        }
    }

    /// Whether the request depends on nothing.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a change may be made of what is now at that version.
    pub(super) fn check_version(&self, version: i64) -> Result<(), Problem> {
        self.check(|tag| tag.version() == Some(version))
    }

    fn check(&self, same: impl Fn(&Tag) -> bool) -> Result<(), Problem> {
        match self.verdict(false, same) {
            Verdict::Perform => Ok(()),
            Verdict::NotModified | Verdict::Failed => Err(failed()),
        }
    }

    /// In the order of RFC 9110, section 13.2.2, for what there is.
    fn verdict(&self, reads: bool, same: impl Fn(&Tag) -> bool) -> Verdict {
        if self.if_match.as_ref().is_some_and(|tags| !tags.strongly(&same)) {
            return Verdict::Failed;
        }
        match &self.if_none_match {
            Some(tags) if tags.weakly(&same) && reads => Verdict::NotModified,
            Some(tags) if tags.weakly(&same) => Verdict::Failed,
            _ => Verdict::Perform,
        }
    }
}

impl FromRequestParts<Api> for Preconditions {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.headers))
    }
}

/// What came of a change of something that was read first; none where somebody else changed it in between, so that it is to
/// be read and tried again, up to [`MAX_ATTEMPTS`] times.
pub(super) fn unless_raced<T>(answer: Result<tonic::Response<T>, Status>) -> Result<Option<T>, Problem> {
    match answer {
        Ok(answer) => Ok(Some(answer.into_inner())),
        Err(status) if is_raced(&status) => Ok(None),
        Err(status) => Err(status.into()),
    }
}

/// 503: every attempt was raced.
pub(super) fn contended() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "contended",
        "others change it all the time; try again",
    )
}

fn is_raced(status: &Status) -> bool {
    status.code() == Code::Aborted && reason(status).is_some_and(|reason| reason == "VERSION_MISMATCH")
}

/// Gives a compressed answer a tag of its own, and answers reads whose preconditions say so with 304 or 412. Stands around
/// the compression, which is always left a way to answer.
pub(super) async fn answer(mut request: Request, next: Next) -> Response {
    let wanted = Preconditions::of(request.headers());
    let method = request.method().clone();
    accept_identity(request.headers_mut());
    let mut response = next.run(request).await;
    name_coding(response.headers_mut());
    if response.status() != StatusCode::OK || !matches!(method, Method::GET | Method::HEAD) {
        return response;
    }
    let Some(tag) = response.headers().get(header::ETAG).and_then(Tag::of) else {
        return response;
    };
    // Nothing of an answer to HEAD is compressed: it is asked with the tag of either form.
    let same = |asked: &Tag| {
        asked.opaque == tag.opaque || method == Method::HEAD && without_coding(&asked.opaque) == tag.opaque
    };
    match wanted.verdict(true, same) {
        Verdict::Perform => response,
        Verdict::NotModified => not_modified(response),
        Verdict::Failed => failed().into_response(),
    }
}

fn failed() -> Problem {
    Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "version-mismatch",
        "it is not, or not any more, what the precondition names; read it again",
    )
}

fn not_modified(response: Response) -> Response {
    let (mut parts, _) = response.into_parts();
    parts.status = StatusCode::NOT_MODIFIED;
    for name in OF_THE_ANSWER {
        parts.headers.remove(name);
    }
    Response::from_parts(parts, Body::empty())
}

fn name_coding(headers: &mut HeaderMap) {
    if headers
        .get(header::CONTENT_ENCODING)
        .is_none_or(|coding| coding != "gzip")
    {
        return;
    }
    if let Some(tag) = headers.get_mut(header::ETAG)
        && let Some(open) = tag.as_bytes().strip_suffix(b"\"")
        && let Ok(coded) = HeaderValue::from_bytes(&[open, COMPRESSED, b"\""].concat())
    {
        *tag = coded;
    }
}

/// Whoever accepts nothing that we have is sent the plain form (RFC 9110, section 12.5.3, leaves that open): the compression
/// would make a 406 of whatever the answer is, also where what was asked is done. The least weight is less than any other.
fn accept_identity(headers: &mut HeaderMap) {
    if headers.contains_key(header::ACCEPT_ENCODING) {
        headers.append(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("identity;q=0.001"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(if_match: Option<&str>, if_none_match: Option<&str>, reads: bool) -> Verdict {
        let parse = |text: &str| Tags::parse(text.as_bytes());
        let wanted = Preconditions {
            if_match: if_match.map(parse),
            if_none_match: if_none_match.map(parse),
        };
        wanted.verdict(reads, |tag| tag.version() == Some(3))
    }

    #[test]
    fn if_match_compares_strongly_and_comes_first_and_if_none_match_weakly() {
        use Verdict::{Failed, NotModified, Perform};
        for (if_match, if_none_match, read, change) in [
            (None, None, Perform, Perform),
            (Some("\"3-ab\""), None, Perform, Perform),
            (Some("\"3\""), None, Perform, Perform),
            (Some("\"3-ab-gzip\""), None, Perform, Perform),
            (Some("\"1\", \"3\""), None, Perform, Perform),
            (Some("*"), None, Perform, Perform),
            (Some("W/\"3\""), None, Failed, Failed),
            (Some("\"33\""), None, Failed, Failed),
            (Some("3"), None, Failed, Failed),
            (Some("abc"), None, Failed, Failed),
            (None, Some("\"3\""), NotModified, Failed),
            (None, Some("W/\"3\""), NotModified, Failed),
            (None, Some("*"), NotModified, Failed),
            (None, Some("\"2\", abc"), Perform, Perform),
            (Some("\"2\""), Some("\"3\""), Failed, Failed),
            (Some("\"3\""), Some("\"3\""), NotModified, Failed),
        ] {
            assert_eq!(
                verdict(if_match, if_none_match, true),
                read,
                "{if_match:?} {if_none_match:?}"
            );
            assert_eq!(
                verdict(if_match, if_none_match, false),
                change,
                "{if_match:?} {if_none_match:?}"
            );
        }
    }

    #[test]
    fn the_compressed_form_has_a_tag_of_its_own() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ETAG, HeaderValue::from_static("\"3-ab\""));
        name_coding(&mut headers);
        assert_eq!(headers[header::ETAG], "\"3-ab\"");
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        name_coding(&mut headers);
        assert_eq!(headers[header::ETAG], "\"3-ab-gzip\"");
    }
}
