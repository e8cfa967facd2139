//! One shopper: does what the journey says, over a connection of their own, as a browser with the storefront does.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use url::{Url, form_urlencoded};
use uuid::Uuid;

use super::{
    journey::{Journey, MOST_LINES, Page},
    report::{Kind, Tally},
};
use crate::{http_client::Client, shop};

/// No answer takes longer; one that would is an error.
const HANG: Duration = Duration::from_secs(30);
/// How often somebody who waits for an order's decision looks, and how often at most.
const LOOK: Duration = Duration::from_millis(250);
const LOOKS: usize = 120;
/// How long somebody waits who was told that the shop has no time, or who got no connection.
const COME_BACK: Duration = Duration::from_secs(1);

/// An account to buy with.
pub(super) struct Account {
    pub(super) email: String,
    pub(super) password: String,
    pub(super) token: Option<String>,
}

/// When there is a load, and from when on it is measured.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) counted_from: Instant,
    pub(super) until: Instant,
}

pub(super) struct Shopper<'a> {
    gateway: Url,
    client: Option<Client>,
    account: Account,
    journey: Journey<'a>,
    times: Times,
    tally: Tally,
}

/// The time is over.
struct Over;

impl<'a> Shopper<'a> {
    pub(super) fn new(gateway: Url, account: Account, journey: Journey<'a>, times: Times) -> Self {
        Self {
            gateway,
            client: None,
            account,
            journey,
            times,
            tally: Tally::default(),
        }
    }

    /// Comes again and again until the time is over.
    pub(super) async fn shop(mut self) -> Tally {
        // Not all come at once.
        sleep(self.journey.pause()).await;
        while self.visit().await.is_ok() {}
        self.tally
    }

    async fn visit(&mut self) -> Result<(), Over> {
        let mut cart: Vec<(Uuid, i64)> = Vec::new();
        let mut next = Some(self.journey.first_page());
        while let Some(page) = next {
            let seen = self.look_at(&page).await?;
            if let (true, Page::Product(id)) = (seen, &page) {
                self.put_into(&mut cart, *id);
            }
            self.think().await?;
            next = self.journey.next_page();
        }
        if cart.is_empty() {
            return Ok(());
        }
        if self.journey.buys() {
            return self.check_out(&cart).await;
        }
        self.tally.abandoned += usize::from(self.counts(Instant::now()));
        Ok(())
    }

    async fn look_at(&mut self, page: &Page) -> Result<bool, Over> {
        let query = |name: &str, value: &str| {
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair(name, value)
                .finish();
            format!("/?{query}")
        };
        let (kind, path) = match page {
            Page::Catalogue(1) => (Kind::Catalogue, "/".to_owned()),
            Page::Catalogue(number) => (Kind::Catalogue, format!("/?page={number}")),
            Page::Category(name) => (Kind::Category, query("category", name)),
            Page::Search(words) => (Kind::Search, query("q", words)),
            Page::Product(id) => (Kind::Product, format!("/shop/products/{id}")),
        };
        let request = Request::get(&path);
        Ok(self.ask(kind, request, 200).await?.is_some())
    }

    fn put_into(&mut self, cart: &mut Vec<(Uuid, i64)>, product: Uuid) {
        let Some(units) = self.journey.units() else { return };
        if let Some((_, there)) = cart.iter_mut().find(|(id, _)| *id == product) {
            *there += units;
        } else if cart.len() < MOST_LINES {
            cart.push((product, units));
        }
    }

    /// Logs in if need be, orders, waits for the decision, and perhaps thinks better of it.
    async fn check_out(&mut self, cart: &[(Uuid, i64)]) -> Result<(), Over> {
        if self.account.token.is_none() || self.journey.logs_in_anew() {
            self.log_in().await?;
            self.think().await?;
        }
        let items: Vec<_> = cart
            .iter()
            .map(|(id, units)| json!({ "product_id": id, "quantity": units }))
            .collect();
        let key = Uuid::now_v7().to_string();
        let body = json!({ "items": items });
        let request = Request {
            method: "POST",
            path: "/orders",
            key: Some(&key),
            body: Some(&body),
        };
        let Some(order) = self.ask_json(Kind::Order, request, 201).await? else {
            return Ok(());
        };
        let path = format!("/orders/{}", order["id"].as_str().unwrap_or_default());
        let status = self.follow(&path).await?;
        self.think().await?;
        if status == "confirmed" && self.journey.cancels() {
            let body = json!({ "status": "cancelled" });
            let request = Request {
                method: "PATCH",
                path: &path,
                key: None,
                body: Some(&body),
            };
            self.ask(Kind::Cancel, request, 200).await?;
        }
        if self.journey.looks_at_orders() {
            let request = Request::get("/orders");
            self.ask(Kind::Orders, request, 200).await?;
        }
        Ok(())
    }

    async fn log_in(&mut self) -> Result<(), Over> {
        let body = json!({ "email": self.account.email, "password": self.account.password });
        let request = Request {
            method: "POST",
            path: "/auth/login",
            key: None,
            body: Some(&body),
        };
        if let Some(answer) = self.ask_json(Kind::LogIn, request, 200).await? {
            self.account.token = shop::token(&answer).ok();
        }
        Ok(())
    }

    /// Until the order is decided; what its status is then, or that it is pending still.
    async fn follow(&mut self, path: &str) -> Result<String, Over> {
        let mut status = "pending".to_owned();
        for _ in 0..LOOKS {
            self.pause(LOOK).await?;
            let request = Request::get(path);
            if let Some(order) = self.ask_json(Kind::FollowOrder, request, 200).await? {
                order["status"]
                    .as_str()
                    .unwrap_or_default()
                    .clone_into(&mut status);
            }
            if status != "pending" {
                break;
            }
        }
        if self.counts(Instant::now()) {
            *self.tally.decided.entry(status.clone()).or_default() += 1;
        }
        Ok(status)
    }

    async fn ask_json(
        &mut self,
        kind: Kind,
        request: Request<'_>,
        wanted: u16,
    ) -> Result<Option<Value>, Over> {
        let answer = self.ask(kind, request, wanted).await?;
        Ok(answer.and_then(|body| serde_json::from_slice(&body).ok()))
    }

    /// The body of the answer, if its status is the one that is wanted.
    async fn ask(&mut self, kind: Kind, request: Request<'_>, wanted: u16) -> Result<Option<Bytes>, Over> {
        let began = Instant::now();
        if began >= self.times.until {
            return Err(Over);
        }
        let answer = timeout(HANG, self.send(request)).await;
        let took = began.elapsed();
        let status = match answer {
            Ok(Ok(answer)) if answer.status().as_u16() == wanted => {
                if self.counts(began) {
                    self.tally.answered(kind, took);
                }
                return Ok(Some(answer.into_body()));
            }
            Ok(Ok(answer)) => answer.status().as_u16(),
            Ok(Err(_)) | Err(_) => {
                self.client = None;
                0
            }
        };
        if self.counts(began) {
            self.tally.failed(kind, status);
        }
        if status == 401 {
            self.account.token = None;
        }
        self.pause(COME_BACK).await?;
        Ok(None)
    }

    async fn send(&mut self, request: Request<'_>) -> anyhow::Result<Response<Bytes>> {
        let client = match &mut self.client {
            Some(client) => client,
            none => none.insert(Client::connect(&self.gateway).await?),
        };
        let body = request
            .body
            .map(serde_json::to_vec)
            .transpose()?
            .unwrap_or_default();
        // The pages are the same for everybody.
        let token = self
            .account
            .token
            .as_deref()
            .filter(|_| request.path.starts_with("/orders"));
        client
            .send_keyed(request.method, request.path, token, request.key, body.into())
            .await
    }

    async fn think(&mut self) -> Result<(), Over> {
        let pause = self.journey.pause();
        self.pause(pause).await
    }

    async fn pause(&self, pause: Duration) -> Result<(), Over> {
        let end = Instant::now() + pause;
        if end >= self.times.until {
            return Err(Over);
        }
        tokio::time::sleep_until(end).await;
        Ok(())
    }

    /// Whether what began then is measured.
    fn counts(&self, began: Instant) -> bool {
        began >= self.times.counted_from
    }
}

struct Request<'a> {
    method: &'a str,
    path: &'a str,
    key: Option<&'a str>,
    body: Option<&'a Value>,
}

impl<'a> Request<'a> {
    fn get(path: &'a str) -> Self {
        Self {
            method: "GET",
            path,
            key: None,
            body: None,
        }
    }
}
