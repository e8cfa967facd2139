//! The contract `shop.audit.v1.AuditService`.

use chassis::{
    grpc::{
        from_timestamp,
        status::{invalid_field, parse_uuid},
        timestamp,
    },
    postgres::{self, Database},
};
use proto::{
    audit::{
        AuditRecord, ListAuditRecordsRequest, ListAuditRecordsResponse, Principal as PrincipalMessage,
        audit_service_server::{AuditService, AuditServiceServer},
    },
    limits,
};
use time::OffsetDateTime;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::store::{self, Filter, Written};

/// The longest name of an action or of a kind of thing.
const LONGEST_NAME: usize = 64;

/// Answers for the records of one service.
#[derive(Clone, Debug)]
pub struct AuditLog {
    database: Database,
}

/// To be served beside the service's own. The database must have the table of [`migrations`](crate::migrations).
pub fn service(database: Database) -> AuditServiceServer<AuditLog> {
    AuditServiceServer::new(AuditLog { database })
}

#[tonic::async_trait]
impl AuditService for AuditLog {
    async fn list_audit_records(
        &self,
        request: Request<ListAuditRecordsRequest>,
    ) -> Result<Response<ListAuditRecordsResponse>, Status> {
        let request = request.into_inner();
        let limit = request.limit;
        if !(1..=limits::PAGE_SIZE).contains(&limit) {
            let expected = format!("must be from 1 to {}", limits::PAGE_SIZE);
            return Err(invalid_field("limit", expected));
        }
        let filter = filter(request)?;
        let listed = store::list(&self.database, &filter, limit as usize).await;
        let (records, more) = listed.map_err(postgres::status)?;
        Ok(Response::new(ListAuditRecordsResponse {
            records: records.into_iter().map(message).collect(),
            more,
        }))
    }
}

fn filter(request: ListAuditRecordsRequest) -> Result<Filter, Status> {
    let after = match &request.after {
        Some(place) => {
            let at = time("after.at", place.at.as_ref())?;
            let at = at.ok_or_else(|| invalid_field("after.at", "must be set"))?;
            Some((at, parse_uuid("after.id", &place.id)?))
        }
        None => None,
    };
    Ok(Filter {
        actor: id("actor_id", request.actor_id.as_deref())?,
        subject_kind: name("subject_kind", request.subject_kind)?,
        subject: id("subject_id", request.subject_id.as_deref())?,
        action: name("action", request.action)?,
        since: time("since", request.since.as_ref())?,
        until: time("until", request.until.as_ref())?,
        after,
    })
}

fn id(field: &'static str, text: Option<&str>) -> Result<Option<Uuid>, Status> {
    text.map(|text| parse_uuid(field, text)).transpose()
}

fn name(field: &'static str, text: Option<String>) -> Result<Option<String>, Status> {
    let is_name = |text: &String| {
        let is_of_a_name = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_');
        text.len() <= LONGEST_NAME && text.bytes().all(is_of_a_name)
    };
    match text {
        Some(text) if !is_name(&text) => Err(invalid_field(
            field,
            format!("must be at most {LONGEST_NAME} of a-z, _ and ."),
        )),
        text => Ok(text),
    }
}

/// The database knows no times before 4713 BC.
fn time(
    field: &'static str,
    message: Option<&prost_types::Timestamp>,
) -> Result<Option<OffsetDateTime>, Status> {
    let Some(message) = message else {
        return Ok(None);
    };
    let time = from_timestamp(Some(message)).filter(|time| time.year() >= 0);
    time.map(Some)
        .ok_or_else(|| invalid_field(field, "must be a time of the years 0 to 9999"))
}

fn message(record: Written) -> AuditRecord {
    AuditRecord {
        id: record.id.to_string(),
        at: Some(timestamp(record.at)),
        actor: Some(PrincipalMessage::from(&record.actor)),
        action: record.action,
        subject_kind: record.subject_kind,
        subject_id: record.subject_id.to_string(),
        reason: record.reason,
        changes: record.changes.to_string(),
        trace_id: record.trace_id.unwrap_or_default(),
    }
}
