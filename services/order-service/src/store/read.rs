//! Reading orders.

use std::collections::HashMap;

use chassis::{
    open_enum::Open,
    page::{Entries, Keyset, MAX_WINDOW},
};
use proto::event;
use sqlx::{FromRow, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Store;
use crate::order::{Line, Order, OrderFilter, OrderStatus, RejectedLine, Rejection};

/// The columns of an [`OrderRow`]. A statement names what it wants: `*` would give it whatever column a later version
/// adds, and its prepared form would fail from then on.
macro_rules! columns {
    () => {
        "id, user_id, status, currency_code, total_minor_units, rejection_reason, rejected_product, rejected_lines, \
         created_at, updated_at"
    };
}

#[derive(FromRow)]
struct OrderRow {
    id: Uuid,
    user_id: Uuid,
    status: String,
    currency_code: String,
    total_minor_units: i64,
    rejection_reason: Option<String>,
    rejected_product: Option<Uuid>,
    rejected_lines: Option<Json<Vec<event::RejectedLine>>>,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

#[derive(FromRow)]
struct LineRow {
    order_id: Uuid,
    product_id: Uuid,
    product_name: String,
    quantity: i64,
    unit_price_minor_units: i64,
}

impl Store {
    /// One order; with `user_id`, only if it is that user's.
    pub async fn order(&self, id: Uuid, user_id: Option<Uuid>) -> sqlx::Result<Option<Order>> {
        let row: Option<OrderRow> = sqlx::query_as(concat!(
            "SELECT ",
            columns!(),
            " FROM orders WHERE id = $1 AND ($2::uuid IS NULL OR user_id = $2)",
        ))
        .bind(id)
        .bind(user_id)
        .fetch_optional(&self.database)
        .await?;
        Ok(self.with_lines(row.into_iter().collect()).await?.pop())
    }

    /// A page of orders, newest first, and how many there are, counted up to the window.
    pub async fn orders(
        &self,
        filter: &OrderFilter,
        page: &Keyset<Uuid>,
    ) -> sqlx::Result<(Entries<Order>, i64)> {
        // A statement per kind of list, so that each has the plan of its own index.
        let of_whom = match (filter.user_id, filter.status) {
            (None, None) => "$1::uuid IS NULL AND $2::text IS NULL",
            (Some(_), None) => "user_id = $1 AND $2::text IS NULL",
            (None, Some(_)) => "$1::uuid IS NULL AND status = $2",
            // Written so that no index by status fits it: a status has more orders than anybody.
            (Some(_), Some(_)) => "user_id = $1 AND status || '' = $2",
        };
        // By time is by id, for which there are the indexes; the time itself decides at both ends, where it is asked for.
        let when = if filter.is_of_all_times() {
            "id >= $3 AND id < $4 AND $5::timestamptz IS NULL AND $6::timestamptz IS NULL"
        } else {
            "id >= $3 AND id < $4 AND created_at >= COALESCE($5, '-infinity')
             AND created_at < COALESCE($6, 'infinity')"
        };
        let status = filter.status.map(OrderStatus::as_str);
        let ids = filter.ids();
        let before = page.after().map_or(ids.end, |after| *after.min(&ids.end));
        let columns = columns!();
        let list = format!(
            "SELECT {columns} FROM orders WHERE {of_whom} AND {when} ORDER BY id DESC LIMIT $7 OFFSET $8"
        );
        let rows: Vec<OrderRow> = sqlx::query_as(sqlx::AssertSqlSafe(list))
            .bind(filter.user_id)
            .bind(status)
            .bind(ids.start)
            .bind(before)
            .bind(filter.created_from)
            .bind(filter.created_to)
            .bind(page.limit())
            .bind(page.offset())
            .fetch_all(&self.database)
            .await?;
        let count = format!(
            "SELECT count(*) FROM (SELECT FROM orders WHERE {of_whom} AND {when} LIMIT $7) AS counted"
        );
        let (total,) = sqlx::query_as(sqlx::AssertSqlSafe(count))
            .bind(filter.user_id)
            .bind(status)
            .bind(ids.start)
            .bind(ids.end)
            .bind(filter.created_from)
            .bind(filter.created_to)
            .bind(i64::from(MAX_WINDOW))
            .fetch_one(&self.database)
            .await?;
        let shown = page.entries(rows, |row| row.id);
        let orders = self.with_lines(shown.items).await?;
        let shown = Entries {
            items: orders,
            next: shown.next,
            page: shown.page,
        };
        Ok((shown, total))
    }

    /// The status of each order that there is.
    pub async fn statuses(&self, ids: &[Uuid]) -> sqlx::Result<Vec<(Uuid, Open<OrderStatus>)>> {
        let rows: Vec<(Uuid, String)> = sqlx::query_as("SELECT id, status FROM orders WHERE id = ANY($1)")
            .bind(ids)
            .fetch_all(&self.database)
            .await?;
        Ok(rows
            .into_iter()
            .map(|(id, status)| (id, Open::parse(&status)))
            .collect())
    }

    async fn with_lines(&self, rows: Vec<OrderRow>) -> sqlx::Result<Vec<Order>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        let lines: Vec<LineRow> = sqlx::query_as(
            "SELECT order_id, product_id, product_name, quantity, unit_price_minor_units
             FROM order_lines WHERE order_id = ANY($1) ORDER BY order_id, line_no",
        )
        .bind(ids)
        .fetch_all(&self.database)
        .await?;
        let mut by_order: HashMap<Uuid, Vec<Line>> = HashMap::new();
        for line in lines {
            by_order.entry(line.order_id).or_default().push(Line {
                product_id: line.product_id,
                product_name: line.product_name,
                quantity: line.quantity,
                unit_price: line.unit_price_minor_units,
            });
        }
        Ok(rows
            .into_iter()
            .map(|row| {
                let lines = by_order.remove(&row.id).unwrap_or_default();
                row.into_order(lines)
            })
            .collect())
    }
}

impl OrderRow {
    fn into_order(self, lines: Vec<Line>) -> Order {
        let rejection = match (self.rejection_reason, self.rejected_product) {
            (Some(reason), Some(product_id)) => Some(Rejection {
                first: RejectedLine {
                    product_id,
                    reason: Open::parse(&reason),
                },
                others: self
                    .rejected_lines
                    .into_iter()
                    .flat_map(|Json(lines)| lines)
                    .skip(1)
                    .map(|line| RejectedLine {
                        product_id: line.product_id,
                        reason: Open::parse(&line.reason),
                    })
                    .collect(),
            }),
            _ => None,
        };
        Order {
            id: self.id,
            user_id: self.user_id,
            status: Open::parse(&self.status),
            lines,
            currency: self.currency_code,
            total: self.total_minor_units,
            rejection,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}
