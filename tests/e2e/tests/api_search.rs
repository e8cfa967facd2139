//! `GET /products`: finding things in the catalogue.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::process::ExitCode;

use e2e::{Shop, Stack, scenarios, suite};
use serde_json::{Value, json};
use uuid::Uuid;

fn main() -> ExitCode {
    suite(
        &Stack::builder(),
        scenarios![
            products_are_searched_sorted_and_paged,
            what_people_type_is_found,
            malformed_queries_name_the_field
        ],
    )
}

/// A word that no other test's products have.
fn unique_word() -> String {
    let word = Uuid::now_v7().simple().to_string();
    // Letters only: digits are no words to a text search.
    word.bytes()
        .map(|byte| {
            char::from(if byte.is_ascii_digit() {
                byte - b'0' + b'g'
            } else {
                byte
            })
        })
        .collect()
}

async fn products_are_searched_sorted_and_paged(shop: Shop) -> anyhow::Result<()> {
    let (admin, anybody) = (shop.admin().await?, shop.anybody());
    let (word, category) = (unique_word(), unique_word());
    for (name, price) in [("Banana", 3), ("Apple", 2), ("Cherry", 1)] {
        let product = json!({ "name": format!("{name} {word}"), "price": price, "category": category });
        admin.post("/products").json(product).await?.is(201)?;
    }
    let names = async |query: &str| {
        let list = anybody.get(format!("/products?{query}")).await?.is(200)?;
        let name = |product: &Value| {
            product["name"]
                .as_str()
                .unwrap()
                .split(' ')
                .next()
                .unwrap()
                .to_owned()
        };
        let names: Vec<String> = list["items"].as_array().unwrap().iter().map(name).collect();
        anyhow::Ok((names.join(" "), list["total"].clone()))
    };
    for (query, wanted) in [
        (format!("q={word}&sort=name"), "Apple Banana Cherry"),
        (format!("q={word}&sort=-name"), "Cherry Banana Apple"),
        (format!("q={word}&sort=price"), "Cherry Apple Banana"),
        (format!("q={word}&sort=-price"), "Banana Apple Cherry"),
        (format!("q={word}&sort=created_at"), "Banana Apple Cherry"),
        (format!("q={word}&sort=-created_at"), "Cherry Apple Banana"),
        (format!("category={category}"), "Cherry Apple Banana"),
    ] {
        assert_eq!(names(&query).await?, (wanted.to_owned(), json!(3)), "{query}");
    }
    assert_eq!(
        names(&format!("q=apple+{word}")).await?,
        ("Apple".to_owned(), json!(1))
    );
    assert_eq!(
        names(&format!("q={word}&category=elsewhere")).await?,
        (String::new(), json!(0))
    );
    assert_eq!(
        names(&format!("q={word}&sort=name&page=2&page_size=2")).await?,
        ("Cherry".to_owned(), json!(3))
    );
    assert_eq!(
        names(&format!("q={word}&sort=name&page=3&page_size=2")).await?,
        (String::new(), json!(3))
    );
    // What a person may type is searched for, never executed.
    for query in [
        "q=%27%3B--",
        "q=%25%25",
        "q=%21%26%7C%28",
        "q=%5C",
        "q=%E2%82%AC",
        "q=a%00b",
    ] {
        let answer = anybody.get(format!("/products?{query}")).await?;
        assert!([200, 422].contains(&answer.status().as_u16()), "{answer}");
    }
    let list = anybody.get("/products").await?.is(200)?;
    assert_eq!((&list["page"], &list["page_size"]), (&json!(1), &json!(20)));
    Ok(())
}

async fn what_people_type_is_found(shop: Shop) -> anyhow::Result<()> {
    let (admin, anybody) = (shop.admin().await?, shop.anybody());
    let category = unique_word();
    for (name, price, currency) in [
        ("Espresso cup", 3, "USD"),
        ("iPhone 15", 1_000, "JPY"),
        ("Müsli", 2, "EUR"),
        ("不锈钢咖啡杯", 10, "EUR"),
        ("커피잔", 11, "USD"),
        ("コーヒーカップ", 12, "USD"),
    ] {
        let product = json!({ "name": name, "price": price, "currency": currency, "category": category });
        admin.post("/products").json(product).await?.is(201)?;
    }
    let names = async |query: &str| {
        let query = format!("category={category}&{query}");
        let list = anybody.get(format!("/products?{query}")).await?.is(200)?;
        let products = list["items"].as_array().unwrap().iter();
        let names: Vec<String> = products
            .map(|product| product["name"].as_str().unwrap().to_owned())
            .collect();
        anyhow::Ok(names)
    };
    for (query, found) in [
        ("es", "Espresso cup"),
        ("iphone1", "iPhone 15"),
        ("iphone15", "iPhone 15"),
        ("m%C3%BCsli", "Müsli"),
        ("mu%CC%88sli", "Müsli"),
        ("MUSLI", "Müsli"),
        ("%E4%B8%8D%E9%94%88", "不锈钢咖啡杯"),
        ("%EC%BB%A4%ED%94%BC", "커피잔"),
        ("%E3%82%AB%E3%83%83%E3%83%97", "コーヒーカップ"),
    ] {
        assert_eq!(names(&format!("q={query}")).await?, [found], "{query}");
    }
    // By the amounts that are shown, whatever the minor unit.
    let by_price = [
        "Müsli",
        "Espresso cup",
        "不锈钢咖啡杯",
        "커피잔",
        "コーヒーカップ",
        "iPhone 15",
    ];
    assert_eq!(names("sort=price").await?, by_price);
    assert_eq!(names("sort=price&currency=EUR").await?, ["Müsli", "不锈钢咖啡杯"]);
    Ok(())
}

async fn malformed_queries_name_the_field(shop: Shop) -> anyhow::Result<()> {
    let anybody = shop.anybody();
    for (field, value) in [
        ("page", "0"),
        ("page", "-1"),
        ("page", "one"),
        ("page", "4294967296"),
        ("page_size", "0"),
        ("page_size", "101"),
        ("page_size", ""),
        ("sort", "random"),
        ("currency", "eur"),
        ("currency", ""),
        ("colour", "red"),
    ] {
        anybody
            .get(format!("/products?{field}={value}"))
            .await?
            .is_problem(422)?
            .names(field)?;
    }
    // Deeper than anybody turns pages.
    anybody
        .get("/products?page=101&page_size=100")
        .await?
        .is_problem(422)?
        .names("page")?;
    Ok(())
}
