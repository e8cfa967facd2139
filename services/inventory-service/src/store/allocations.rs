//! Taking and giving back the stock of many orders in one transaction: the hot path.
//!
//! Most batches are of new orders for which there is enough of everything. Such a batch is one statement, which is a
//! transaction by itself ([`TAKE_ALL`]). It decides nothing but whether it is such a batch; where it is not, nothing has
//! changed, and the rules decide ([`plan_allocation`]), between a statement that reads under lock and one that writes.
//!
//! Every transaction takes its locks in one global order, so that none can deadlock: first the rows of stock by
//! ascending product id, then the orders' rows by ascending order id. Two transactions that decide about the same
//! order mostly meet at its products' rows; where they don't (its products are unknown, say), the second finds the
//! order's row taken when it writes, rolls back and plans again with what the first decided.

use std::collections::{BTreeMap, HashMap};

use chassis::{
    open_enum::Open,
    postgres::{Transaction, constraint},
};
use proto::event::{self, StockChangeKind};
use sqlx::types::Json;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::stock::{Decision, Line, Order, Plan, RejectedLine, Rejection, plan_allocation, plan_release};

/// How often a batch is planned before its caller is told to come back later.
const MAX_ATTEMPTS: u32 = 5;
/// What a decision violates about an order that there is one about.
const DECIDED: [&str; 2] = ["allocations_pkey", "stock_movements_order_key"];

/// Takes everything that the orders want, or nothing: where one of them was decided about before, or of one of the products
/// there is not enough, or none for sale. `$1`, `$2`: the products in ascending order, and how much of each is wanted; `$3`:
/// the orders in ascending order; `$4` to `$6`: their lines. Gives whether it did.
///
/// An order that is decided about while this waits for a lock is not seen; its row is there then, and the statement fails
/// with all that it has done. Nothing is written before every row of stock is locked, since all of it depends on `enough`.
const TAKE_ALL: &str = "WITH wanted AS (
         SELECT product_id, units FROM unnest($1::uuid[], $2::bigint[]) AS wanted (product_id, units)
     ), locked AS MATERIALIZED (
         SELECT s.product_id, s.available, p.deleted_at
         FROM stock s JOIN products p ON p.id = s.product_id
         WHERE s.product_id = ANY($1) ORDER BY s.product_id FOR NO KEY UPDATE OF s
     ), enough AS MATERIALIZED (
         SELECT count(*) = cardinality($1)
                AND bool_and(locked.available >= wanted.units AND locked.deleted_at IS NULL)
                AND NOT EXISTS (SELECT FROM allocations WHERE order_id = ANY($3)) AS is_so
         FROM locked JOIN wanted USING (product_id)
     ), decided AS (
         INSERT INTO allocations (order_id, status)
         SELECT order_id, 'allocated' FROM unnest($3::uuid[]) AS new (order_id)
         WHERE (SELECT is_so FROM enough)
     ), movements AS (
         INSERT INTO stock_movements (order_id, product_id, delta, kind)
         SELECT order_id, product_id, delta, 'allocation'
         FROM unnest($4::uuid[], $5::uuid[], $6::bigint[]) AS new (order_id, product_id, delta)
         WHERE (SELECT is_so FROM enough)
     ), moved AS (
         UPDATE stock SET available = available - wanted.units FROM wanted
         WHERE stock.product_id = wanted.product_id AND (SELECT is_so FROM enough)
     )
     SELECT is_so FROM enough";

impl Store {
    /// Takes the stock of orders: one answer per order, in order.
    pub async fn allocate(&self, orders: &[Order]) -> Result<Vec<Decision>, StoreError> {
        if orders.is_empty() {
            return Ok(Vec::new());
        }
        let order_ids: Vec<Uuid> = orders.iter().map(Order::id).collect();
        let wanted = wanted(orders);
        // An event for each change would have to say what is left.
        if !self.emits_stock_changed && self.take_all(orders, &wanted).await? {
            return Ok(vec![Decision::Allocated; orders.len()]);
        }
        let product_ids: Vec<Uuid> = wanted.into_keys().collect();
        for _ in 0..MAX_ATTEMPTS {
            let mut transaction = self.database.begin().await?;
            let (known, available) = lock_and_read(&mut transaction, &order_ids, &product_ids).await?;
            let plan = plan_allocation(orders, &known, available);
            if self
                .write(transaction, &plan, StockChangeKind::Allocation)
                .await?
            {
                return Ok(plan.answers);
            }
        }
        Err(StoreError::Contended)
    }

    /// Takes all that the orders want in one statement. False, and nothing is changed, where that can't be.
    async fn take_all(&self, orders: &[Order], wanted: &BTreeMap<Uuid, i64>) -> sqlx::Result<bool> {
        let mut order_ids: Vec<Uuid> = orders.iter().map(Order::id).collect();
        order_ids.sort_unstable();
        if order_ids.windows(2).any(|two| two[0] == two[1]) {
            return Ok(false);
        }
        let lines = || {
            orders
                .iter()
                .flat_map(|order| order.lines().iter().map(|line| (order.id(), line)))
        };
        let taken = sqlx::query_scalar(TAKE_ALL)
            .bind(wanted.keys().copied().collect::<Vec<_>>())
            .bind(wanted.values().copied().collect::<Vec<_>>())
            .bind(order_ids)
            .bind(lines().map(|(order_id, _)| order_id).collect::<Vec<_>>())
            .bind(lines().map(|(_, line)| line.product_id).collect::<Vec<_>>())
            .bind(lines().map(|(_, line)| -line.quantity).collect::<Vec<_>>())
            .fetch_one(&self.database)
            .await;
        match taken {
            // Somebody has decided about one of them meanwhile.
            Err(error) if constraint(&error).is_some_and(|name| DECIDED.contains(&name)) => Ok(false),
            taken => taken,
        }
    }

    /// Gives back the stock of orders; one answer per order, in order.
    pub async fn release(&self, order_ids: &[Uuid]) -> Result<Vec<Decision>, StoreError> {
        if order_ids.is_empty() {
            return Ok(Vec::new());
        }
        for _ in 0..MAX_ATTEMPTS {
            let mut transaction = self.database.begin().await?;
            let taken = lines_taken(&mut transaction, order_ids).await?;
            let mut product_ids: Vec<Uuid> = taken.values().flatten().map(|line| line.product_id).collect();
            product_ids.sort_unstable();
            product_ids.dedup();
            lock_stock(&mut transaction, &product_ids).await?;
            // Read once the locks are held: another release may have come first.
            let known = decisions(&mut transaction, order_ids).await?;
            let Some(plan) = plan_release(order_ids, &known, &taken) else {
                continue;
            };
            if self.write(transaction, &plan, StockChangeKind::Release).await? {
                return Ok(plan.answers);
            }
        }
        Err(StoreError::Contended)
    }

    /// Writes a plan in one statement, then its events, and commits. False, and nothing is written, if another
    /// transaction has decided about one of the orders meanwhile.
    async fn write(
        &self,
        mut transaction: Transaction,
        plan: &Plan,
        kind: StockChangeKind,
    ) -> Result<bool, StoreError> {
        if plan.is_empty() {
            return Ok(true);
        }
        let decided_ids: Vec<Uuid> = plan.decided.keys().copied().collect();
        let (statuses, reasons, rejected_products, rejected_lines): (Vec<_>, Vec<_>, Vec<_>, Vec<_>) =
            plan.decided.values().map(columns).collect();
        let (order_ids, product_ids, deltas): (Vec<_>, Vec<_>, Vec<_>) = plan
            .movements
            .iter()
            .map(|line| (line.order_id, line.product_id, line.delta))
            .collect();
        let stock_changes = plan.stock_changes();
        let (changed_products, changes): (Vec<_>, Vec<_>) = stock_changes
            .iter()
            .map(|(product_id, change)| (*product_id, *change))
            .unzip();
        let written = sqlx::query_as(
            "WITH decided AS (
                 INSERT INTO allocations (order_id, status, rejection_reason, rejected_product, rejected_lines)
                 SELECT order_id, status, reason, product_id, lines
                 FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $12::jsonb[])
                      AS new (order_id, status, reason, product_id, lines)
                 ON CONFLICT (order_id) DO NOTHING RETURNING 1
             ), released AS (
                 UPDATE allocations SET status = 'released', updated_at = now()
                 WHERE order_id = ANY($5) AND status = 'allocated' RETURNING 1
             ), movements AS (
                 INSERT INTO stock_movements (order_id, product_id, delta, kind)
                 SELECT order_id, product_id, delta, $9
                 FROM unnest($6::uuid[], $7::uuid[], $8::bigint[]) AS new (order_id, product_id, delta)
             ), moved AS (
                 UPDATE stock SET available = available + change
                 FROM unnest($10::uuid[], $11::bigint[]) AS changes (product_id, change)
                 WHERE stock.product_id = changes.product_id RETURNING 1
             )
             SELECT (SELECT count(*) FROM decided), (SELECT count(*) FROM released), (SELECT count(*) FROM moved)",
        )
        .bind(&decided_ids)
        .bind(statuses)
        .bind(reasons)
        .bind(rejected_products)
        .bind(&plan.released)
        .bind(order_ids)
        .bind(product_ids)
        .bind(deltas)
        .bind(kind.as_str())
        .bind(&changed_products)
        .bind(changes)
        .bind(rejected_lines)
        .fetch_one(&mut transaction)
        .await;
        let written: (i64, i64, i64) = match written {
            Ok(written) => written,
            // The ledger has lines of an order that had none when it was read.
            Err(error) if constraint(&error) == Some("stock_movements_order_key") => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let expected = [decided_ids.len(), plan.released.len(), changed_products.len()];
        let complete = expected.map(i64::try_from) == [written.0, written.1, written.2].map(Ok);
        if complete {
            self.append_stock_changed(&mut transaction, kind, &stock_changes)
                .await?;
            transaction.commit().await?;
        } else {
            transaction.rollback().await?;
        }
        Ok(complete)
    }
}

/// How much of each product orders want together.
fn wanted(orders: &[Order]) -> BTreeMap<Uuid, i64> {
    let mut wanted = BTreeMap::new();
    for line in orders.iter().flat_map(Order::lines) {
        *wanted.entry(line.product_id).or_default() += line.quantity;
    }
    wanted
}

/// What was decided about orders so far, and the units of the products that are for sale, whose rows of stock it locks in
/// ascending order: in one statement. What is decided while that waits for a lock is not seen; writing finds that out.
async fn lock_and_read(
    connection: &mut Transaction,
    order_ids: &[Uuid],
    product_ids: &[Uuid],
) -> sqlx::Result<(HashMap<Uuid, Decision>, HashMap<Uuid, i64>)> {
    struct Row {
        id: Uuid,
        available: Option<i64>,
        status: Option<String>,
        reason: Option<String>,
        product: Option<Uuid>,
        lines: Option<RejectedLines>,
    }
    chassis::from_row!(Row {
        id,
        available,
        status,
        reason,
        product,
        lines
    });
    let rows: Vec<Row> = sqlx::query_as(
        "WITH locked AS (
             SELECT s.product_id, s.available, p.deleted_at
             FROM stock s JOIN products p ON p.id = s.product_id
             WHERE s.product_id = ANY($1) ORDER BY s.product_id FOR NO KEY UPDATE OF s
         )
         SELECT product_id AS id, available, NULL AS status, NULL AS reason, NULL::uuid AS product,
                NULL::jsonb AS lines
         FROM locked WHERE deleted_at IS NULL
         UNION ALL
         SELECT order_id, NULL, status, rejection_reason, rejected_product, rejected_lines
         FROM allocations WHERE order_id = ANY($2)",
    )
    .bind(product_ids)
    .bind(order_ids)
    .fetch_all(connection)
    .await?;
    let (mut known, mut available) = (HashMap::new(), HashMap::new());
    for row in rows {
        if let Some(units) = row.available {
            available.insert(row.id, units);
        } else if let Some(status) = row.status {
            known.insert(row.id, decision(&status, row.reason, row.product, row.lines));
        }
    }
    Ok((known, available))
}

/// Locks the products' rows of stock, in ascending order.
async fn lock_stock(connection: &mut Transaction, product_ids: &[Uuid]) -> sqlx::Result<()> {
    sqlx::query("SELECT FROM stock WHERE product_id = ANY($1) ORDER BY product_id FOR NO KEY UPDATE")
        .bind(product_ids)
        .execute(connection)
        .await?;
    Ok(())
}

/// What was decided about orders so far.
async fn decisions(
    connection: &mut Transaction,
    order_ids: &[Uuid],
) -> sqlx::Result<HashMap<Uuid, Decision>> {
    type Row = (Uuid, String, Option<String>, Option<Uuid>, Option<RejectedLines>);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT order_id, status, rejection_reason, rejected_product, rejected_lines
         FROM allocations WHERE order_id = ANY($1)",
    )
    .bind(order_ids)
    .fetch_all(connection)
    .await?;
    let decided = rows
        .into_iter()
        .map(|(order_id, status, reason, product, lines)| {
            (order_id, decision(&status, reason, product, lines))
        });
    Ok(decided.collect())
}

/// The column `rejected_lines`: as an event has them.
type RejectedLines = Json<Vec<event::RejectedLine>>;

/// The decision of the columns `status`, `rejection_reason`, `rejected_product` and `rejected_lines`.
fn decision(
    status: &str,
    reason: Option<String>,
    product: Option<Uuid>,
    lines: Option<RejectedLines>,
) -> Decision {
    match (status, reason, product) {
        ("allocated", None, None) => Decision::Allocated,
        ("released", None, None) => Decision::Released,
        ("rejected", Some(reason), Some(product_id)) => Decision::Rejected(Rejection {
            first: RejectedLine {
                product_id,
                reason: Open::parse(&reason),
            },
            others: lines
                .into_iter()
                .flat_map(|Json(lines)| lines)
                .skip(1)
                .map(|line| RejectedLine {
                    product_id: line.product_id,
                    reason: Open::parse(&line.reason),
                })
                .collect(),
        }),
        _ => Decision::Newer(status.into()),
    }
}

/// The lines of those orders that are allocated.
async fn lines_taken(
    connection: &mut Transaction,
    order_ids: &[Uuid],
) -> sqlx::Result<HashMap<Uuid, Vec<Line>>> {
    let rows: Vec<(Uuid, Uuid, i64)> = sqlx::query_as(
        "SELECT m.order_id, m.product_id, -m.delta
         FROM allocations a JOIN stock_movements m ON m.order_id = a.order_id AND m.kind = 'allocation'
         WHERE a.order_id = ANY($1) AND a.status = 'allocated'",
    )
    .bind(order_ids)
    .fetch_all(connection)
    .await?;
    let mut taken: HashMap<Uuid, Vec<Line>> = HashMap::new();
    for (order_id, product_id, quantity) in rows {
        taken
            .entry(order_id)
            .or_default()
            .push(Line { product_id, quantity });
    }
    Ok(taken)
}

/// A decision as the columns `status`, `rejection_reason`, `rejected_product` and `rejected_lines`.
fn columns(decision: &Decision) -> (&str, Option<&str>, Option<Uuid>, Option<RejectedLines>) {
    match decision {
        Decision::Allocated => ("allocated", None, None, None),
        Decision::Released => ("released", None, None, None),
        Decision::Rejected(rejection) => {
            let RejectedLine { product_id, reason } = &rejection.first;
            let lines = rejection.lines().map(|line| event::RejectedLine {
                product_id: line.product_id,
                reason: line.reason.as_str().to_owned(),
            });
            let lines = (!rejection.others.is_empty()).then(|| Json(lines.collect()));
            ("rejected", Some(reason.as_str()), Some(*product_id), lines)
        }
        Decision::Newer(status) => (status, None, None, None),
    }
}
