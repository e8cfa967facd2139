//! What a shopper does next: choices only, from a seed, with nothing sent.

use std::time::Duration;

use rand::{RngExt as _, rngs::StdRng};
use uuid::Uuid;

/// The most lines of a cart.
pub(super) const MOST_LINES: usize = 5;
/// The most units of a line.
const MOST_UNITS: i64 = 3;
/// No pause is longer than so many times the mean.
const LONGEST_PAUSE: f64 = 10.0;
/// How many of those whose cart has something in it buy it; the others leave it behind.
const BUY: f64 = 0.5;
/// How many put what they look at into the cart.
const PUT_INTO_CART: f64 = 0.35;
/// How many leave after each page.
const LEAVE: f64 = 0.15;
/// How many log in anew to buy, though they still were.
const LOG_IN_ANEW: f64 = 0.2;
/// How many of those who have bought cancel.
const CANCEL: f64 = 0.08;
/// How many look at their orders afterwards.
const LOOK_AT_ORDERS: f64 = 0.3;

/// What the shop has.
pub(super) struct Catalogue {
    pub(super) products: Vec<Product>,
}

/// A product, as far as a shopper looks for it.
pub(super) struct Product {
    pub(super) id: Uuid,
    pub(super) category: String,
    /// Words of its name.
    pub(super) words: Vec<String>,
}

/// A page of the storefront.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// The front page, or a further one.
    Catalogue(u8),
    Category(String),
    Search(String),
    Product(Uuid),
}

/// A shopper's mind.
pub(super) struct Journey<'a> {
    chance: StdRng,
    catalogue: &'a Catalogue,
    think: Duration,
}

impl<'a> Journey<'a> {
    pub(super) fn new(chance: StdRng, catalogue: &'a Catalogue, think: Duration) -> Self {
        Self {
            chance,
            catalogue,
            think,
        }
    }

    /// How somebody comes in: by the front page, by a search, or by a link to a product.
    pub(super) fn first_page(&mut self) -> Page {
        match self.chance.random_range(0..10) {
            0..7 => Page::Catalogue(1),
            7..9 => self.search(),
            _ => Page::Product(self.product().id),
        }
    }

    /// And where they go from there; nowhere if they have seen enough.
    pub(super) fn next_page(&mut self) -> Option<Page> {
        if self.chance.random_bool(LEAVE) {
            return None;
        }
        Some(match self.chance.random_range(0..100) {
            0..10 => Page::Catalogue(self.chance.random_range(2..=3)),
            10..32 => Page::Category(self.product().category.clone()),
            32..50 => self.search(),
            _ => Page::Product(self.product().id),
        })
    }

    /// A word of some product's name, often not typed to its end.
    fn search(&mut self) -> Page {
        let product = self.product();
        let word = match product.words.len() {
            0 => "cup",
            words => product.words[self.chance.random_range(0..words)].as_str(),
        };
        let typed = self.chance.random_range(3..=12);
        Page::Search(word.chars().take(typed).collect())
    }

    /// Some are looked at much more than others.
    fn product(&mut self) -> &'a Product {
        let chance: f64 = self.chance.random_range(0.0..1.0);
        let all = &self.catalogue.products;
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index of some thousands at most"
        )]
        let index = (chance * chance * all.len() as f64) as usize;
        &all[index.min(all.len() - 1)]
    }

    /// How many of the product that is looked at go into the cart.
    pub(super) fn units(&mut self) -> Option<i64> {
        let takes = self.chance.random_bool(PUT_INTO_CART);
        takes.then(|| self.chance.random_range(1..=MOST_UNITS))
    }

    pub(super) fn buys(&mut self) -> bool {
        self.chance.random_bool(BUY)
    }

    pub(super) fn logs_in_anew(&mut self) -> bool {
        self.chance.random_bool(LOG_IN_ANEW)
    }

    pub(super) fn cancels(&mut self) -> bool {
        self.chance.random_bool(CANCEL)
    }

    pub(super) fn looks_at_orders(&mut self) -> bool {
        self.chance.random_bool(LOOK_AT_ORDERS)
    }

    /// How long they read: distributed exponentially, with an end.
    pub(super) fn pause(&mut self) -> Duration {
        let chance: f64 = self.chance.random_range(f64::MIN_POSITIVE..1.0);
        self.think.mul_f64((-chance.ln()).min(LONGEST_PAUSE))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    fn catalogue() -> Catalogue {
        let product = |number: u128| Product {
            id: Uuid::from_u128(number),
            category: format!("Category {}", number % 8),
            words: vec!["Espresso".to_owned(), "cup".to_owned()],
        };
        Catalogue {
            products: (0..60).map(product).collect(),
        }
    }

    #[test]
    fn one_seed_is_one_journey_and_every_page_is_seen() {
        let catalogue = catalogue();
        let walk = |seed| {
            let mut journey = Journey::new(StdRng::seed_from_u64(seed), &catalogue, Duration::from_secs(1));
            let mut pages = vec![journey.first_page()];
            pages.extend((0..1_000).filter_map(|_| journey.next_page()));
            pages
        };
        assert_eq!(walk(1), walk(1));
        assert_ne!(walk(1), walk(2));
        let pages = walk(1);
        let products = pages
            .iter()
            .filter(|page| matches!(page, Page::Product(_)))
            .count();
        assert!(
            products * 10 > pages.len() * 4 && products * 10 < pages.len() * 6,
            "{products}"
        );
        let has = |wanted: fn(&Page) -> bool| pages.iter().any(wanted);
        assert!(has(|page| matches!(page, Page::Catalogue(_))));
        assert!(has(|page| matches!(page, Page::Category(_))));
        assert!(has(
            |page| matches!(page, Page::Search(word) if word == "Espresso")
        ));
        assert!(has(|page| matches!(page, Page::Search(word) if word == "Esp")));
    }

    #[test]
    fn pauses_are_as_long_as_was_asked_for_on_average_and_end() {
        let catalogue = catalogue();
        let mut journey = Journey::new(StdRng::seed_from_u64(3), &catalogue, Duration::from_secs(1));
        let pauses: Vec<_> = (0..10_000).map(|_| journey.pause()).collect();
        let mean = pauses.iter().sum::<Duration>() / 10_000;
        assert!((900..1_100).contains(&mean.as_millis()), "{mean:?}");
        assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(10)));
    }
}
