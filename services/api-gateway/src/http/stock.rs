//! `/products/{id}/stock`: the stock by hand, and its ledger.

use axum::{Json as Answer, extract::State};
use chassis::grpc::from_timestamp;
use proto::inventory::{
    AdjustStockRequest, ListStockMovementsRequest, StockMovement as MovementMessage, StockMovementKind,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    availability::StockView,
    caller::Admin,
    decode::{Checked, Faults},
    idempotency::{IdempotencyKey, Replayed},
    input::{All, Id, Json, Query},
    list::{Links, List, Paging, Shown, Target},
    open_enum,
    products::Product,
    timestamp, unless_empty,
};
use crate::{backends::read, problem::Problem};

/// A movement of stock by hand.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Adjustment {
    /// Units that come, or that go where negative; not zero.
    #[schema(minimum = -1_000_000_000, maximum = 1_000_000_000, example = 10)]
    delta: i64,
    /// For the ledger.
    #[schema(min_length = 1, max_length = 200, example = "delivery")]
    reason: String,
}

/// A row of the ledger.
#[derive(Serialize, ToSchema)]
struct Movement {
    id: i64,
    #[schema(format = Uuid)]
    product_id: String,
    /// What the product was added with, an admin's hand, what an order took, what a cancelled order gave back. Later
    /// versions may add others.
    #[schema(examples("initial", "adjustment", "allocation", "release"))]
    kind: String,
    /// Negative where stock left. The deltas of a product add up to its stock.
    delta: i64,
    reason: String,
    /// Of allocations and releases.
    #[schema(format = Uuid, required = true)]
    order_id: Option<String>,
    #[serde(serialize_with = "timestamp::fixed_width")]
    #[schema(value_type = String, format = DateTime, required = true, example = "2026-01-02T03:04:05.120000Z")]
    created_at: Option<OffsetDateTime>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct MovementsQuery {
    /// From 1.
    #[param(minimum = 1, maximum = 10_000)]
    page: Option<u32>,
    /// 20 where nothing is said.
    #[param(minimum = 1, maximum = 100)]
    page_size: Option<u32>,
    /// The `next` of an answer to the same query, to go on behind it, however far; empty to begin so. Not with `page`.
    cursor: Option<String>,
}

impl From<MovementMessage> for Movement {
    fn from(movement: MovementMessage) -> Self {
        let kind = open_enum::text(
            &movement.kind_name,
            StockMovementKind::try_from(movement.kind).map(|kind| kind.as_str_name()),
            "STOCK_MOVEMENT_KIND_",
        );
        Self {
            id: movement.id,
            product_id: movement.product_id,
            kind,
            delta: movement.delta,
            reason: movement.reason,
            order_id: unless_empty(movement.order_id),
            created_at: from_timestamp(movement.created_at.as_ref()),
        }
    }
}

impl Checked for Adjustment {
    fn check(&self, faults: &mut Faults) {
        faults.take("delta", rules::stock::delta(self.delta));
        faults.take("reason", rules::stock::reason(&self.reason));
    }
}

impl Checked for MovementsQuery {
    fn check(&self, faults: &mut Faults) {
        Paging::check(faults, self.page, self.page_size, self.cursor.as_deref());
    }
}

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(adjust))
        .routes(routes!(movements))
}

/// What moves stock by hand, once.
type KeyedAdjustment = (IdempotencyKey, Json<Adjustment>);

/// Moves stock by hand, never below zero.
#[utoipa::path(
    post, path = "/products/{id}/stock", tag = "products", security(("token" = [])), request_body = Adjustment,
    params(
        ("id" = uuid::Uuid, Path, description = "The product"),
        (
            "Idempotency-Key" = Option<String>, Header,
            description = "Makes the request safe to repeat: the same key gives the first answer again",
        ),
    ),
    responses(
        (status = 200, description = "With its stock after the movement", body = Product, headers(
            ("idempotency-replayed" = Option<String>, description = "`true` where it is an earlier answer"),
        )),
        (status = 403, description = "Not an admin"),
        (status = 409, description = "There is not so much, or the first request with this Idempotency-Key is still at work"),
    ),
)]
async fn adjust(
    State(api): State<Api>,
    Admin(caller): Admin,
    All(input): All<(Id, All<KeyedAdjustment>)>,
) -> Result<(Replayed, Answer<Product>), Problem> {
    let (Id(id), All((key, Json(Adjustment { delta, reason })))) = input;
    let product_id = id.to_string();
    let mut request = AdjustStockRequest {
        product_id,
        delta,
        reason,
        ..AdjustStockRequest::default()
    };
    request.request_digest = key.digest("AdjustStock", &request);
    request.idempotency_key = key.0;
    request.user_id = caller.id.to_string();
    let request = caller.request(request);
    let answer = api.backends.inventory.clone().adjust_stock(request).await?;
    let adjusted = answer.into_inner();
    let product = adjusted.product.ok_or_else(Problem::internal)?;
    let product = Product::seen(product, StockView::of_admin(&api));
    Ok((Replayed(adjusted.replayed), Answer(product)))
}

/// Every movement of a product's stock, newest first.
#[utoipa::path(
    get, path = "/products/{id}/stock/movements", tag = "products", security(("token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The product"), MovementsQuery),
    responses((status = 200, body = List<Movement>, headers(("link" = String))), (status = 403, description = "Not an admin")),
)]
async fn movements(
    State(api): State<Api>,
    _: Admin,
    target: Target,
    All(input): All<(Id, Query<MovementsQuery>)>,
) -> Result<(Links, Answer<List<Movement>>), Problem> {
    let (Id(id), Query(query)) = input;
    let paging = Paging::new(query.page, query.page_size, query.cursor);
    let request = ListStockMovementsRequest {
        product_id: id.to_string(),
        page: paging.page,
        page_size: paging.page_size,
        cursor: paging.cursor.clone(),
    };
    let answer = read(
        &api.backends.inventory,
        request,
        |mut inventory, request| async move { inventory.list_stock_movements(request).await },
    );
    let answer = answer.await?;
    let shown = Shown {
        total: answer.total,
        next: answer.next,
        page: answer.page,
    };
    let (links, list) = paging.list(&target, answer.movements, shown, Movement::from);
    Ok((links, Answer(list)))
}
