//! Lists that are read on by cursor: to their end, however far that is, and whatever comes and goes meanwhile.

use std::collections::{BTreeSet, HashSet};

use proto::inventory::{
    CreateProductRequest, ListProductsRequest, ListProductsResponse, ListStockMovementsRequest, Product,
    ProductSort,
};
use tonic::Status;
use uuid::Uuid;

use crate::support::{Shop, a_product, fields, usd};

const SORTS: [ProductSort; 6] = [
    ProductSort::Newest,
    ProductSort::Oldest,
    ProductSort::PriceAscending,
    ProductSort::PriceDescending,
    ProductSort::NameAscending,
    ProductSort::NameDescending,
];

async fn list(shop: &Shop, request: ListProductsRequest) -> Result<ListProductsResponse, Status> {
    let answer = shop.client.clone().list_products(request).await?;
    Ok(answer.into_inner())
}

/// The list that begins with this page, and on by cursor to its end; `between` is done between two pages.
async fn walk(
    shop: &Shop,
    mut request: ListProductsRequest,
    mut between: impl AsyncFnMut(usize),
) -> Vec<Product> {
    let (mut walked, mut page) = (Vec::new(), 1);
    loop {
        let answer = list(shop, request.clone()).await.unwrap();
        assert!(answer.products.len() <= request.page_size as usize);
        assert_eq!(answer.page, page);
        walked.extend(answer.products);
        if answer.next.is_empty() {
            return walked;
        }
        between(page as usize).await;
        page += 1;
        request.page = 0;
        request.cursor = Some(answer.next);
    }
}

/// That many products, whose prices go down as their names go up, each price and each time that of several.
async fn add_by_sql(shop: &Shop, count: i32) {
    sqlx::query(
        "WITH added AS (
             INSERT INTO products
                 (id, sku, name, description, price_minor_units, currency_code, category, image_url, created_at)
             SELECT gen_random_uuid(), 'S' || n, 'Common ' || lpad(n::text, 5, '0'), '', (30000 - n) / 3, 'USD', 'Many',
                    '', now() - n / 5 * interval '1 minute'
             FROM generate_series(1, $1) AS n RETURNING id
         )
         INSERT INTO stock (product_id, available) SELECT id, 0 FROM added",
    )
    .bind(count)
    .execute(shop.database.pool())
    .await
    .unwrap();
}

#[tokio::test]
async fn none_is_met_twice_or_missed_while_others_come_and_go() {
    let shop = Shop::open().await;
    let mut there_throughout = HashSet::new();
    let mut to_go = Vec::new();
    for number in 0..60_i64 {
        let product = shop
            .add(CreateProductRequest {
                name: format!("thing {}", number % 7),
                price: Some(usd(number % 5 * 100)),
                category: "Toys".to_owned(),
                ..a_product()
            })
            .await;
        if number % 4 == 0 {
            to_go.push(product);
        } else {
            there_throughout.insert(product.id);
        }
    }
    for sort in SORTS {
        for (query, category) in [("", ""), ("", "Toys"), ("thing", ""), ("thing", "Toys")] {
            let request = ListProductsRequest {
                page: 1,
                page_size: 7,
                query: query.to_owned(),
                category: category.to_owned(),
                sort: sort.into(),
                ..ListProductsRequest::default()
            };
            let walked = walk(&shop, request, async |page| {
                // At every place of every order, and one of those that are there goes.
                let price = i64::try_from(page % 5).unwrap() * 100;
                let come = CreateProductRequest {
                    name: format!("thing {}", page % 7),
                    price: Some(usd(price)),
                    category: "Toys".to_owned(),
                    ..a_product()
                };
                let come = shop.add(come).await;
                if let Some(gone) = to_go.pop() {
                    shop.delete(&gone).await;
                }
                to_go.insert(0, come);
            })
            .await;
            let ids: HashSet<&str> = walked.iter().map(|product| product.id.as_str()).collect();
            assert_eq!(ids.len(), walked.len(), "twice: {sort:?} {query:?} {category:?}");
            let missed = there_throughout
                .iter()
                .filter(|id| !ids.contains(id.as_str()))
                .count();
            assert_eq!(missed, 0, "{sort:?} {query:?} {category:?}");
        }
    }
    shop.close().await;
}

#[tokio::test]
async fn a_list_goes_on_behind_its_first_ten_thousand() {
    let shop = Shop::open().await;
    add_by_sql(&shop, 12_000).await;
    for sort in SORTS {
        // Of the two ways to search the one by words alone would stop at 10,000.
        for (query, begun) in [("", None), ("common", None), ("common", Some(String::new()))] {
            let request = ListProductsRequest {
                page: u32::from(begun.is_none()),
                page_size: 100,
                query: query.to_owned(),
                sort: sort.into(),
                cursor: begun,
                ..ListProductsRequest::default()
            };
            let walked = walk(&shop, request, async |_| ()).await;
            let ids: HashSet<&str> = walked.iter().map(|product| product.id.as_str()).collect();
            assert_eq!((walked.len(), ids.len()), (12_000, 12_000), "{sort:?} {query:?}");
            let in_order = walked.is_sorted_by(|one, next| match sort {
                ProductSort::NameAscending => one.name < next.name,
                ProductSort::NameDescending => one.name > next.name,
                ProductSort::PriceAscending => price(one) <= price(next),
                ProductSort::PriceDescending => price(one) >= price(next),
                ProductSort::Oldest => time(one) <= time(next),
                _ => time(one) >= time(next),
            });
            assert!(in_order, "{sort:?} {query:?}");
        }
    }
    shop.close().await;
}

/// Where common words are rare along the order, a page may be short: what is behind it is found all the same.
#[tokio::test]
async fn a_search_whose_matches_are_all_at_the_end_of_the_order_is_read_to_them() {
    let shop = Shop::open().await;
    add_by_sql(&shop, 23_000).await;
    sqlx::query(
        "UPDATE products SET description = 'late' WHERE id IN (SELECT id FROM products ORDER BY name_key DESC LIMIT 10500)",
    )
    .execute(shop.database.pool())
    .await
    .unwrap();
    let request = ListProductsRequest {
        page_size: 100,
        query: "late".to_owned(),
        sort: ProductSort::NameAscending.into(),
        cursor: Some(String::new()),
        ..ListProductsRequest::default()
    };
    let first = list(&shop, request.clone()).await.unwrap();
    assert!(first.products.is_empty() && !first.next.is_empty() && first.total == 10_000);
    let walked = walk(&shop, request, async |_| ()).await;
    let names: Vec<_> = walked.into_iter().map(|product| product.name).collect();
    let expected: Vec<_> = (12_501..=23_000).map(|n| format!("Common {n:05}")).collect();
    assert_eq!(names, expected);
    shop.close().await;
}

fn price(product: &Product) -> i64 {
    product.price.as_ref().unwrap().minor_units
}

fn time(product: &Product) -> (i64, i32) {
    let time = product.created_at.as_ref().unwrap();
    (time.seconds, time.nanos)
}

#[tokio::test]
async fn a_cursor_is_of_one_list_and_says_so() {
    let shop = Shop::open().await;
    for _ in 0..3 {
        shop.add(a_product()).await;
    }
    let request = ListProductsRequest {
        page: 1,
        page_size: 2,
        ..ListProductsRequest::default()
    };
    let next = list(&shop, request).await.unwrap().next;
    let by_cursor = ListProductsRequest {
        page_size: 2,
        cursor: Some(next.clone()),
        ..ListProductsRequest::default()
    };
    let rest = list(&shop, by_cursor.clone()).await.unwrap();
    assert_eq!((rest.products.len(), rest.total, rest.next.as_str()), (1, 3, ""));
    for other in [
        ListProductsRequest {
            sort: ProductSort::Oldest.into(),
            ..by_cursor.clone()
        },
        ListProductsRequest {
            query: "shirt".to_owned(),
            ..by_cursor.clone()
        },
        ListProductsRequest {
            category: "Toys".to_owned(),
            ..by_cursor.clone()
        },
        ListProductsRequest {
            currency_code: "EUR".to_owned(),
            ..by_cursor.clone()
        },
        ListProductsRequest {
            cursor: Some("bm9uc2Vuc2U".to_owned()),
            ..by_cursor.clone()
        },
        ListProductsRequest {
            cursor: Some(format!("{next}A")),
            ..by_cursor.clone()
        },
    ] {
        let refused = list(&shop, other.clone()).await.unwrap_err();
        assert_eq!(fields(&refused), ["cursor"], "{other:?}");
    }
    let both = ListProductsRequest { page: 1, ..by_cursor };
    assert_eq!(fields(&list(&shop, both).await.unwrap_err()), ["page"]);
    shop.close().await;
}

#[tokio::test]
async fn a_ledger_is_read_to_its_beginning() {
    let shop = Shop::open().await;
    let product = shop.add_with_stock(5).await;
    sqlx::query(
        "INSERT INTO stock_movements (product_id, kind, delta, reason)
         SELECT $1, 'adjustment', 1, 'counted' FROM generate_series(1, 10150)",
    )
    .bind(Uuid::parse_str(&product.id).unwrap())
    .execute(shop.database.pool())
    .await
    .unwrap();
    let mut request = ListStockMovementsRequest {
        product_id: product.id.clone(),
        page: 1,
        page_size: 100,
        cursor: None,
    };
    let mut ids = Vec::new();
    loop {
        let answer = shop.client.clone().list_stock_movements(request.clone()).await;
        let answer = answer.unwrap().into_inner();
        ids.extend(answer.movements.into_iter().map(|movement| movement.id));
        if ids.len() == 300 {
            // Comes before what is shown: it moves no page.
            shop.adjust(&product, 1).await;
        }
        if answer.next.is_empty() {
            break;
        }
        (request.page, request.cursor) = (0, Some(answer.next));
    }
    let distinct: BTreeSet<_> = ids.iter().collect();
    assert_eq!((ids.len(), distinct.len()), (10_151, 10_151));
    assert!(ids.is_sorted_by(|one, next| one > next));
    shop.close().await;
}
