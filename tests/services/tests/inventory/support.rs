//! A running service and the words that the tests are written in.

use chassis::{
    Running,
    config::{PostgresArgs, ServiceArgs},
};
use clap::Parser as _;
use fixtures::Database;
use inventory_service::Config;
use proto::{
    inventory::{
        AdjustStockRequest, AllocateStockRequest, CreateProductRequest, DeleteProductRequest,
        GetProductsRequest, Product, ReleaseStockRequest, StockAllocation, StockLine, StockRejectionReason,
        StockRelease, inventory_service_client::InventoryServiceClient, stock_allocation_result::Outcome,
        stock_release_result::Outcome as ReleaseOutcome,
    },
    money::Money,
};
use tonic::{Status, transport::Channel};
use tonic_types::StatusExt as _;
use uuid::Uuid;

pub(crate) type Client = InventoryServiceClient<Channel>;

pub(crate) struct Shop {
    pub(crate) client: Client,
    pub(crate) database: Database,
    running: Running,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::open_on(Database::create().await, &[]).await
    }

    /// With these flags.
    pub(crate) async fn open_on(database: Database, flags: &[&str]) -> Self {
        let config = config(&database, flags);
        let running = inventory_service::start(config).await.unwrap();
        let client = Client::connect(format!("http://{}", running.addr()))
            .await
            .unwrap();
        Self {
            client,
            database,
            running,
        }
    }

    pub(crate) async fn close(self) {
        drop(self.client);
        self.running.stop().await.unwrap();
        self.database.drop().await;
    }

    pub(crate) async fn add(&self, request: CreateProductRequest) -> Product {
        self.client
            .clone()
            .create_product(request)
            .await
            .unwrap()
            .into_inner()
            .product
            .unwrap()
    }

    pub(crate) async fn add_with_stock(&self, stock: i64) -> Product {
        self.add(CreateProductRequest {
            initial_stock: stock,
            ..a_product()
        })
        .await
    }

    pub(crate) async fn delete(&self, product: &Product) {
        let request = DeleteProductRequest {
            product_id: product.id.clone(),
            expected_version: None,
        };
        self.client.clone().delete_product(request).await.unwrap();
    }

    pub(crate) async fn get(&self, id: &str) -> Option<Product> {
        let request = GetProductsRequest {
            product_ids: vec![id.to_owned()],
        };
        self.client
            .clone()
            .get_products(request)
            .await
            .unwrap()
            .into_inner()
            .products
            .pop()
    }

    pub(crate) async fn adjust(&self, product: &Product, delta: i64) {
        let request = AdjustStockRequest {
            product_id: product.id.clone(),
            delta,
            reason: "counted".to_owned(),
            ..AdjustStockRequest::default()
        };
        self.client.clone().adjust_stock(request).await.unwrap();
    }

    pub(crate) async fn allocate(&self, orders: &[StockAllocation]) -> Vec<Answer> {
        try_allocate(self.client.clone(), orders).await.unwrap()
    }

    /// True where the order is answered as released, false where it is refused as malformed.
    pub(crate) async fn release(&self, orders: &[&str]) -> Vec<bool> {
        try_release(self.client.clone(), orders).await.unwrap()
    }

    /// The types and data of the events that wait to be published, in their order.
    pub(crate) async fn events(&self) -> Vec<(String, serde_json::Value)> {
        let rows: Vec<(String, String)> = sqlx::query_as("SELECT type, data FROM outbox_events ORDER BY seq")
            .fetch_all(self.database.pool())
            .await
            .unwrap();
        let rows = rows.into_iter();
        rows.map(|(kind, data)| (kind, serde_json::from_str(&data).unwrap()))
            .collect()
    }

    /// The stock table, also of products that are deleted.
    pub(crate) async fn units(&self, product: &Product) -> i64 {
        sqlx::query_scalar("SELECT available FROM stock WHERE product_id = $1")
            .bind(Uuid::parse_str(&product.id).unwrap())
            .fetch_one(self.database.pool())
            .await
            .unwrap()
    }

    /// The promise that everything else rests on.
    pub(crate) async fn assert_stock_is_what_the_ledger_says(&self) {
        let wrong: Vec<(Uuid, i64, i64)> = sqlx::query_as(
            "SELECT s.product_id, s.available, COALESCE(sum(m.delta), 0)::bigint
             FROM stock s LEFT JOIN stock_movements m ON m.product_id = s.product_id
             GROUP BY s.product_id HAVING s.available <> COALESCE(sum(m.delta), 0)",
        )
        .fetch_all(self.database.pool())
        .await
        .unwrap();
        assert_eq!(wrong, []);
    }
}

/// A service on that database, with these flags. Its producer-service is not there: events stay in the outbox.
pub(crate) fn config(database: &Database, flags: &[&str]) -> Config {
    let nobody = "--producer-service-url=http://127.0.0.1:1";
    let mut config = Config::try_parse_from([&["inventory-service", nobody], flags].concat()).unwrap();
    config.service = ServiceArgs::loopback();
    config.postgres = PostgresArgs::from_url(database.url());
    config
}

pub(crate) async fn try_allocate(
    mut client: Client,
    orders: &[StockAllocation],
) -> Result<Vec<Answer>, Status> {
    let response = client
        .allocate_stock(AllocateStockRequest {
            allocations: orders.to_vec(),
        })
        .await?
        .into_inner();
    assert_eq!(response.results.len(), orders.len());
    let results = response.results.into_iter().zip(orders);
    Ok(results
        .map(|(result, order)| {
            assert_eq!(
                result.order_id, order.order_id,
                "results come in the order of the request"
            );
            answer(result.outcome.unwrap())
        })
        .collect())
}

pub(crate) async fn try_release(mut client: Client, orders: &[&str]) -> Result<Vec<bool>, Status> {
    let releases = orders
        .iter()
        .map(|order| StockRelease {
            order_id: (*order).to_owned(),
            trace: None,
        })
        .collect();
    let response = client
        .release_stock(ReleaseStockRequest { releases })
        .await?
        .into_inner();
    assert_eq!(response.results.len(), orders.len());
    let results = response.results.into_iter().zip(orders);
    Ok(results
        .map(|(result, order)| {
            assert_eq!(
                result.order_id, *order,
                "results come in the order of the request"
            );
            matches!(result.outcome.unwrap(), ReleaseOutcome::Released(_))
        })
        .collect())
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Allocated,
    Released,
    Insufficient(String),
    NotFound(String),
    Invalid(Vec<String>),
}

fn answer(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Allocated(_) => Answer::Allocated,
        Outcome::Released(_) => Answer::Released,
        Outcome::Rejected(rejection) => match rejection.reason() {
            StockRejectionReason::InsufficientStock => Answer::Insufficient(rejection.product_id),
            StockRejectionReason::ProductNotFound => Answer::NotFound(rejection.product_id),
            StockRejectionReason::Unspecified => panic!("a rejection has a reason"),
        },
        Outcome::Invalid(status) => Answer::Invalid(fields(&chassis::grpc::status::from_pb(&status))),
    }
}

/// The fields that a refusal names.
pub(crate) fn fields(status: &Status) -> Vec<String> {
    let details = status
        .get_details_bad_request()
        .expect("a refusal says which fields are at fault");
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    details
        .field_violations
        .into_iter()
        .map(|violation| violation.field)
        .collect()
}

/// The code and the stable reason of a refusal.
pub(crate) fn reason(status: &Status) -> (tonic::Code, String) {
    (
        status.code(),
        chassis::grpc::status::reason(status).unwrap_or_default(),
    )
}

pub(crate) fn a_product() -> CreateProductRequest {
    CreateProductRequest {
        name: "Shirt".to_owned(),
        price: Some(usd(1_099)),
        ..CreateProductRequest::default()
    }
}

pub(crate) fn usd(minor_units: i64) -> Money {
    Money {
        minor_units,
        currency_code: "USD".to_owned(),
    }
}

pub(crate) fn an_order(lines: &[(&Product, i64)]) -> StockAllocation {
    let lines = lines
        .iter()
        .map(|(product, quantity)| line(&product.id, *quantity))
        .collect();
    StockAllocation {
        order_id: new_id(),
        lines,
        trace: None,
    }
}

pub(crate) fn line(product_id: &str, quantity: i64) -> StockLine {
    StockLine {
        product_id: product_id.to_owned(),
        quantity,
    }
}

pub(crate) fn new_id() -> String {
    Uuid::now_v7().to_string()
}
