//! A shop with something in it: a catalogue, customers, and a week's orders, put there through the API, as a shop's own
//! admin and customers would. So all that the services promise holds of it: stock, ledger, orders, events and records agree.
//!
//! The API takes no times, and neither does this: every order is of the moment in which it was placed.
//!
//! [`fill`] adds what is missing and changes nothing that is there. Products are known by their SKU, customers by their
//! email, and a customer's orders by their number. What a shop's admin has deleted comes back.

mod catalogue;
mod patience;
mod week;

use anyhow::Context as _;

pub use self::week::{Customer, PASSWORD, customers};
use crate::Shop;

/// What is there now, and how much of it was missing before.
#[derive(Debug, PartialEq, Eq)]
pub struct Filled {
    /// The categories of the catalogue.
    pub categories: usize,
    /// Products.
    pub products: Added,
    /// Accounts of customers.
    pub customers: Added,
    /// Orders of all customers.
    pub orders: Added,
    /// Emails of customers whose password is another one by now: their orders are left as they are.
    pub locked_out: Vec<String>,
}

/// How many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// Belong to the demo data.
    pub all: usize,
    /// Of these, were added by this run.
    pub added: usize,
}

impl Added {
    fn count(&mut self, is_new: bool) {
        self.all += 1;
        self.added += usize::from(is_new);
    }
}

/// Sees to it that the shop has all of the demo data. An error leaves what was added so far, and the next run goes on from
/// there.
pub async fn fill(shop: &Shop) -> anyhow::Result<Filled> {
    let admin = shop.admin().await.context("the admin can't log in")?;
    let catalogue = catalogue::fill(&admin).await?;
    let week = week::fill(shop, &admin, &catalogue.ids).await?;
    Ok(Filled {
        categories: catalogue.categories,
        products: catalogue.products,
        customers: week.customers,
        orders: week.orders,
        locked_out: week.locked_out,
    })
}
