//! What people type, and what it finds.

use iso_currency::Currency;
use proto::{
    inventory::{CreateProductRequest, ListProductsRequest, ProductSort, UpdateProductRequest},
    money::Money,
};

use crate::{
    listing::{found, list},
    support::{Shop, a_product, fields},
};

async fn add_named(shop: &Shop, names: &[&str]) {
    for name in names {
        let request = CreateProductRequest {
            name: (*name).to_owned(),
            ..a_product()
        };
        shop.add(request).await;
    }
}

#[tokio::test]
async fn beginnings_of_words_and_words_that_are_glued_or_split_are_found() {
    let shop = Shop::open().await;
    add_named(
        &shop,
        &[
            "Espresso cup",
            "iPhone 15 Pro",
            "iPhone15",
            "T-Shirt",
            "Tshirt long",
            "Coffee-Maker 500ml",
        ],
    )
    .await;
    let phones: &[&str] = &["iPhone 15 Pro", "iPhone15"];
    let cases: [(&str, &[&str]); 17] = [
        ("es", &["Espresso cup"]),
        ("ESPR", &["Espresso cup"]),
        // The last word is a beginning where it is one with the word before.
        ("espresso c", &["Espresso cup"]),
        ("cup e", &[]),
        ("espresso cu", &["Espresso cup"]),
        ("presso", &[]),
        ("iphone1", phones),
        ("iphone15", phones),
        ("iphone 15", phones),
        ("iPhone-15", phones),
        ("iphone 1", phones),
        ("iphone 14", &[]),
        ("tshirt", &["T-Shirt", "Tshirt long"]),
        ("t-shirt", &["T-Shirt", "Tshirt long"]),
        ("t shi", &["T-Shirt", "Tshirt long"]),
        ("500 ml coffee", &["Coffee-Maker 500ml"]),
        ("coffeemaker", &["Coffee-Maker 500ml"]),
    ];
    for (query, expected) in cases {
        assert_eq!(found(&shop, query, "").await, expected, "{query:?}");
    }
    shop.close().await;
}

#[tokio::test]
async fn words_inside_of_text_without_blanks_are_found() {
    let shop = Shop::open().await;
    let (steel, korean, japanese, charger, rare, thai) = (
        "不锈钢咖啡杯",
        "커피잔 세트",
        "ステンレスのコーヒーカップ",
        "USB充电器65W",
        "𠮷野家の丼",
        "แก้วกาแฟ",
    );
    add_named(&shop, &[steel, korean, japanese, charger, rare, thai]).await;
    let cases: [(&str, &[&str]); 19] = [
        ("不锈", &[steel]),
        ("不锈钢", &[steel]),
        ("咖啡", &[steel]),
        ("咖啡杯", &[steel]),
        ("杯", &[steel]),
        ("杯咖", &[]),
        ("不锈 咖啡", &[steel]),
        ("커피", &[korean]),
        ("피잔", &[korean]),
        ("커피 세트", &[korean]),
        ("커", &[korean]),
        ("コーヒー", &[japanese]),
        ("ｺｰﾋｰ", &[japanese]),
        ("カップ", &[japanese]),
        ("usb充电", &[charger]),
        ("充电器 65", &[charger]),
        ("65w", &[charger]),
        ("𠮷", &[rare]),
        ("กาแฟ", &[thai]),
    ];
    for (query, expected) in cases {
        assert_eq!(found(&shop, query, "").await, expected, "{query:?}");
    }
    shop.close().await;
}

#[tokio::test]
async fn accents_forms_and_case_make_no_difference() {
    let shop = Shop::open().await;
    let names = [
        "Café au lait",
        "Großes Müsli",
        "ΚΑΦΈΣ",
        "Ёлка",
        "Ｗｉｄｅ ﬁlter",
        "Smørrebrød",
    ];
    add_named(&shop, &names).await;
    for (query, expected) in [
        ("cafe", names[0]),
        ("CAFÉ", names[0]),
        ("cafe\u{301}", names[0]),
        ("musli", names[1]),
        ("mu\u{308}sli", names[1]),
        ("grosses", names[1]),
        ("großes", names[1]),
        ("καφες", names[2]),
        ("елка", names[3]),
        ("ёлка", names[3]),
        ("wide", names[4]),
        ("filter", names[4]),
        ("smorrebrod", names[5]),
    ] {
        assert_eq!(found(&shop, query, "").await, [expected], "{query:?}");
    }
    shop.close().await;
}

/// A text of any kind and length has terms, and a query of any kind is one.
#[tokio::test]
async fn no_text_is_too_much() {
    let shop = Shop::open().await;
    let long = CreateProductRequest {
        name: "字".repeat(200),
        sku: "x".repeat(100),
        description: format!("{} {}", "語彙".repeat(2_000), "w".repeat(5_000)),
        ..a_product()
    };
    shop.add(long).await;
    for query in [
        "字".repeat(200),
        "w".repeat(200),
        "x".repeat(100),
        "語".to_owned(),
    ] {
        assert_eq!(found(&shop, &query, "").await.len(), 1, "{query}");
    }
    for query in ["'", "\\", "\\' | a:*", "&", "()", "a'b\\c", ":*", "<->"] {
        assert_eq!(found(&shop, query, "it's").await, [""; 0], "{query:?}");
    }
    shop.close().await;
}

/// The version before writes rows as it always has: the database fills in the rest.
#[tokio::test]
async fn what_the_version_before_writes_is_found_and_in_order() {
    let shop = Shop::open().await;
    for statement in [
        "INSERT INTO products (id, sku, name, description, price_minor_units, currency_code, category, image_url)
         SELECT gen_random_uuid(), 'S' || n, 'Alt ' || n, '', n, 'JPY', 'Old', '' FROM generate_series(1, 3) AS n",
        "INSERT INTO stock SELECT id, 0 FROM products",
        "UPDATE products SET name = 'Neu 2', price_minor_units = 999, currency_code = 'USD' WHERE sku = 'S2'",
    ] {
        sqlx::query(statement).execute(shop.database.pool()).await.unwrap();
    }
    assert_eq!(found(&shop, "alt", "Old").await, ["Alt 1", "Alt 3"]);
    assert_eq!(found(&shop, "neu", "Old").await, ["Neu 2"]);
    let request = ListProductsRequest {
        page: 1,
        page_size: 10,
        sort: ProductSort::PriceDescending.into(),
        ..ListProductsRequest::default()
    };
    let names: Vec<_> = list(&shop, request)
        .await
        .products
        .into_iter()
        .map(|product| product.name)
        .collect();
    assert_eq!(names, ["Neu 2", "Alt 3", "Alt 1"]);
    shop.close().await;
}

/// What the migration does with the rows that are there.
#[tokio::test]
async fn rows_from_before_are_filled_in() {
    let shop = Shop::open().await;
    for statement in [
        "ALTER TABLE products DISABLE TRIGGER products_fill_in",
        "INSERT INTO products (id, sku, name, description, price_minor_units, currency_code, category, image_url)
         SELECT gen_random_uuid(), 'S' || n, 'Old ' || n, '', n, 'USD', '', '' FROM generate_series(1, 1200) AS n",
        "INSERT INTO stock SELECT id, 0 FROM products",
        "ALTER TABLE products ENABLE TRIGGER products_fill_in",
    ] {
        sqlx::query(statement).execute(shop.database.pool()).await.unwrap();
    }
    assert_eq!(found(&shop, "old 777", "").await, [""; 0]);
    for _ in 0..2 {
        sqlx::raw_sql(include_str!(
            "../../../../services/inventory-service/migrations/0008_terms_filled.sql"
        ))
        .execute(shop.database.pool())
        .await
        .unwrap();
    }
    assert_eq!(found(&shop, "old 777", "").await, ["Old 777"]);
    let unfilled: i64 =
        sqlx::query_scalar("SELECT count(*) FROM products WHERE terms IS NULL OR price_amount IS NULL")
            .fetch_one(shop.database.pool())
            .await
            .unwrap();
    assert_eq!(unfilled, 0);
    shop.close().await;
}

/// The database knows the decimals of every currency that prices may have.
#[tokio::test]
async fn prices_are_ordered_by_the_amount_that_is_shown() {
    let shop = Shop::open().await;
    let amounts = [
        (300, "USD", "3"),
        (1_500, "BHD", "1.5"),
        (1_000, "JPY", "1000"),
        (1_099, "USD", "10.99"),
        (1_099, "EUR", "10.99"),
        (11, "JPY", "11"),
        (i64::MAX, "JPY", "9223372036854775807"),
        (0, "CLF", "0"),
    ];
    for (minor_units, currency_code, amount) in amounts {
        let request = CreateProductRequest {
            name: format!("{amount} {currency_code}"),
            price: Some(Money {
                minor_units,
                currency_code: currency_code.to_owned(),
            }),
            ..a_product()
        };
        shop.add(request).await;
    }
    let ascending = [
        "0 CLF",
        "1.5 BHD",
        "3 USD",
        "10.99 USD",
        "10.99 EUR",
        "11 JPY",
        "1000 JPY",
        "9223372036854775807 JPY",
    ];
    let descending: Vec<_> = ascending.iter().rev().copied().collect();
    for (sort, expected) in [
        (ProductSort::PriceAscending, ascending.as_slice()),
        (ProductSort::PriceDescending, &descending),
    ] {
        let mut request = ListProductsRequest {
            page_size: 3,
            sort: sort.into(),
            cursor: Some(String::new()),
            ..ListProductsRequest::default()
        };
        let mut names = Vec::new();
        loop {
            let answer = list(&shop, request.clone()).await;
            names.extend(answer.products.into_iter().map(|product| product.name));
            if answer.next.is_empty() {
                break;
            }
            request.cursor = Some(answer.next);
        }
        assert_eq!(names, expected);
    }
    let letters = || 'A'..='Z';
    let codes = letters()
        .flat_map(|one| letters().flat_map(move |two| letters().map(move |three| [one, two, three])))
        .map(String::from_iter);
    let known: Vec<(String, i64)> = codes
        .filter_map(|code| {
            let decimals = Currency::from_code(&code)?.exponent()?;
            Some((code, 10_000 / 10_i64.pow(decimals.into())))
        })
        .collect();
    assert!(known.len() > 150);
    let (codes, amounts): (Vec<_>, Vec<_>) = known.into_iter().unzip();
    let wrong: Vec<String> = sqlx::query_scalar(
        "SELECT code FROM unnest($1::text[], $2::bigint[]) AS known (code, amount)
         WHERE shown_amount(10000, code) <> amount",
    )
    .bind(codes)
    .bind(amounts)
    .fetch_all(shop.database.pool())
    .await
    .unwrap();
    assert_eq!(wrong, [""; 0]);
    shop.close().await;
}

#[tokio::test]
async fn a_list_is_of_one_currency_where_that_is_asked_for() {
    let shop = Shop::open().await;
    let mut products = Vec::new();
    for (name, currency_code) in [("Red", "USD"), ("Green", "EUR"), ("Blue", "EUR")] {
        let request = CreateProductRequest {
            name: name.to_owned(),
            price: Some(Money {
                minor_units: 100,
                currency_code: currency_code.to_owned(),
            }),
            category: "Toys".to_owned(),
            ..a_product()
        };
        products.push(shop.add(request).await);
    }
    let names = async |currency_code: &str, query: &str, category: &str| {
        let request = ListProductsRequest {
            page: 1,
            page_size: 10,
            query: query.to_owned(),
            category: category.to_owned(),
            currency_code: currency_code.to_owned(),
            sort: ProductSort::NameAscending.into(),
            ..ListProductsRequest::default()
        };
        let products = list(&shop, request).await.products.into_iter();
        products.map(|product| product.name).collect::<Vec<_>>()
    };
    assert_eq!(names("EUR", "", "").await, ["Blue", "Green"]);
    assert_eq!(names("EUR", "", "Toys").await, ["Blue", "Green"]);
    assert_eq!(names("EUR", "gre", "Toys").await, ["Green"]);
    assert_eq!(names("EUR", "red", "").await, [""; 0]);
    assert_eq!(names("CHF", "", "").await, [""; 0]);
    let change = UpdateProductRequest {
        product_id: products[1].id.clone(),
        price: Some(Money {
            minor_units: 100,
            currency_code: "CHF".to_owned(),
        }),
        ..UpdateProductRequest::default()
    };
    shop.client.clone().update_product(change).await.unwrap();
    assert_eq!(names("EUR", "", "").await, ["Blue"]);
    assert_eq!(names("CHF", "", "").await, ["Green"]);
    let unknown = ListProductsRequest {
        page: 1,
        page_size: 10,
        currency_code: "eur".to_owned(),
        ..ListProductsRequest::default()
    };
    let refused = shop.client.clone().list_products(unknown).await.unwrap_err();
    assert_eq!(fields(&refused), ["currency_code"]);
    shop.close().await;
}
