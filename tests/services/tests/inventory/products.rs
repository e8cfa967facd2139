//! Creating, reading, changing and deleting products.

use futures::future::join_all;
use proto::{
    inventory::{
        CreateProductRequest, DeleteProductRequest, GetPricesRequest, GetProductsRequest, ProductPrice,
        UpdateProductRequest,
    },
    money::Money,
};
use tonic::Code;
use uuid::Uuid;

use crate::support::{Shop, a_product, fields, new_id, reason, usd};

#[tokio::test]
async fn a_product_is_kept_as_it_was_created() {
    let shop = Shop::open().await;
    let request = CreateProductRequest {
        sku: " SHIRT-RED-M ".to_owned(),
        name: "Red shirt \u{1F455}".to_owned(),
        description: "Cotton.\nWash cold.".to_owned(),
        price: Some(Money {
            minor_units: i64::MAX,
            currency_code: "JPY".to_owned(),
        }),
        initial_stock: 7,
        category: "Clothes".to_owned(),
        image_url: "https://example.com/shirt.png".to_owned(),
        ..CreateProductRequest::default()
    };
    let product = shop.add(request.clone()).await;
    assert_eq!(Uuid::parse_str(&product.id).unwrap().get_version_num(), 7);
    assert_eq!(
        (product.sku.as_str(), &product.name),
        ("SHIRT-RED-M", &request.name)
    );
    assert_eq!(
        (&product.description, &product.price),
        (&request.description, &request.price)
    );
    assert_eq!(
        (&product.category, &product.image_url),
        (&request.category, &request.image_url)
    );
    assert_eq!((product.stock, product.version), (7, 1));
    assert!(product.created_at.is_some() && product.created_at == product.updated_at);
    assert_eq!(shop.get(&product.id).await, Some(product));
    shop.assert_stock_is_what_the_ledger_says().await;
    shop.close().await;
}

#[tokio::test]
async fn a_request_is_refused_with_everything_that_is_wrong_with_it() {
    let shop = Shop::open().await;
    let mut client = shop.client.clone();
    let wrong = CreateProductRequest {
        sku: "x".repeat(101),
        name: String::new(),
        description: "\0".to_owned(),
        price: Some(Money {
            minor_units: -1,
            currency_code: "dollars".to_owned(),
        }),
        initial_stock: -1,
        category: "\n".repeat(101) + "x",
        image_url: "ftp://example.com".to_owned(),
        ..CreateProductRequest::default()
    };
    let refused = client.create_product(wrong).await.unwrap_err();
    let money = ["price.minor_units", "price.currency_code"];
    assert_eq!(
        fields(&refused),
        [
            &["sku", "name", "description"],
            &money[..],
            &["image_url", "initial_stock"]
        ]
        .concat()
    );
    let refused = client
        .create_product(CreateProductRequest {
            price: None,
            ..a_product()
        })
        .await
        .unwrap_err();
    assert_eq!(fields(&refused), ["price"]);

    let product = shop.add(a_product()).await;
    let wrong = UpdateProductRequest {
        product_id: product.id.clone(),
        sku: Some(String::new()),
        price: Some(usd(-5)),
        ..UpdateProductRequest::default()
    };
    assert_eq!(
        fields(&client.update_product(wrong).await.unwrap_err()),
        ["sku", "price.minor_units"]
    );
    let wrong = UpdateProductRequest {
        product_id: "7".to_owned(),
        ..UpdateProductRequest::default()
    };
    assert_eq!(
        fields(&client.update_product(wrong).await.unwrap_err()),
        ["product_id"]
    );
    let wrong = DeleteProductRequest {
        product_id: String::new(),
        expected_version: None,
    };
    assert_eq!(
        fields(&client.delete_product(wrong).await.unwrap_err()),
        ["product_id"]
    );
    let wrong = GetProductsRequest {
        product_ids: vec![new_id(), "x".to_owned()],
    };
    assert_eq!(
        fields(&client.get_products(wrong).await.unwrap_err()),
        ["product_ids[1]"]
    );
    let wrong = GetProductsRequest {
        product_ids: vec![new_id(); 101],
    };
    assert_eq!(
        fields(&client.get_products(wrong).await.unwrap_err()),
        ["product_ids"]
    );
    assert_eq!(shop.get(&product.id).await, Some(product));
    shop.close().await;
}

#[tokio::test]
async fn many_products_are_read_at_once_without_the_unknown_and_deleted() {
    let shop = Shop::open().await;
    let (kept, deleted) = (shop.add(a_product()).await, shop.add(a_product()).await);
    shop.delete(&deleted).await;
    let product_ids = vec![new_id(), kept.id.clone(), deleted.id, kept.id.clone()];
    let mut client = shop.client.clone();
    let request = GetPricesRequest {
        product_ids: product_ids.clone(),
    };
    let prices = client.get_prices(request).await.unwrap().into_inner().prices;
    let price = ProductPrice {
        product_id: kept.id.clone(),
        name: kept.name.clone(),
        price: kept.price.clone(),
    };
    assert_eq!(prices, [price]);
    let request = GetProductsRequest { product_ids };
    let products = client.get_products(request).await.unwrap().into_inner().products;
    assert_eq!(products, [kept]);
    let none = client.get_products(GetProductsRequest::default()).await.unwrap();
    assert_eq!(none.into_inner().products, []);
    let none = client.get_prices(GetPricesRequest::default()).await.unwrap();
    assert_eq!(none.into_inner().prices, []);
    shop.close().await;
}

#[tokio::test]
async fn a_sku_is_unique_until_its_product_is_deleted() {
    let shop = Shop::open().await;
    let mut client = shop.client.clone();
    let with_sku = || CreateProductRequest {
        sku: "A-1".to_owned(),
        ..a_product()
    };
    let first = shop.add(with_sku()).await;
    let taken = (Code::AlreadyExists, "SKU_TAKEN".to_owned());
    assert_eq!(
        reason(&client.create_product(with_sku()).await.unwrap_err()),
        taken
    );

    let other = shop.add(a_product()).await;
    assert_ne!(
        other.sku,
        shop.add(a_product()).await.sku,
        "each is given one of its own"
    );
    let rename = UpdateProductRequest {
        product_id: other.id.clone(),
        sku: Some("A-1".to_owned()),
        ..UpdateProductRequest::default()
    };
    assert_eq!(
        reason(&client.update_product(rename.clone()).await.unwrap_err()),
        taken
    );

    shop.delete(&first).await;
    assert_eq!(
        client
            .update_product(rename)
            .await
            .unwrap()
            .into_inner()
            .product
            .unwrap()
            .sku,
        "A-1"
    );
    shop.close().await;
}

#[tokio::test]
async fn an_update_changes_only_what_it_names() {
    let shop = Shop::open().await;
    let mut client = shop.client.clone();
    let product = shop
        .add(CreateProductRequest {
            category: "Clothes".to_owned(),
            ..a_product()
        })
        .await;
    let request = UpdateProductRequest {
        product_id: product.id.clone(),
        expected_version: Some(1),
        price: Some(usd(5)),
        category: Some(String::new()),
        ..UpdateProductRequest::default()
    };
    let changed = client
        .update_product(request.clone())
        .await
        .unwrap()
        .into_inner()
        .product
        .unwrap();
    assert_eq!(
        (changed.version, &changed.price, changed.category.as_str()),
        (2, &Some(usd(5)), "")
    );
    assert_eq!(
        (&changed.name, &changed.sku, &changed.created_at),
        (&product.name, &product.sku, &product.created_at)
    );
    assert_ne!(changed.updated_at, product.updated_at);
    assert_eq!(shop.get(&product.id).await.as_ref(), Some(&changed));

    let stale = client.update_product(request).await.unwrap_err();
    assert_eq!(reason(&stale), (Code::Aborted, "VERSION_MISMATCH".to_owned()));
    let nothing = |expected_version| UpdateProductRequest {
        product_id: product.id.clone(),
        expected_version,
        ..UpdateProductRequest::default()
    };
    let unchanged = client
        .update_product(nothing(Some(2)))
        .await
        .unwrap()
        .into_inner()
        .product;
    assert_eq!(unchanged, Some(changed));
    assert_eq!(
        client.update_product(nothing(Some(1))).await.unwrap_err().code(),
        Code::Aborted
    );
    shop.close().await;
}

#[tokio::test]
async fn of_concurrent_updates_of_one_version_exactly_one_wins() {
    let shop = Shop::open().await;
    let product = shop.add(a_product()).await;
    let updates = (0..20).map(|price| {
        let mut client = shop.client.clone();
        let request = UpdateProductRequest {
            product_id: product.id.clone(),
            expected_version: Some(1),
            price: Some(usd(price)),
            ..UpdateProductRequest::default()
        };
        async move { client.update_product(request).await }
    });
    let (won, lost): (Vec<_>, Vec<_>) = join_all(updates).await.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 19));
    for refused in lost {
        assert_eq!(
            reason(&refused.unwrap_err()),
            (Code::Aborted, "VERSION_MISMATCH".to_owned())
        );
    }
    assert_eq!(shop.get(&product.id).await.unwrap().version, 2);
    shop.close().await;
}

#[tokio::test]
async fn a_deleted_product_is_gone() {
    let shop = Shop::open().await;
    let mut client = shop.client.clone();
    let product = shop.add_with_stock(3).await;
    let delete = |expected_version| DeleteProductRequest {
        product_id: product.id.clone(),
        expected_version,
    };
    assert_eq!(
        client.delete_product(delete(Some(2))).await.unwrap_err().code(),
        Code::Aborted
    );
    let last = client
        .delete_product(delete(Some(1)))
        .await
        .unwrap()
        .into_inner()
        .product
        .unwrap();
    assert_eq!((last.id.as_str(), last.stock), (product.id.as_str(), 3));
    assert_eq!(shop.get(&product.id).await, None);

    let gone = (Code::NotFound, "PRODUCT_NOT_FOUND".to_owned());
    assert_eq!(
        reason(&client.delete_product(delete(None)).await.unwrap_err()),
        gone
    );
    for name in [None, Some("New".to_owned())] {
        let request = UpdateProductRequest {
            product_id: product.id.clone(),
            name,
            ..UpdateProductRequest::default()
        };
        assert_eq!(reason(&client.update_product(request).await.unwrap_err()), gone);
    }
    shop.close().await;
}
