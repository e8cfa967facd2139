//! Products: their creation, reading, listing, change and deletion.

use chassis::{
    grpc::{
        Principal,
        status::{invalid_field, parse_uuid},
        timestamp,
    },
    idempotency::{IdempotencyKey, kept_answer},
    page::Keyset,
    violations::Violations,
};
use prost::Message as _;
use proto::{
    inventory::{
        Category as CategoryMessage, CreateProductRequest, CreateProductResponse, DeleteProductRequest,
        DeleteProductResponse, GetPricesRequest, GetPricesResponse, GetProductsRequest, GetProductsResponse,
        ListCategoriesResponse, ListProductsRequest, ListProductsResponse, Product as ProductMessage,
        ProductPrice, ProductSort, UpdateProductRequest, UpdateProductResponse,
    },
    money::Money,
};
use tonic::Status;
use uuid::Uuid;

use super::{Inventory, status};
use crate::{
    product::{self, Change, Details, Expected, Price, Product, sku_from_id},
    search::{Position, Search, Sort, Words},
    store::Once,
};

/// Whole products are large: as many as a page has.
const MAX_PRODUCTS: usize = proto::limits::PAGE_SIZE as usize;
const MAX_PRICES: usize = 10_000;

impl Inventory {
    pub(super) async fn create(
        &self,
        principal: &Principal,
        request: CreateProductRequest,
    ) -> Result<CreateProductResponse, Status> {
        let id = Uuid::now_v7();
        let mut check = Violations::new();
        let details = Details {
            sku: if request.sku.trim().is_empty() {
                sku_from_id(id)
            } else {
                product::sku(&mut check, &request.sku)
            },
            name: product::name(&mut check, &request.name),
            description: product::description(&mut check, &request.description),
            price: price(&mut check, request.price.as_ref()),
            category: product::category(&mut check, &request.category),
            image_url: product::image_url(&mut check, &request.image_url),
        };
        let initial_stock = product::initial_stock(&mut check, request.initial_stock);
        check.into_result()?;
        let key = IdempotencyKey::read(&request.user_id, request.idempotency_key, request.request_digest)?;
        let response = |product: Product| CreateProductResponse {
            product: Some(message(product)),
            replayed: false,
        };
        let kept = |product: &Product| response(product.clone()).encode_to_vec();
        let created = self
            .store
            .create_product(principal, id, &details, initial_stock, key.as_ref(), kept);
        Ok(match created.await.map_err(status)? {
            Once::Done(product) => response(product),
            Once::Before(answer) => CreateProductResponse {
                replayed: true,
                ..kept_answer(&answer)?
            },
        })
    }

    pub(super) async fn get(&self, request: GetProductsRequest) -> Result<GetProductsResponse, Status> {
        let ids = product_ids(&request.product_ids, MAX_PRODUCTS)?;
        let products = self.store.products(&ids).await.map_err(status)?;
        Ok(GetProductsResponse {
            products: products.into_iter().map(message).collect(),
        })
    }

    pub(super) async fn prices(&self, request: GetPricesRequest) -> Result<GetPricesResponse, Status> {
        let ids = product_ids(&request.product_ids, MAX_PRICES)?;
        let prices = self.group_read.prices(ids).await?;
        let prices = prices.into_iter().map(|offered| ProductPrice {
            product_id: offered.product_id.to_string(),
            name: offered.name,
            price: Some(money(offered.price)),
        });
        Ok(GetPricesResponse {
            prices: prices.collect(),
        })
    }

    pub(super) async fn list(&self, request: ListProductsRequest) -> Result<ListProductsResponse, Status> {
        let Ok(sort) = ProductSort::try_from(request.sort) else {
            return Err(invalid_field("sort", "must be one of the known orders"));
        };
        let mut check = Violations::new();
        let search = Search {
            words: Words::new(&product::query(&mut check, &request.query)),
            category: product::category(&mut check, &request.category),
            currency: product::listed_currency(&mut check, &request.currency_code),
            sort: match sort {
                ProductSort::Unspecified | ProductSort::Newest => Sort::Newest,
                ProductSort::Oldest => Sort::Oldest,
                ProductSort::PriceAscending => Sort::PriceAscending,
                ProductSort::PriceDescending => Sort::PriceDescending,
                ProductSort::NameAscending => Sort::NameAscending,
                ProductSort::NameDescending => Sort::NameDescending,
            },
        };
        check.into_result()?;
        let cursor = request.cursor.as_deref();
        let page: Keyset<Position> = Keyset::read(search.digest(), request.page, request.page_size, cursor)?;
        if page.after().is_some_and(|after| !after.key.is_of(search.sort)) {
            return Err(invalid_field(
                "cursor",
                "must be the `next` of an answer, as it was there",
            ));
        }
        let listing = self.store.list(&search, &page).await.map_err(status)?;
        let products = listing.products.map(message);
        Ok(ListProductsResponse {
            products: products.items,
            total: listing.total,
            next: products.next,
            page: products.page,
        })
    }

    pub(super) async fn categories(&self) -> Result<ListCategoriesResponse, Status> {
        let categories = self.store.categories().await.map_err(status)?;
        let categories = categories.iter().map(|category| CategoryMessage {
            name: category.name.clone(),
            products: category.products.unsigned_abs(),
        });
        Ok(ListCategoriesResponse {
            categories: categories.collect(),
        })
    }

    pub(super) async fn update(
        &self,
        principal: &Principal,
        request: UpdateProductRequest,
    ) -> Result<UpdateProductResponse, Status> {
        let id = parse_uuid("product_id", &request.product_id)?;
        let mut check = Violations::new();
        let change = Change {
            sku: request.sku.map(|sku| product::sku(&mut check, &sku)),
            name: request.name.map(|name| product::name(&mut check, &name)),
            description: request
                .description
                .map(|description| product::description(&mut check, &description)),
            price: request.price.map(|money| price(&mut check, Some(&money))),
            category: request
                .category
                .map(|category| product::category(&mut check, &category)),
            image_url: request.image_url.map(|url| product::image_url(&mut check, &url)),
        };
        check.into_result()?;
        let expected = Expected {
            version: request.expected_version,
            currency_code: request.expected_currency_code,
            minor_units: request.expected_minor_units,
        };
        let product = self
            .store
            .update_product(principal, id, &expected, &change)
            .await
            .map_err(status)?;
        Ok(UpdateProductResponse {
            product: Some(message(product)),
        })
    }

    pub(super) async fn delete(
        &self,
        principal: &Principal,
        request: DeleteProductRequest,
    ) -> Result<DeleteProductResponse, Status> {
        let id = parse_uuid("product_id", &request.product_id)?;
        let product = self
            .store
            .delete_product(principal, id, request.expected_version)
            .await
            .map_err(status)?;
        Ok(DeleteProductResponse {
            product: Some(message(product)),
        })
    }
}

fn price(check: &mut Violations, money: Option<&Money>) -> Price {
    product::price(
        check,
        money.map(|money| (money.minor_units, money.currency_code.as_str())),
    )
}

pub(super) fn message(product: Product) -> ProductMessage {
    let Details {
        sku,
        name,
        description,
        price,
        category,
        image_url,
    } = product.details;
    ProductMessage {
        id: product.id.to_string(),
        sku,
        name,
        description,
        price: Some(money(price)),
        stock: product.stock,
        category,
        image_url,
        version: product.version,
        created_at: Some(timestamp(product.created_at)),
        updated_at: Some(timestamp(product.updated_at)),
    }
}

fn money(price: Price) -> Money {
    Money {
        minor_units: price.minor_units,
        currency_code: price.currency_code,
    }
}

fn product_ids(ids: &[String], most: usize) -> Result<Vec<Uuid>, Status> {
    if ids.len() > most {
        return Err(invalid_field("product_ids", format!("must be at most {most}")));
    }
    let parsed = ids.iter().enumerate().map(|(index, id)| {
        Uuid::try_parse(id).map_err(|_| invalid_field(format!("product_ids[{index}]"), "must be a UUID"))
    });
    parsed.collect()
}
