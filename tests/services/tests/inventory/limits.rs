//! What grows: pages to their largest, and searches to as many as there can be.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use fixtures::Database;
use futures::future::join_all;
use prost::Message as _;
use proto::{
    inventory::{AllocateStockRequest, ListProductsRequest, ListStockMovementsRequest, StockAllocation},
    limits,
    trace::TraceContext,
};
use sqlx::Executor as _;
use tonic::Code;

use crate::support::{Answer, Shop, an_order, line, new_id, reason};

/// What every gRPC client takes by itself.
const DEFAULT_MESSAGE_SIZE: usize = 4 * 1024 * 1024;

/// 100 products with the longest texts in the longest characters, and 100 movements of each.
const LARGEST_PRODUCTS: &str = "
    INSERT INTO products (id, sku, name, description, price_minor_units, currency_code, category, image_url, version)
    SELECT gen_random_uuid(), repeat('😀', 97) || to_char(n, 'FM000'), repeat('😀', 200), repeat('😀', 10000),
           9223372036854775807, 'EUR', repeat('😀', 100), 'https://example.com/' || repeat('😀', 1980),
           9223372036854775807
    FROM generate_series(1, 100) AS n;
    INSERT INTO stock (product_id, available) SELECT id, 9223372036854775807 FROM products;
    INSERT INTO stock_movements (product_id, kind, delta, reason)
    SELECT id, 'adjustment', -9223372036854775807, repeat('😀', 200) FROM products, generate_series(1, 100);";

#[tokio::test]
async fn the_largest_pages_can_be_read() {
    let shop = Shop::open().await;
    sqlx::raw_sql(LARGEST_PRODUCTS)
        .execute(shop.database.pool())
        .await
        .unwrap();
    let request = ListProductsRequest {
        page: 1,
        page_size: 100,
        ..ListProductsRequest::default()
    };
    let mut client = shop
        .client
        .clone()
        .max_decoding_message_size(limits::PRODUCTS_PAGE);
    let page = client.list_products(request.clone()).await.unwrap().into_inner();
    let size = page.encoded_len();
    assert_eq!(page.products.len(), 100);
    assert!(
        size > DEFAULT_MESSAGE_SIZE && size <= limits::PRODUCTS_PAGE,
        "{size}"
    );
    let refused = shop.client.clone().list_products(request).await.unwrap_err();
    assert_eq!(
        refused.code(),
        Code::OutOfRange,
        "a client that was told nothing takes 4 MiB"
    );

    // A client that was told nothing reads these.
    let product = shop.get(&page.products[0].id).await.unwrap();
    assert!(product.encoded_len() <= limits::PRODUCT);
    let request = ListStockMovementsRequest {
        product_id: product.id,
        page: 1,
        page_size: 100,
        cursor: None,
    };
    let page = shop
        .client
        .clone()
        .list_stock_movements(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(page.movements.len(), 100);
    assert!(page.encoded_len() <= limits::MOVEMENTS_PAGE);
    shop.close().await;
}

#[tokio::test]
async fn the_largest_request_for_stock_is_taken() {
    let shop = Shop::open().await;
    let lines: Vec<_> = (0..100).map(|_| line(&new_id(), 10_000)).collect();
    let allocations: Vec<StockAllocation> = (0..1_000)
        .map(|_| StockAllocation {
            order_id: new_id(),
            lines: lines.clone(),
            trace: Some(TraceContext {
                traceparent: "0".repeat(55),
                tracestate: "x".repeat(512),
            }),
        })
        .collect();
    let request = AllocateStockRequest { allocations };
    let size = request.encoded_len();
    assert!(
        size > DEFAULT_MESSAGE_SIZE && size <= limits::ALLOCATE_REQUEST,
        "{size}"
    );
    // Every line of it is at fault, and named.
    let client = shop.client.clone();
    let mut client = client.max_decoding_message_size(limits::ALLOCATE_ANSWER);
    let answer = client.allocate_stock(request).await.unwrap().into_inner();
    assert_eq!(answer.results.len(), 1_000);
    let size = answer.encoded_len();
    assert!(
        size > DEFAULT_MESSAGE_SIZE && size <= limits::ALLOCATE_ANSWER,
        "{size}"
    );
    shop.close().await;
}

/// More than the service has room for, if each of them could wait there.
const SEARCHERS: usize = 200;
const MAX_CONCURRENT_CALLS: u16 = 128;

/// A database in which a search takes as long as one among a million products, without having them: each waits a
/// quarter of a second for its words at least.
async fn slow_to_search() -> Database {
    let database = Database::create().await;
    let statements = "
        CREATE FUNCTION public.string_to_array(text, text) RETURNS text[] LANGUAGE plpgsql IMMUTABLE AS
            'BEGIN PERFORM pg_sleep(0.25); RETURN pg_catalog.string_to_array($1, $2); END';
        DO $$ BEGIN
            EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database());
        END $$;";
    database.pool().execute(statements).await.unwrap();
    database
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn allocations_go_on_while_there_are_as_many_searches_as_can_be() {
    let limit = MAX_CONCURRENT_CALLS.to_string();
    let shop = Shop::open_on(slow_to_search().await, &["--max-concurrent-calls", &limit]).await;
    let product = shop.add_with_stock(1_000).await;
    let enough = Arc::new(AtomicBool::new(false));
    let searching = (0..SEARCHERS).map(|_| {
        let (mut client, enough) = (shop.client.clone(), Arc::clone(&enough));
        tokio::spawn(async move {
            let mut answers = Vec::new();
            while !enough.load(Ordering::Relaxed) {
                let request = ListProductsRequest {
                    page: 1,
                    page_size: 10,
                    query: "shirt".to_owned(),
                    ..ListProductsRequest::default()
                };
                let answer = client.list_products(request).await;
                if answer.is_err() {
                    let pause = rand::random_range(20..=180);
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                answers.push(answer.map(|list| list.into_inner().products.len()));
            }
            answers
        })
    });
    let searching: Vec<_> = searching.collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut slowest = Duration::ZERO;
    for _ in 0..50 {
        let began = Instant::now();
        let answers = shop.allocate(&[an_order(&[(&product, 1)])]).await;
        slowest = slowest.max(began.elapsed());
        assert_eq!(answers, [Answer::Allocated]);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    enough.store(true, Ordering::Relaxed);
    let answers = join_all(searching).await.into_iter().flat_map(Result::unwrap);
    let (found, refused): (Vec<_>, Vec<_>) = answers.partition(Result::is_ok);
    assert!(slowest < Duration::from_secs(1), "an allocation took {slowest:?}");
    assert!(found.iter().all(|found| *found.as_ref().unwrap() == 1) && found.len() >= 4);
    assert!(!refused.is_empty(), "more was asked for than there is room for");
    // All of them began together, and there is not room for that.
    let at_once = (Code::Unavailable, "OVERLOADED".to_owned());
    let busy = (Code::ResourceExhausted, "SEARCH_BUSY".to_owned());
    for refused in refused {
        let refused = reason(&refused.unwrap_err());
        assert!(refused == busy || refused == at_once, "{refused:?}");
    }
    shop.close().await;
}
