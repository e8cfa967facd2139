//! The gRPC service: reads requests, refuses those that are not well formed, and puts answers and errors into the
//! contract's words.

mod allocations;
mod products;
mod stock;

use chassis::{
    grpc::{
        Principal, multiplex,
        status::{with_reason, with_reason_and},
    },
    idempotency, postgres,
};
use proto::{
    inventory::{
        AdjustStockRequest, AdjustStockResponse, AllocateStockRequest, AllocateStockResponse,
        CreateProductRequest, CreateProductResponse, DeleteProductRequest, DeleteProductResponse,
        GetPricesRequest, GetPricesResponse, GetProductsRequest, GetProductsResponse, ListCategoriesRequest,
        ListCategoriesResponse, ListProductsRequest, ListProductsResponse, ListStockMovementsRequest,
        ListStockMovementsResponse, QuotePricesRequest, ReleaseStockRequest, ReleaseStockResponse,
        UpdateProductRequest, UpdateProductResponse, inventory_service_server::InventoryService,
    },
    multiplex::QuotePrices,
};
use tonic::{Code, Request, Response, Status, Streaming};

use crate::{
    group_read::GroupRead,
    store::{Store, StoreError},
};

/// Answers the calls of `shop.inventory.v1.InventoryService`.
#[derive(Clone, Debug)]
pub struct Inventory {
    store: Store,
    group_read: GroupRead,
    metrics: allocations::Metrics,
}

impl Inventory {
    /// On that store. Must be called within a tokio runtime.
    pub fn new(store: Store) -> Self {
        Self {
            group_read: GroupRead::new(store.clone()),
            store,
            metrics: allocations::Metrics::new(),
        }
    }
}

#[tonic::async_trait]
impl InventoryService for Inventory {
    async fn create_product(
        &self,
        request: Request<CreateProductRequest>,
    ) -> Result<Response<CreateProductResponse>, Status> {
        self.create(&Principal::of(&request), request.into_inner())
            .await
            .map(Response::new)
    }

    async fn get_products(
        &self,
        request: Request<GetProductsRequest>,
    ) -> Result<Response<GetProductsResponse>, Status> {
        self.get(request.into_inner()).await.map(Response::new)
    }

    async fn get_prices(
        &self,
        request: Request<GetPricesRequest>,
    ) -> Result<Response<GetPricesResponse>, Status> {
        self.prices(request.into_inner()).await.map(Response::new)
    }

    type QuotePricesStream = multiplex::Answers<QuotePrices>;

    async fn quote_prices(
        &self,
        requests: Request<Streaming<QuotePricesRequest>>,
    ) -> Result<Response<Self::QuotePricesStream>, Status> {
        let inventory = self.clone();
        multiplex::serve::<QuotePrices, _, _>(requests.into_inner(), move |wanted| {
            let inventory = inventory.clone();
            async move { inventory.prices(wanted).await }
        })
    }

    async fn list_products(
        &self,
        request: Request<ListProductsRequest>,
    ) -> Result<Response<ListProductsResponse>, Status> {
        self.list(request.into_inner()).await.map(Response::new)
    }

    async fn list_categories(
        &self,
        _: Request<ListCategoriesRequest>,
    ) -> Result<Response<ListCategoriesResponse>, Status> {
        self.categories().await.map(Response::new)
    }

    async fn update_product(
        &self,
        request: Request<UpdateProductRequest>,
    ) -> Result<Response<UpdateProductResponse>, Status> {
        self.update(&Principal::of(&request), request.into_inner())
            .await
            .map(Response::new)
    }

    async fn delete_product(
        &self,
        request: Request<DeleteProductRequest>,
    ) -> Result<Response<DeleteProductResponse>, Status> {
        self.delete(&Principal::of(&request), request.into_inner())
            .await
            .map(Response::new)
    }

    async fn adjust_stock(
        &self,
        request: Request<AdjustStockRequest>,
    ) -> Result<Response<AdjustStockResponse>, Status> {
        self.adjust(&Principal::of(&request), request.into_inner())
            .await
            .map(Response::new)
    }

    async fn list_stock_movements(
        &self,
        request: Request<ListStockMovementsRequest>,
    ) -> Result<Response<ListStockMovementsResponse>, Status> {
        self.movements(request.into_inner()).await.map(Response::new)
    }

    async fn allocate_stock(
        &self,
        request: Request<AllocateStockRequest>,
    ) -> Result<Response<AllocateStockResponse>, Status> {
        self.allocate(request.into_inner()).await.map(Response::new)
    }

    async fn release_stock(
        &self,
        request: Request<ReleaseStockRequest>,
    ) -> Result<Response<ReleaseStockResponse>, Status> {
        self.release(request.into_inner()).await.map(Response::new)
    }
}

/// What a caller is told of an error of the store.
fn status(error: StoreError) -> Status {
    let message = error.to_string();
    match error {
        StoreError::SkuTaken => with_reason(Code::AlreadyExists, "SKU_TAKEN", message),
        StoreError::NotFound => with_reason(Code::NotFound, "PRODUCT_NOT_FOUND", message),
        StoreError::VersionMismatch { current } => {
            let current = [("current_version", current.to_string())];
            with_reason_and(Code::Aborted, "VERSION_MISMATCH", message, current)
        }
        StoreError::InsufficientStock { available } => {
            let available = [("available", available.to_string())];
            with_reason_and(Code::FailedPrecondition, "INSUFFICIENT_STOCK", message, available)
        }
        StoreError::Busy => with_reason(Code::ResourceExhausted, "SEARCH_BUSY", message),
        StoreError::Contended => with_reason(Code::Unavailable, "CONTENDED", message),
        StoreError::KeyReused => idempotency::reused(),
        StoreError::KeyInFlight => idempotency::in_flight(),
        StoreError::Event(error) => {
            tracing::error!(%error, "an event can't be written down");
            Status::internal("internal error")
        }
        StoreError::Database(error) => postgres::status(error),
    }
}
