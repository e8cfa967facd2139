//! `/audit`: who did what. Each service answers for its own records, and the gateway puts them in one order: a page lacks
//! none, or there is no page.

use axum::{Json as Answer, extract::State};
use chassis::{
    grpc::{from_timestamp, timestamp as message_of},
    page::{self, DEFAULT_PAGE_SIZE, Keyset, ListDigest},
    violations::Violations,
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
    decode::{Checked, Faults},
    input::Query,
    list::{Links, Target},
    timestamp::{self, Timestamp},
    unless_empty,
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
    #[schema(nullable = false)]
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
    /// The `next` of an answer to the same query, to go on behind it; empty to begin.
    cursor: Option<String>,
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

/// A place in the order of all records: microseconds, which is what databases keep, and the record's id.
type Place = (i64, Uuid);

fn place(record: &RecordMessage) -> Option<Place> {
    let at = from_timestamp(record.at.as_ref())?.unix_timestamp_nanos() / 1_000;
    Some((i64::try_from(at).ok()?, Uuid::try_parse(&record.id).ok()?))
}

fn position((at, id): Place) -> Option<AuditPosition> {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000).ok()?;
    Some(AuditPosition {
        at: Some(message_of(at)),
        id: id.to_string(),
    })
}

impl AuditQuery {
    fn limit(&self) -> u32 {
        self.limit.unwrap_or(DEFAULT_PAGE_SIZE)
    }

    /// What cursors of the list belong to.
    fn digest(&self) -> ListDigest {
        let id = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
        let name = |name: Option<&Name>| name.map(|Name(name)| name.clone()).unwrap_or_default();
        let time = |time: Option<Timestamp>| {
            let time = time.map(|Timestamp(time)| time.unix_timestamp_nanos().to_string());
            time.unwrap_or_default()
        };
        let narrowed = [
            id(self.actor),
            name(self.subject_kind.as_ref()),
            id(self.subject),
            name(self.action.as_ref()),
            time(self.since),
            time(self.until),
        ];
        ListDigest::of("audit", &narrowed.each_ref().map(String::as_str))
    }
}

impl Checked for AuditQuery {
    fn check(&self, faults: &mut Faults) {
        let mut violations = Violations::new();
        page::check(&mut violations, None, self.limit(), self.cursor.as_deref());
        for violation in &violations {
            // What other lists call `page_size`.
            let field = if violation.field == "page_size" {
                "limit"
            } else {
                &violation.field
            };
            faults.take(field, Err::<(), _>(&*violation.expected));
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
            trace_id: unless_empty(record.trace_id),
        }
    }
}

impl From<PrincipalMessage> for AuditActor {
    fn from(principal: PrincipalMessage) -> Self {
        Self {
            kind: principal.kind,
            user_id: unless_empty(principal.user_id),
            session_id: unless_empty(principal.session_id),
            address: unless_empty(principal.address),
        }
    }
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
    responses((status = 200, body = AuditRecordList, headers(("link" = String))), (status = 403, description = "Not an admin")),
)]
async fn list(
    State(api): State<Api>,
    _: Admin,
    target: Target,
    Query(query): Query<AuditQuery>,
) -> Result<(Links, Answer<AuditRecordList>), Problem> {
    let cursor = query.cursor.as_deref().unwrap_or_default();
    let page = Keyset::<Place>::read(query.digest(), 0, query.limit(), Some(cursor))?;
    let after = page.after().copied().map(|place| {
        position(place).ok_or_else(|| Problem::invalid_field("cursor", "must be the `next` of an answer"))
    });
    let after = after.transpose()?;
    let request = ListAuditRecordsRequest {
        actor_id: query.actor.map(|id| id.to_string()),
        limit: query.limit(),
        subject_kind: query.subject_kind.map(|Name(name)| name),
        subject_id: query.subject.map(|id| id.to_string()),
        action: query.action.map(|Name(name)| name),
        since: query.since.map(|Timestamp(at)| message_of(at)),
        until: query.until.map(|Timestamp(at)| message_of(at)),
        after,
    };
    let answers = api.backends.audit_records(&request).await?;
    let more = answers.iter().any(|answer| answer.more);
    let records = answers.into_iter().flat_map(|answer| answer.records);
    let placed: Option<Vec<_>> = records
        .map(|record| place(&record).map(|place| (place, record)))
        .collect();
    let mut placed = placed.ok_or_else(Problem::internal)?;
    placed.sort_unstable_by_key(|(place, _)| std::cmp::Reverse(*place));
    // What a service has left out comes after all that it gave, and so after what is left of this page.
    let more = more || placed.len() > page.size();
    placed.truncate(page.size());
    let last = placed.last().filter(|_| more).map(|(place, _)| *place);
    let shown = page.entries_until(placed, last);
    let links = Links::by_cursor(&target, &shown.next);
    let items = shown.items.into_iter().map(|(_, record)| record.into()).collect();
    let next = unless_empty(shown.next);
    Ok((links, Answer(AuditRecordList { items, next })))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_place_is_that_of_its_record() {
        let record = RecordMessage {
            id: Uuid::now_v7().to_string(),
            at: Some(message_of(
                time::macros::datetime!(2026-01-02 03:04:05.123456 UTC),
            )),
            ..RecordMessage::default()
        };
        let position = position(place(&record).unwrap()).unwrap();
        assert_eq!((position.at, position.id), (record.at, record.id));
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
