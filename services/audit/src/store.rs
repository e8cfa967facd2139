//! All SQL of the audit.

use chassis::{
    grpc::{Principal, PrincipalKind},
    open_enum::Open,
    postgres::{Database, Transaction},
    telemetry::trace,
};
use serde_json::Value;
use sqlx::{FromRow, Postgres, QueryBuilder, Row as _, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Record;

/// Adds records to the transaction of the change that they tell of, in their order: done by that principal, in the current
/// trace.
pub async fn append(
    transaction: &mut Transaction,
    principal: &Principal,
    records: &[Record],
) -> sqlx::Result<()> {
    for record in records {
        sqlx::query(
            "INSERT INTO audit_records
                 (id, actor_kind, actor_id, session_id, address, action, subject_kind, subject_id, reason, changes, trace_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(Uuid::now_v7())
        .bind(principal.kind.as_str())
        .bind(principal.user)
        .bind(principal.session)
        .bind(principal.address.map(|address| address.to_string()))
        .bind(record.action)
        .bind(record.subject.kind())
        .bind(record.subject.id())
        .bind(&record.reason)
        .bind(record.changes.to_json())
        .bind(trace::trace_id())
        .execute(&mut *transaction)
        .await?;
    }
    Ok(())
}

/// A record as it was written.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) id: Uuid,
    pub(crate) at: OffsetDateTime,
    pub(crate) actor: Principal,
    pub(crate) action: String,
    pub(crate) subject_kind: String,
    pub(crate) subject_id: Uuid,
    pub(crate) reason: Option<String>,
    pub(crate) changes: Value,
    pub(crate) trace_id: Option<String>,
}

impl FromRow<'_, PgRow> for Written {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let address: Option<&str> = row.try_get("address")?;
        Ok(Self {
            id: row.try_get("id")?,
            at: row.try_get("at")?,
            actor: Principal {
                kind: Open::<PrincipalKind>::parse(row.try_get("actor_kind")?),
                user: row.try_get("actor_id")?,
                session: row.try_get("session_id")?,
                address: address.and_then(|address| address.parse().ok()),
            },
            action: row.try_get("action")?,
            subject_kind: row.try_get("subject_kind")?,
            subject_id: row.try_get("subject_id")?,
            reason: row.try_get("reason")?,
            changes: row.try_get("changes")?,
            trace_id: row.try_get("trace_id")?,
        })
    }
}

/// Which records are wanted; where nothing is said, all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) actor: Option<Uuid>,
    pub(crate) subject_kind: Option<String>,
    pub(crate) subject: Option<Uuid>,
    pub(crate) action: Option<String>,
    pub(crate) since: Option<OffsetDateTime>,
    pub(crate) until: Option<OffsetDateTime>,
    /// Only what is older than this place in the order by time and id.
    pub(crate) after: Option<(OffsetDateTime, Uuid)>,
}

impl Filter {
    /// A statement of its own for each combination of filters: with all in one, no index would fit.
    fn statement(&self, limit: i64) -> QueryBuilder<Postgres> {
        let mut statement = QueryBuilder::new(
            "SELECT id, at, actor_kind, actor_id, session_id, address, action, subject_kind, subject_id, reason, changes,
                    trace_id
             FROM audit_records WHERE true",
        );
        if let Some(actor) = self.actor {
            statement.push(" AND actor_id = ").push_bind(actor);
        }
        if let Some(kind) = &self.subject_kind {
            statement.push(" AND subject_kind = ").push_bind(kind.clone());
        }
        if let Some(subject) = self.subject {
            statement.push(" AND subject_id = ").push_bind(subject);
        }
        if let Some(action) = &self.action {
            statement.push(" AND action = ").push_bind(action.clone());
        }
        if let Some(since) = self.since {
            statement.push(" AND at >= ").push_bind(since);
        }
        if let Some(until) = self.until {
            statement.push(" AND at < ").push_bind(until);
        }
        if let Some((at, id)) = self.after {
            statement.push(" AND (at, id) < (").push_bind(at);
            statement.push(", ").push_bind(id).push(")");
        }
        statement
            .push(" ORDER BY at DESC, id DESC LIMIT ")
            .push_bind(limit);
        statement
    }
}

/// At most so many of the records, newest first, and whether there are older ones.
pub(crate) async fn list(
    database: &Database,
    filter: &Filter,
    limit: usize,
) -> sqlx::Result<(Vec<Written>, bool)> {
    let one_more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let mut transaction = database.begin().await?;
    // Along an index in the order of the list, and no further than the page: the planner doesn't know how much one account
    // has done, and would otherwise read all of that, and sort it.
    sqlx::query(
        "SELECT set_config('enable_bitmapscan', 'off', true), set_config('enable_sort', 'off', true)",
    )
    .execute(&mut transaction)
    .await?;
    let mut records: Vec<Written> = filter
        .statement(one_more)
        .build_query_as()
        // There are a hundred combinations, and nobody is in a hurry: a session keeps no plan of them.
        .persistent(false)
        .fetch_all(&mut transaction)
        .await?;
    transaction.rollback().await?;
    let more = records.len() > limit;
    records.truncate(limit);
    Ok((records, more))
}
