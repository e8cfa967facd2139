//! Lists: paging, orders, words, categories.

use futures::future::join_all;
use proto::inventory::{
    Category, CreateProductRequest, ListCategoriesRequest, ListProductsRequest, ListProductsResponse,
    Product, ProductSort,
};

use crate::support::{Shop, a_product, fields, usd};

fn all() -> ListProductsRequest {
    ListProductsRequest {
        page: 1,
        page_size: 100,
        ..ListProductsRequest::default()
    }
}

pub(crate) async fn list(shop: &Shop, request: ListProductsRequest) -> ListProductsResponse {
    shop.client
        .clone()
        .list_products(request)
        .await
        .unwrap()
        .into_inner()
}

/// The names of the products that a query finds, in order of name.
pub(crate) async fn found(shop: &Shop, query: &str, category: &str) -> Vec<String> {
    let request = ListProductsRequest {
        query: query.to_owned(),
        category: category.to_owned(),
        sort: ProductSort::NameAscending.into(),
        ..all()
    };
    let listing = list(shop, request).await;
    assert_eq!(listing.total, listing.products.len() as u64);
    listing.products.into_iter().map(|product| product.name).collect()
}

#[tokio::test]
async fn every_order_pages_through_all_products_once() {
    let shop = Shop::open().await;
    let mut products: Vec<Product> = Vec::new();
    for number in 0..23_i64 {
        let request = CreateProductRequest {
            name: format!(
                "{} thing {}",
                if number % 2 == 0 { "red" } else { "Blue" },
                number % 5
            ),
            price: Some(usd(number % 4 * 100)),
            category: ["", "Tools", "Toys"][usize::try_from(number % 3).unwrap()].to_owned(),
            ..a_product()
        };
        products.push(shop.add(request).await);
    }
    let deleted = shop
        .add(CreateProductRequest {
            category: "Tools".to_owned(),
            ..a_product()
        })
        .await;
    shop.delete(&deleted).await;

    let price = |product: &Product| product.price.as_ref().unwrap().minor_units;
    for (sort, descends) in [
        (ProductSort::Unspecified, true),
        (ProductSort::Newest, true),
        (ProductSort::Oldest, false),
        (ProductSort::PriceAscending, false),
        (ProductSort::PriceDescending, true),
        (ProductSort::NameAscending, false),
        (ProductSort::NameDescending, true),
    ] {
        for (category, query) in [("", ""), ("Tools", ""), ("", "thing"), ("Toys", "thing")] {
            let mut expected: Vec<&Product> = products
                .iter()
                .filter(|product| category.is_empty() || product.category == category)
                .collect();
            expected.sort_by_key(|product| {
                let time = product
                    .created_at
                    .as_ref()
                    .map(|time| (time.seconds, time.nanos))
                    .unwrap();
                let key = match sort {
                    ProductSort::PriceAscending | ProductSort::PriceDescending => {
                        (price(product), String::new())
                    }
                    ProductSort::NameAscending | ProductSort::NameDescending => {
                        (0, product.name.to_lowercase())
                    }
                    _ => (time.0 * 1_000_000_000 + i64::from(time.1), String::new()),
                };
                (key, product.id.clone())
            });
            if descends {
                expected.reverse();
            }
            let request = |page| ListProductsRequest {
                page,
                page_size: 7,
                query: query.to_owned(),
                category: category.to_owned(),
                sort: sort.into(),
                ..ListProductsRequest::default()
            };
            let mut paged = Vec::new();
            for page in 1..=5 {
                let listing = list(&shop, request(page)).await;
                assert_eq!(
                    listing.total,
                    expected.len() as u64,
                    "{sort:?} {category} {query} page {page}"
                );
                paged.extend(listing.products);
            }
            assert!(paged.iter().eq(expected), "{sort:?} {category:?} {query:?}");
        }
    }
    shop.close().await;
}

#[tokio::test]
async fn a_query_finds_words_of_name_description_and_sku() {
    let shop = Shop::open().await;
    for (name, sku, description, category) in [
        ("Blue Shoe", "SH-0042", "Made of leather", "Shoes"),
        ("Red shirt", "TS-0042", "Cotton, wash at 40°C", "Clothes"),
        ("Red shoes", "SH-0043", "It's canvas", "Shoes"),
        (
            "Café-Tasse",
            "MUG_1",
            "Größe: 0,3 l; for café crème",
            "O'Neil & \\ co",
        ),
    ] {
        shop.add(CreateProductRequest {
            name: name.to_owned(),
            sku: sku.to_owned(),
            description: description.to_owned(),
            category: category.to_owned(),
            ..a_product()
        })
        .await;
    }
    let cases: [(&str, &str, &[&str]); 18] = [
        ("RED", "", &["Red shirt", "Red shoes"]),
        ("shoe", "", &["Blue Shoe", "Red shoes"]),
        ("shoe red", "", &[]),
        ("red shoe", "", &["Red shoes"]),
        ("red sho", "Shoes", &["Red shoes"]),
        ("red sho", "Clothes", &[]),
        ("re", "", &["Red shirt", "Red shoes"]),
        ("r", "", &[]),
        ("leather", "", &["Blue Shoe"]),
        ("sh-0042", "", &["Blue Shoe"]),
        ("0042", "", &["Blue Shoe", "Red shirt"]),
        ("TS0042", "", &["Red shirt"]),
        ("café", "", &["Café-Tasse"]),
        ("größe", "O'Neil & \\ co", &["Café-Tasse"]),
        ("it's", "", &["Red shoes"]),
        ("-red | !shoe:* & (", "", &["Red shoes"]),
        ("!?", "", &[]),
        ("category=Shoes", "", &[]),
    ];
    for (query, category, expected) in cases {
        assert_eq!(
            found(&shop, query, category).await,
            expected,
            "{query:?} in {category:?}"
        );
    }
    assert_eq!(found(&shop, "", "Shoes").await, ["Blue Shoe", "Red shoes"]);
    assert_eq!(found(&shop, "", "shoes").await, [""; 0], "a category is exact");
    shop.close().await;
}

#[tokio::test]
async fn a_list_that_can_not_be_is_refused() {
    let shop = Shop::open().await;
    let mut client = shop.client.clone();
    let cases = [
        (
            ListProductsRequest {
                page: 0,
                page_size: 0,
                ..all()
            },
            vec!["page_size", "page"],
        ),
        (ListProductsRequest { page: 101, ..all() }, vec!["page"]),
        (ListProductsRequest { sort: 99, ..all() }, vec!["sort"]),
        (
            ListProductsRequest {
                query: "x".repeat(201),
                category: "a\0b".to_owned(),
                ..all()
            },
            vec!["query", "category"],
        ),
    ];
    for (request, expected) in cases {
        assert_eq!(
            fields(&client.list_products(request).await.unwrap_err()),
            expected
        );
    }
    assert_eq!(
        list(&shop, ListProductsRequest { page: 100, ..all() }).await,
        ListProductsResponse {
            page: 100,
            ..ListProductsResponse::default()
        }
    );
    shop.close().await;
}

/// More matches than are counted: the total stops, and the head of the list stays exact in every order.
#[tokio::test]
async fn a_search_with_very_many_matches_has_an_exact_head() {
    let shop = Shop::open().await;
    // The cheapest are written last, where a search that stops early would not see them.
    sqlx::query(
        "INSERT INTO products (id, sku, name, description, price_minor_units, currency_code, category, image_url)
         SELECT gen_random_uuid(), 'S' || n, 'Common ' || lpad(n::text, 5, '0'), '', 20000 - n, 'USD', 'Many', ''
         FROM generate_series(1, 12000) n",
    )
    .execute(shop.database.pool())
    .await
    .unwrap();
    sqlx::query("INSERT INTO stock SELECT id, 0 FROM products")
        .execute(shop.database.pool())
        .await
        .unwrap();
    let request = |category: &str, sort: ProductSort, page| ListProductsRequest {
        page,
        page_size: 20,
        query: "common".to_owned(),
        category: category.to_owned(),
        sort: sort.into(),
        ..ListProductsRequest::default()
    };
    for category in ["", "Many"] {
        let first = list(&shop, request(category, ProductSort::Newest, 1)).await;
        assert_eq!((first.total, first.products.len()), (10_000, 20));
        let cheapest = list(&shop, request(category, ProductSort::PriceAscending, 2)).await;
        assert_eq!(cheapest.total, 10_000);
        let prices: Vec<i64> = cheapest
            .products
            .iter()
            .map(|product| product.price.as_ref().unwrap().minor_units)
            .collect();
        assert_eq!(prices, (8_020..8_040).collect::<Vec<_>>());
        let last = list(&shop, request(category, ProductSort::NameDescending, 1)).await;
        assert_eq!(last.products[0].name, "Common 12000");
        // Deep in the list too a page is full and in order.
        let deep = list(&shop, request(category, ProductSort::PriceAscending, 500)).await;
        let prices: Vec<i64> = deep
            .products
            .iter()
            .map(|product| product.price.as_ref().unwrap().minor_units)
            .collect();
        assert!(prices.len() == 20 && prices.is_sorted());
    }
    let rare = ListProductsRequest {
        query: "common 00042".to_owned(),
        ..request("", ProductSort::Newest, 1)
    };
    assert_eq!(list(&shop, rare).await.total, 1);
    let unfiltered = ListProductsRequest {
        query: String::new(),
        ..request("Many", ProductSort::Newest, 1)
    };
    assert_eq!(list(&shop, unfiltered).await.total, 10_000);
    let pages = (1..=5).map(|page| list(&shop, request("", ProductSort::NameAscending, page)));
    let names: Vec<String> = join_all(pages)
        .await
        .into_iter()
        .flat_map(|listing| listing.products)
        .map(|product| product.name)
        .collect();
    assert_eq!(
        names,
        (1..=100).map(|n| format!("Common {n:05}")).collect::<Vec<_>>()
    );
    shop.close().await;
}

async fn categories(shop: &Shop) -> Vec<(String, u64)> {
    let answer = shop
        .client
        .clone()
        .list_categories(ListCategoriesRequest {})
        .await;
    let categories = answer.unwrap().into_inner().categories;
    categories
        .into_iter()
        .map(|Category { name, products }| (name, products))
        .collect()
}

#[tokio::test]
async fn categories_are_those_of_products_that_are_for_sale() {
    let shop = Shop::open().await;
    for category in ["tools", "", "cups", "tools", "éclairs", "tools"] {
        let request = CreateProductRequest {
            category: category.to_owned(),
            ..a_product()
        };
        let product = shop.add(request).await;
        if category == "cups" {
            shop.delete(&product).await;
        }
    }
    let mut named = categories(&shop).await;
    named.sort();
    assert_eq!(named, [("tools".to_owned(), 3), ("éclairs".to_owned(), 1)]);
    shop.close().await;
}

/// 30,000 products in six categories: the statement walks along an index of the categories, and never looks up a whole one.
#[tokio::test]
async fn categories_are_counted_up_to_the_window_and_cost_an_index_alone() {
    let shop = Shop::open().await;
    let fill = "
        INSERT INTO products (id, sku, name, description, price_minor_units, currency_code, category, image_url)
        SELECT gen_random_uuid(), 'B-' || n, 'Bulk', '', 100, 'EUR', 'bulk', '' FROM generate_series(1, 29995) AS n;
        INSERT INTO products (id, sku, name, description, price_minor_units, currency_code, category, image_url)
        SELECT gen_random_uuid(), 'F-' || n, 'Few', '', 100, 'EUR', 'few ' || n, '' FROM generate_series(1, 5) AS n";
    sqlx::raw_sql(fill).execute(shop.database.pool()).await.unwrap();
    sqlx::raw_sql("VACUUM ANALYZE products")
        .execute(shop.database.pool())
        .await
        .unwrap();
    let named = categories(&shop).await;
    assert_eq!(named.len(), 6);
    assert!(named.contains(&("bulk".to_owned(), 10_000)), "{named:?}");
    assert!(named.contains(&("few 5".to_owned(), 1)), "{named:?}");

    let statement = inventory_service::store::CATEGORIES
        .replace("$1", "10000")
        .replace("$2", "1000");
    let explain = format!("EXPLAIN (FORMAT JSON, ANALYZE) {statement}");
    let mut transaction = shop.database.pool().begin().await.unwrap();
    sqlx::query(inventory_service::store::ALONG_AN_INDEX)
        .execute(&mut *transaction)
        .await
        .unwrap();
    let plan: serde_json::Value = sqlx::query_scalar(sqlx::AssertSqlSafe(explain))
        .fetch_one(&mut *transaction)
        .await
        .unwrap();
    transaction.rollback().await.unwrap();
    let plan = plan.to_string();
    for whole in ["Seq Scan", "Bitmap", "Sort"] {
        assert!(!plan.contains(whole), "{plan}");
    }
    assert!(plan.contains("products_category_"), "{plan}");
    shop.close().await;
}
