//! Tags of representations and requests that depend on them, as
//! [RFC 9110, section 13](https://www.rfc-editor.org/rfc/rfc9110#section-13) has them.
//!
//! A tag is made of the bytes of the representation. Where the resource counts its changes, the count stands before it:
//! `"3-5f2b…"`. Such a resource is changed if it is still at that version, whatever its stock has become meanwhile: the
//! stock has a call of its own. The compressed form of an answer has a tag of its own, which ends in `-gzip`.
//!
//! What is no tag matches nothing: with `If-Match` nothing is done, and with `If-None-Match` everything is sent. The crate
//! `headers` has these headers too, but shows none of the tags in them, and the version must be seen.

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

use super::Api;
use crate::problem::Problem;

/// What the tag of a compressed answer ends in.
const COMPRESSED: &[u8] = b"-gzip";
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
const CATALOGUE: HeaderValue = HeaderValue::from_static("public, max-age=5");

/// An entity tag (RFC 9110, section 8.8.3).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tag {
    weak: bool,
    opaque: Vec<u8>,
}

/// What `If-Match` or `If-None-Match` names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Tags {
    /// `*`: whatever there is.
    Any,
    /// One of these.
    Listed(Vec<Tag>),
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
        use std::fmt::Write as _;

        let bytes = serde_json::to_vec(&self.value)?;
        let mut opaque = self
            .version
            .map_or_else(String::new, |version| format!("{version}-"));
        for byte in &Sha256::digest(&bytes)[..DIGEST_BYTES] {
            let _never_fails = write!(opaque, "{byte:02x}");
        }
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

impl Tag {
    /// A server's own, as it stands in `ETag`.
    fn of(value: &HeaderValue) -> Option<Self> {
        match Tags::parse(value.as_bytes()) {
            Tags::Listed(tags) => tags.into_iter().next(),
            Tags::Any => None,
        }
    }

    /// The version that the tag names.
    fn version(&self) -> Option<i64> {
        let version = self.opaque.split(|byte| *byte == b'-').next()?;
        std::str::from_utf8(version).ok()?.parse().ok()
    }
}

impl Tags {
    fn of(headers: &HeaderMap, name: &HeaderName) -> Option<Self> {
        let lines: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
        (!lines.is_empty()).then(|| Self::parse(&lines.join(&b',')))
    }

    /// The tags of a list; what is none is left out.
    fn parse(text: &[u8]) -> Self {
        if text.trim_ascii() == b"*" {
            return Self::Any;
        }
        let (mut tags, mut rest) = (Vec::new(), text);
        while !rest.is_empty() {
            let (tag, behind) = Self::first(rest);
            tags.extend(tag);
            rest = behind;
        }
        Self::Listed(tags)
    }

    /// The member that a list begins with, if it is a tag, and what stands behind its comma. Within quotes a comma is a
    /// character as any other.
    fn first(list: &[u8]) -> (Option<Tag>, &[u8]) {
        let list = list.trim_ascii_start();
        let weak = list.starts_with(b"W/");
        let quoted = if weak { &list[2..] } else { list };
        if let Some(text) = quoted.strip_prefix(b"\"")
            && let Some(end) = text.iter().position(|byte| *byte == b'"')
        {
            let behind = text[end + 1..].trim_ascii_start();
            let is_whole = behind.is_empty() || behind.starts_with(b",");
            let opaque = &text[..end];
            if is_whole && opaque.iter().all(|byte| *byte > b' ' && *byte != 0x7f) {
                let tag = Tag {
                    weak,
                    opaque: opaque.to_vec(),
                };
                return (Some(tag), behind.get(1..).unwrap_or_default());
            }
        }
        let comma = list.iter().position(|byte| *byte == b',');
        (None, comma.map_or(&[][..], |comma| &list[comma + 1..]))
    }

    /// Strong comparison: a weak tag is never the same.
    fn strongly(&self, same: impl Fn(&Tag) -> bool) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(tags) => tags.iter().any(|tag| !tag.weak && same(tag)),
        }
    }

    fn weakly(&self, same: impl Fn(&Tag) -> bool) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(tags) => tags.iter().any(same),
        }
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

fn without_coding(opaque: &[u8]) -> &[u8] {
    opaque.strip_suffix(COMPRESSED).unwrap_or(opaque)
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
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn tags(text: &str) -> Vec<(bool, String)> {
        match Tags::parse(text.as_bytes()) {
            Tags::Any => vec![(false, "any".to_owned())],
            Tags::Listed(tags) => tags
                .into_iter()
                .map(|tag| (tag.weak, String::from_utf8(tag.opaque).unwrap()))
                .collect(),
        }
    }

    #[test]
    fn a_list_has_the_tags_that_it_names_and_nothing_of_what_is_none() {
        let strong = |opaque: &str| (false, opaque.to_owned());
        for (text, expected) in [
            ("*", vec![strong("any")]),
            ("\"1\"", vec![strong("1")]),
            (" \"1\" ,\t\"2\"", vec![strong("1"), strong("2")]),
            ("\"a,b\",,\"c\"", vec![strong("a,b"), strong("c")]),
            ("W/\"1\"", vec![(true, "1".to_owned())]),
            ("\"\"", vec![strong("")]),
            ("1, abc, w/\"1\", \"1\"x, \"2\"", vec![strong("2")]),
            ("*, \"1\"", vec![strong("1")]),
            ("\"1", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(tags(text), expected, "{text}");
        }
    }

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
        assert_eq!(without_coding(b"3-ab-gzip"), b"3-ab");
    }

    proptest! {
        #[test]
        fn a_list_is_read_back_as_it_was_written(
            written in prop::collection::vec((any::<bool>(), "[!#-~]{0,12}"), 0..6), blank in "[ \t]{0,3}",
        ) {
            let text = |(weak, opaque): &(bool, String)| format!("{}\"{opaque}\"", if *weak { "W/" } else { "" });
            let list: Vec<String> = written.iter().map(text).collect();
            prop_assert_eq!(tags(&list.join(&format!("{blank},{blank}"))), written);
        }

        #[test]
        fn any_bytes_are_a_list(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _tags = Tags::parse(&bytes);
        }

        #[test]
        fn a_weak_tag_never_guards_a_change(opaque in "[!#-~]{0,12}") {
            let tags = Tags::parse(format!("W/\"{opaque}\"").as_bytes());
            prop_assert!(!tags.strongly(|_| true));
            prop_assert!(tags.weakly(|_| true));
        }
    }
}
