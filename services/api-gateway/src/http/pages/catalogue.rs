//! `/`: the catalogue, by category, search, order and page.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use futures::future::join;
use proto::inventory::{Category, ListCategoriesRequest, ListProductsRequest, Product, ProductSort};
use url::form_urlencoded;

use super::{
    picture, price,
    visit::{Page, Visit},
};
use crate::{
    backends::read,
    http::{
        Api,
        availability::{Availability, StockView},
        caller::Identity,
        products::SEARCH,
    },
    money,
    problem::Problem,
};

/// Rows of two, three and four are all full.
const PAGE_SIZE: u32 = 24;
/// As far as lists are shown by number.
const LAST_PAGE: u32 = 10_000 / PAGE_SIZE;
/// The orders that one can choose, with their parameter and the key of their text.
const SORTS: [(ProductSort, &str, &str); 4] = [
    (ProductSort::Newest, "", "sort.newest"),
    (ProductSort::PriceAscending, "price", "sort.cheapest"),
    (ProductSort::PriceDescending, "-price", "sort.dearest"),
    (ProductSort::NameAscending, "name", "sort.name"),
];

/// What is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wanted {
    search: String,
    category: String,
    /// An index of [`SORTS`].
    sort: usize,
    /// From 1.
    page: u32,
}

impl Wanted {
    /// What the parameters say; what makes no sense is as if it were not there.
    fn of(visit: &Visit) -> Self {
        let sort = visit.parameter("sort");
        Self {
            search: visit.parameter("q").to_owned(),
            category: visit.parameter("category").to_owned(),
            sort: SORTS
                .iter()
                .position(|(_, name, _)| *name == sort)
                .unwrap_or_default(),
            page: visit.parameter("page").parse().unwrap_or(1).clamp(1, LAST_PAGE),
        }
    }

    fn href(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let page = if self.page > 1 {
            self.page.to_string()
        } else {
            String::new()
        };
        for (name, value) in [
            ("q", self.search.as_str()),
            ("category", &self.category),
            ("sort", SORTS[self.sort].1),
            ("page", &page),
        ] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        match query.finish() {
            query if query.is_empty() => "/".to_owned(),
            query => format!("/?{query}"),
        }
    }

    fn in_category(&self, category: &str) -> Self {
        Self {
            category: category.to_owned(),
            page: 1,
            ..self.clone()
        }
    }

    fn at_page(&self, page: u32) -> Self {
        Self { page, ..self.clone() }
    }

    fn is_all(&self) -> bool {
        self.search.is_empty() && self.category.is_empty() && self.page == 1
    }
}

/// A product as a list shows it.
#[derive(Debug)]
pub(super) struct Card {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) category: String,
    pub(super) price: String,
    /// The number and the currency, for the cart.
    pub(super) amount: String,
    pub(super) currency: String,
    pub(super) stock: Shown,
    /// A drawing where it has no image of this origin.
    pub(super) drawing: String,
    pub(super) image: Option<String>,
}

/// How a page says whether there is some; nothing where the shop says nothing of its stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown(Option<Availability>);

impl Shown {
    /// Whether one can't buy it.
    pub(super) fn is_out(self) -> bool {
        self.0 == Some(Availability::Out)
    }

    /// Whether there is nothing to say in a list.
    pub(super) fn is_usual(self) -> bool {
        matches!(self.0, None | Some(Availability::InStock))
    }

    /// Part of a class, and the key of its text.
    pub(super) fn name(self) -> Option<(&'static str, &'static str)> {
        self.0.map(|availability| match availability {
            Availability::InStock => ("plenty", "availability.in_stock"),
            Availability::Low => ("few", "availability.low_stock"),
            Availability::Out => ("none", "availability.out_of_stock"),
        })
    }
}

impl Card {
    pub(super) fn of(product: &Product, visit: &Visit, view: StockView) -> Self {
        let amount = product.price.clone().unwrap_or_default();
        let image = visit
            .may_show(&product.image_url)
            .then(|| product.image_url.clone());
        Self {
            price: price::text(&amount, visit.language),
            amount: serde_json::to_string(&money::to_number(&amount)).unwrap_or_default(),
            currency: amount.currency_code,
            stock: Shown(view.of(product.stock).1),
            drawing: image
                .as_ref()
                .map_or_else(|| picture::of(product), |_| String::new()),
            image,
            id: product.id.clone(),
            name: product.name.clone(),
            category: product.category.clone(),
        }
    }
}

/// A link that may be the one to where one is.
struct Link {
    text: String,
    count: Option<String>,
    href: String,
    current: bool,
}

struct SortOption {
    value: &'static str,
    text: &'static str,
    current: bool,
}

#[derive(Template)]
#[template(path = "shop/catalogue.html")]
struct Catalogue {
    page: Page,
    wanted: Wanted,
    heading: String,
    found: String,
    categories: Vec<Link>,
    sorts: Vec<SortOption>,
    cards: Vec<Card>,
    numbers: Vec<Link>,
    previous: Option<String>,
    next: Option<String>,
}

/// `GET /`. A search counts as five requests, as in the API.
pub(super) async fn page(
    State(api): State<Api>,
    identity: Identity,
    visit: Visit,
) -> Result<Response, Problem> {
    let wanted = Wanted::of(&visit);
    if !wanted.search.is_empty() {
        api.limiter
            .count_requests(identity.client(), SEARCH - 1)
            .map_err(Problem::too_many_requests)?;
    }
    let products = ListProductsRequest {
        page: wanted.page,
        page_size: PAGE_SIZE,
        query: wanted.search.clone(),
        category: wanted.category.clone(),
        sort: SORTS[wanted.sort].0.into(),
        ..ListProductsRequest::default()
    };
    let inventory = &api.backends.inventory;
    let (products, categories) = join(
        read(inventory, products, |mut inventory, request| async move {
            inventory.list_products(request).await
        }),
        read(
            inventory,
            ListCategoriesRequest {},
            |mut inventory, request| async move { inventory.list_categories(request).await },
        ),
    )
    .await;
    let products = products?;
    // Without them the catalogue is still one.
    let categories = categories.map(|answer| answer.categories).unwrap_or_default();
    let view = StockView::of_strangers(&api.stock);
    let cards = products
        .products
        .iter()
        .map(|product| Card::of(product, &visit, view));
    let catalogue = catalogue(&visit, wanted, cards.collect(), products.total, categories);
    visit.answer(StatusCode::OK, &catalogue)
}

fn catalogue(
    visit: &Visit,
    wanted: Wanted,
    cards: Vec<Card>,
    total: u64,
    categories: Vec<Category>,
) -> Catalogue {
    let t = visit.texts();
    let heading = match (wanted.search.as_str(), wanted.category.as_str()) {
        ("", "") => t.at("catalogue.all").to_owned(),
        ("", category) => category.to_owned(),
        (search, _) => t.with("catalogue.results", search),
    };
    let last = u32::try_from(total.div_ceil(u64::from(PAGE_SIZE)))
        .unwrap_or(LAST_PAGE)
        .min(LAST_PAGE);
    let everything = Link {
        text: t.at("catalogue.everything").to_owned(),
        count: None,
        href: wanted.in_category("").href(),
        current: wanted.category.is_empty(),
    };
    let categories = categories.into_iter().map(|category| Link {
        count: Some(category.products.to_string()),
        href: wanted.in_category(&category.name).href(),
        current: category.name == wanted.category,
        text: category.name,
    });
    let mut page = visit.page(heading.clone());
    t.at("shop.tagline").clone_into(&mut page.description);
    page.searched.clone_from(&wanted.search);
    Catalogue {
        page,
        heading,
        found: t.count("catalogue.found", total),
        categories: std::iter::once(everything).chain(categories).collect(),
        sorts: SORTS
            .iter()
            .enumerate()
            .map(|(index, (_, value, key))| SortOption {
                value,
                text: t.at(key),
                current: index == wanted.sort,
            })
            .collect(),
        cards,
        numbers: numbers(&wanted, last),
        previous: (wanted.page > 1).then(|| wanted.at_page(wanted.page - 1).href()),
        next: (wanted.page < last).then(|| wanted.at_page(wanted.page + 1).href()),
        wanted,
    }
}

/// The first, the last and those around the current page; an empty text where some are left out.
fn numbers(wanted: &Wanted, last: u32) -> Vec<Link> {
    let mut links = Vec::new();
    let mut before = 0;
    for page in (1..=last).filter(|page| *page == 1 || *page == last || page.abs_diff(wanted.page) <= 1) {
        let link = |text| Link {
            text,
            count: None,
            href: wanted.at_page(page).href(),
            current: page == wanted.page,
        };
        if page > before + 1 {
            links.push(link(String::new()));
        }
        links.push(link(page.to_string()));
        before = page;
    }
    if links.len() < 2 { Vec::new() } else { links }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_in_the_url_and_nothing_else() {
        let wanted = Wanted {
            search: "a&b c".to_owned(),
            category: "Cups".to_owned(),
            sort: 1,
            page: 3,
        };
        assert_eq!(wanted.href(), "/?q=a%26b+c&category=Cups&sort=price&page=3");
        assert_eq!(wanted.in_category("").href(), "/?q=a%26b+c&sort=price");
        assert_eq!(
            Wanted {
                page: 1,
                ..Wanted::default()
            }
            .href(),
            "/"
        );
    }

    #[test]
    fn of_many_pages_those_around_are_shown() {
        let shown = |page, last| {
            let wanted = Wanted {
                page,
                ..Wanted::default()
            };
            let texts = numbers(&wanted, last).into_iter().map(|link| link.text);
            texts.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown(1, 1), "");
        assert_eq!(shown(1, 3), "1 2 3");
        assert_eq!(shown(5, 10), "1  4 5 6  10");
        assert_eq!(shown(1, 10), "1 2  10");
    }
}
