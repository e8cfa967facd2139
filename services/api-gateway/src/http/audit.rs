//! `/audit`: who did what. Each service answers for its own records, and the gateway puts them in one order: a page lacks
//! none, or there is no page.

use std::fmt;

use axum::{Json as Answer, extract::State};
use chassis::{
    grpc::{from_timestamp, timestamp as message_of},
    page::DEFAULT_PAGE_SIZE,
};
use proto::audit::{
    AuditPosition, AuditRecord as RecordMessage, ListAuditRecordsRequest, Principal as PrincipalMessage,
};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    Api,
    caller::Admin,
    input::Query,
    timestamp::{self, Timestamp},
};
use crate::problem::Problem;

/// One thing that was done.
#[derive(Serialize, ToSchema)]
struct AuditRecord {
    /// UUIDv7.
    #[schema(format = Uuid)]
    id: String,
    /// When it was done.
    #[serde(serialize_with = "timestamp::fixed_width")]
    #[schema(value_type = String, format = DateTime, required = true, example = "2026-01-02T03:04:05.120000Z")]
    at: Option<OffsetDateTime>,
    /// Who did it.
    actor: AuditActor,
    /// What was done. Later versions may add others.
    #[schema(max_length = 64, example = "product.updated")]
    action: String,
    /// What it was done to.
    subject: AuditSubject,
    /// Why, in the words of who did it.
    #[schema(required = true)]
    reason: Option<String>,
    /// The fields that it changed; none where it was done rather than changed.
    #[schema(max_items = 16)]
    changes: Vec<AuditChange>,
    /// The trace that it was part of.
    #[schema(required = true)]
    trace_id: Option<String>,
}

/// Who did something, from where.
#[derive(Serialize, ToSchema)]
struct AuditActor {
    /// `user` and `admin` were logged in, and might do at that moment what these may; `anonymous` was not; `system` is the
    /// shop itself; `unknown` is not known. Later versions may add others.
    #[schema(examples("admin", "user", "anonymous", "system", "unknown"))]
    kind: String,
    /// The account.
    #[schema(format = Uuid, required = true)]
    user_id: Option<String>,
    /// The session that the account used.
    #[schema(format = Uuid, required = true)]
    session_id: Option<String>,
    /// The IP address that the request came from.
    #[schema(required = true, max_length = 64, example = "192.0.2.1")]
    address: Option<String>,
}

/// What something was done to.
#[derive(Serialize, ToSchema)]
struct AuditSubject {
    /// Later versions may add others.
    #[schema(examples("user", "product", "order"))]
    kind: String,
    /// A UUID.
    #[schema(format = Uuid)]
    id: String,
}

/// A field that was changed: its values as text, of which 200 characters are kept.
#[derive(Serialize, ToSchema)]
struct AuditChange {
    /// Its name.
    #[schema(max_length = 64, example = "price_minor_units")]
    field: String,
    /// What it was; null where there was nothing.
    #[schema(required = true, max_length = 200, example = "1099")]
    old: Option<String>,
    /// What it became; null where there is nothing any more.
    #[schema(required = true, max_length = 200, example = "899")]
    new: Option<String>,
}

/// A page of what was done, newest first.
#[derive(Serialize, ToSchema)]
struct AuditRecordList {
    /// What is on the page.
    items: Vec<AuditRecord>,
    /// The `cursor` of the next page; not there where this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 64, nullable = false)]
    next: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    /// Only what this account did.
    actor: Option<Uuid>,
    /// Only what was done to this kind of thing.
    #[param(value_type = Option<String>, pattern = "^[a-z._]{0,64}$", example = "product")]
    subject_kind: Option<Name>,
    /// Only what was done to the thing with this id.
    subject: Option<Uuid>,
    /// Only this action.
    #[param(value_type = Option<String>, pattern = "^[a-z._]{0,64}$", example = "product.updated")]
    action: Option<Name>,
    /// Only what was done then or later.
    #[param(value_type = Option<String>, format = DateTime, example = "2026-01-02T03:04:05Z")]
    since: Option<Timestamp>,
    /// Only what was done before.
    #[param(value_type = Option<String>, format = DateTime, example = "2026-01-03T03:04:05Z")]
    until: Option<Timestamp>,
    /// The most on a page; 20 where nothing is said.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// Where to go on: `next` of the page before, with the same filters.
    #[param(value_type = Option<String>, pattern = "^[0-9a-f]{1,14}-[0-9a-f]{32}$")]
    cursor: Option<Place>,
}

/// The name of an action, or of a kind of thing.
struct Name(String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let is_of_a_name = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_');
        if text.len() <= 64 && text.bytes().all(is_of_a_name) {
            Ok(Self(text))
        } else {
            Err(D::Error::custom("must be at most 64 of a-z, _ and ."))
        }
    }
}

/// A place in the order of all records. Its text is for whoever gave it alone to read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    at: OffsetDateTime,
    id: Uuid,
}

impl Place {
    fn of(record: &RecordMessage) -> Option<Self> {
        Some(Self {
            at: from_timestamp(record.at.as_ref())?,
            id: Uuid::try_parse(&record.id).ok()?,
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let (at, id) = text.split_once('-')?;
        let at = i128::from(u64::from_str_radix(at, 16).ok()?) * 1_000;
        Some(Self {
            at: OffsetDateTime::from_unix_timestamp_nanos(at).ok()?,
            id: Uuid::try_parse(id).ok()?,
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The database keeps microseconds.
        let at = self.at.unix_timestamp_nanos() / 1_000;
        write!(f, "{at:x}-{}", self.id.simple())
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("must be the `next` of a page"))
    }
}

impl From<Place> for AuditPosition {
    fn from(place: Place) -> Self {
        Self {
            at: Some(message_of(place.at)),
            id: place.id.to_string(),
        }
    }
}

impl From<RecordMessage> for AuditRecord {
    fn from(record: RecordMessage) -> Self {
        Self {
            id: record.id,
            at: from_timestamp(record.at.as_ref()),
            actor: record.actor.unwrap_or_default().into(),
            action: record.action,
            subject: AuditSubject {
                kind: record.subject_kind,
                id: record.subject_id,
            },
            reason: record.reason,
            changes: changes(&record.changes),
            trace_id: some(record.trace_id),
        }
    }
}

impl From<PrincipalMessage> for AuditActor {
    fn from(principal: PrincipalMessage) -> Self {
        Self {
            kind: principal.kind,
            user_id: some(principal.user_id),
            session_id: some(principal.session_id),
            address: some(principal.address),
        }
    }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// What a record's `changes` say.
fn changes(json: &str) -> Vec<AuditChange> {
    let fields: Map<String, Value> = serde_json::from_str(json).unwrap_or_default();
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        value => Some(value.to_string()),
    };
    let change = |(field, change): (String, Value)| AuditChange {
        field,
        old: text(&change["old"]),
        new: text(&change["new"]),
    };
    fields.into_iter().map(change).collect()
}

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list))
}

/// What people changed, newest first: who, what, why, when and from where.
#[utoipa::path(
    get, path = "/audit", tag = "audit", security(("token" = [])), params(AuditQuery),
    responses((status = 200, body = AuditRecordList), (status = 403, description = "Not an admin")),
)]
async fn list(
    State(api): State<Api>,
    _: Admin,
    Query(query): Query<AuditQuery>,
) -> Result<Answer<AuditRecordList>, Problem> {
    let limit = query.limit.unwrap_or(DEFAULT_PAGE_SIZE);
    let request = ListAuditRecordsRequest {
        actor_id: query.actor.map(|id| id.to_string()),
        subject_kind: query.subject_kind.map(|Name(name)| name),
        subject_id: query.subject.map(|id| id.to_string()),
        action: query.action.map(|Name(name)| name),
        since: query.since.map(|Timestamp(at)| message_of(at)),
        until: query.until.map(|Timestamp(at)| message_of(at)),
        after: query.cursor.map(AuditPosition::from),
        limit,
    };
    let answers = api.backends.audit_records(&request).await?;
    let mut more = answers.iter().any(|answer| answer.more);
    let records = answers.into_iter().flat_map(|answer| answer.records);
    let placed: Option<Vec<_>> = records
        .map(|record| Place::of(&record).map(|place| (place, record)))
        .collect();
    let mut placed = placed.ok_or_else(Problem::internal)?;
    placed.sort_unstable_by_key(|(place, _)| std::cmp::Reverse(*place));
    // What a service has left out comes after all that it gave, and so after what is left of this page.
    more |= placed.len() > limit as usize;
    placed.truncate(limit as usize);
    let next = placed.last().filter(|_| more).map(|(place, _)| place.to_string());
    Ok(Answer(AuditRecordList {
        items: placed.into_iter().map(|(_, record)| record.into()).collect(),
        next,
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_cursor_is_the_place_that_gave_it() {
        let place = Place {
            at: OffsetDateTime::from_unix_timestamp_nanos(1_767_225_600_123_456_000).unwrap(),
            id: Uuid::now_v7(),
        };
        assert!(Place::parse(&place.to_string()) == Some(place));
        assert!(place.to_string().len() <= 64);
        for text in [
            "",
            "-",
            "1",
            "x-00000000000000000000000000000000",
            "-1-00000000000000000000000000000000",
            "ffffffffffffffff-00000000000000000000000000000000",
            "1-0",
        ] {
            assert!(Place::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn changes_are_text_of_whatever_kind_they_are() {
        let told = changes(
            r#"{"stock":{"old":1,"new":11},"name":{"old":null,"new":"Cup"},"off":{"old":false,"new":true}}"#,
        );
        let told: Vec<_> = told
            .iter()
            .map(|change| {
                (
                    change.field.as_str(),
                    change.old.as_deref(),
                    change.new.as_deref(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("name", None, Some("Cup")),
                ("off", Some("false"), Some("true")),
                ("stock", Some("1"), Some("11")),
            ]
        );
    }
}
