//! Stock by hand, and its ledger.

use chassis::{
    grpc::{Principal, status::parse_uuid, timestamp},
    idempotency::{IdempotencyKey, kept_answer},
    page::{Keyset, ListDigest},
    violations::Violations,
};
use prost::Message as _;
use proto::inventory::{
    AdjustStockRequest, AdjustStockResponse, ListStockMovementsRequest, ListStockMovementsResponse,
    StockMovement as MovementMessage, StockMovementKind,
};
use tonic::Status;

use super::{Inventory, products, status};
use crate::{
    product::{self, Product},
    store::{MovementKind, Once, StockMovement},
};

impl Inventory {
    pub(super) async fn adjust(
        &self,
        principal: &Principal,
        request: AdjustStockRequest,
    ) -> Result<AdjustStockResponse, Status> {
        let product_id = parse_uuid("product_id", &request.product_id)?;
        let mut check = Violations::new();
        let delta = product::delta(&mut check, request.delta);
        let reason = product::reason(&mut check, &request.reason);
        check.into_result()?;
        let key = IdempotencyKey::read(&request.user_id, request.idempotency_key, request.request_digest)?;
        let response = |product: Product, movement: StockMovement| AdjustStockResponse {
            product: Some(products::message(product)),
            movement: Some(message(movement)),
            replayed: false,
        };
        let kept = |product: &Product, movement: &StockMovement| {
            response(product.clone(), movement.clone()).encode_to_vec()
        };
        let adjusted = self
            .store
            .adjust_stock(principal, product_id, delta, &reason, key.as_ref(), kept);
        Ok(match adjusted.await.map_err(status)? {
            Once::Done((product, movement)) => response(product, movement),
            Once::Before(answer) => AdjustStockResponse {
                replayed: true,
                ..kept_answer(&answer)?
            },
        })
    }

    pub(super) async fn movements(
        &self,
        request: ListStockMovementsRequest,
    ) -> Result<ListStockMovementsResponse, Status> {
        let product_id = parse_uuid("product_id", &request.product_id)?;
        let list = ListDigest::of("movements", &[&product_id.to_string()]);
        let page = Keyset::read(list, request.page, request.page_size, request.cursor.as_deref())?;
        let (movements, total) = self.store.movements(product_id, &page).await.map_err(status)?;
        let movements = movements.map(message);
        Ok(ListStockMovementsResponse {
            movements: movements.items,
            total,
            next: movements.next,
            page: movements.page,
        })
    }
}

fn message(movement: StockMovement) -> MovementMessage {
    let kind = match movement.kind.known() {
        Some(MovementKind::Initial) => StockMovementKind::Initial,
        Some(MovementKind::Adjustment) => StockMovementKind::Adjustment,
        Some(MovementKind::Allocation) => StockMovementKind::Allocation,
        Some(MovementKind::Release) => StockMovementKind::Release,
        // A later version's goes by its name.
        None => StockMovementKind::Unspecified,
    };
    MovementMessage {
        id: movement.id,
        product_id: movement.product_id.to_string(),
        kind: kind.into(),
        kind_name: movement.kind.as_str().to_owned(),
        delta: movement.delta,
        reason: movement.reason,
        order_id: movement.order_id.map(|id| id.to_string()).unwrap_or_default(),
        created_at: Some(timestamp(movement.created_at)),
    }
}
