//! The shop as its customers and admins see it: HTTP and JSON.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Answer, Call};

/// How long a test waits for what must come about. Generous: it only bounds a test that fails.
const PATIENCE: Duration = Duration::from_mins(2);
/// No answer takes longer; a request that does hangs.
const HANG: Duration = Duration::from_secs(30);
/// The password of every customer that [`Shop::customer`] makes.
const PASSWORD: &str = "correct horse battery staple";

/// A shop at its gateway's URL. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shop {
    http: reqwest::Client,
    url: String,
    admin_email: String,
    admin_password: String,
}

/// An account's open session.
#[derive(Clone, Debug)]
pub struct Session {
    /// The account as it was answered.
    pub user: Value,
    /// The API in the account's name.
    pub api: Api,
    /// To be traded for the next pair.
    pub refresh_token: String,
}

impl Shop {
    /// The shop there, with the credentials of its first admin.
    pub fn new(url: &str, admin_email: &str, admin_password: &str) -> anyhow::Result<Self> {
        let http = crate::http().timeout(HANG).build()?;
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self {
            http,
            url,
            admin_email: admin_email.to_owned(),
            admin_password: admin_password.to_owned(),
        })
    }

    /// The same shop, called from that address of this machine. It has connections of its own.
    pub fn called_from(&self, address: IpAddr) -> anyhow::Result<Self> {
        let http = crate::http().timeout(HANG).local_address(address).build()?;
        Ok(Self { http, ..self.clone() })
    }

    /// The API without a token.
    pub fn anybody(&self) -> Api {
        self.with_token(None)
    }

    /// The API with that access token.
    pub fn holder_of(&self, token: &str) -> Api {
        self.with_token(Some(token.to_owned()))
    }

    fn with_token(&self, token: Option<String>) -> Api {
        Api {
            http: self.http.clone(),
            url: self.url.clone(),
            token,
        }
    }

    /// Waits until the gateway says that it is ready, for so long.
    pub async fn ready(&self, patience: Duration) -> anyhow::Result<()> {
        let asked = async {
            // Not there yet is no error.
            while !self
                .anybody()
                .get("/readyz")
                .await
                .is_ok_and(|answer| answer.status().is_success())
            {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(patience, asked)
            .await
            .context("the gateway is not ready")
    }

    /// A new customer.
    pub async fn customer(&self) -> anyhow::Result<Api> {
        Ok(self.register(&unique_email(), PASSWORD).await?.api)
    }

    /// The first admin.
    pub async fn admin(&self) -> anyhow::Result<Api> {
        Ok(self.log_in(&self.admin_email, &self.admin_password).await?.api)
    }

    /// Opens an account.
    pub async fn register(&self, email: &str, password: &str) -> anyhow::Result<Session> {
        let body = json!({ "email": email, "password": password });
        self.session(&self.anybody().post("/auth/register").json(body).await?.is(201)?)
    }

    /// Opens a session.
    pub async fn log_in(&self, email: &str, password: &str) -> anyhow::Result<Session> {
        let body = json!({ "email": email, "password": password });
        self.session(&self.anybody().post("/auth/login").json(body).await?.is(200)?)
    }

    /// The session that an answer of `/auth/*` holds.
    pub fn session(&self, answer: &Value) -> anyhow::Result<Session> {
        let token = answer["token"].as_str().context("the answer has a token")?;
        let refresh_token = answer["refresh_token"]
            .as_str()
            .context("the answer has a refresh token")?
            .to_owned();
        Ok(Session {
            user: answer["user"].clone(),
            api: self.holder_of(token),
            refresh_token,
        })
    }
}

/// An address that nobody has registered.
pub fn unique_email() -> String {
    format!("{}@customers.example", Uuid::now_v7().simple())
}

/// The API in somebody's name. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    pub(crate) http: reqwest::Client,
    pub(crate) url: String,
    pub(crate) token: Option<String>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Api {
    /// `GET`.
    pub fn get(&self, path: impl Into<String>) -> Call {
        self.call(Method::GET, path)
    }

    /// `POST`.
    pub fn post(&self, path: impl Into<String>) -> Call {
        self.call(Method::POST, path)
    }

    /// `PUT`.
    pub fn put(&self, path: impl Into<String>) -> Call {
        self.call(Method::PUT, path)
    }

    /// `PATCH`.
    pub fn patch(&self, path: impl Into<String>) -> Call {
        self.call(Method::PATCH, path)
    }

    /// `DELETE`.
    pub fn delete(&self, path: impl Into<String>) -> Call {
        self.call(Method::DELETE, path)
    }

    /// A request to be completed and then awaited.
    pub fn call(&self, method: Method, path: impl Into<String>) -> Call {
        Call::new(self.clone(), method, path.into())
    }

    /// The same in the same name, at another gateway's URL.
    #[must_use]
    pub fn at(&self, gateway: &str) -> Self {
        Self {
            url: gateway.to_owned(),
            ..self.clone()
        }
    }

    /// The access token, where there is one.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Adds a product of that price and stock, as an admin, and returns it.
    pub async fn new_product(&self, price: &str, stock: i64) -> anyhow::Result<Value> {
        let name = format!("Kettle {}", Uuid::now_v7().simple());
        let price: Value = serde_json::from_str(price)?;
        let product = json!({ "name": name, "price": price, "currency": "USD", "stock": stock });
        self.post("/products").json(product).await?.is(201)
    }

    /// Units for sale now.
    pub async fn stock_of(&self, product: &Value) -> anyhow::Result<i64> {
        let product = self.get(format!("/products/{}", id(product)?)).await?.is(200)?;
        product["stock"].as_i64().context("the stock is a number")
    }

    /// Places an order of these products and quantities and returns it.
    pub async fn place_order(&self, lines: &[(&Value, i64)]) -> anyhow::Result<Value> {
        self.post("/orders").json(order_of(lines)).await?.is(201)
    }

    /// Waits until the order is no longer pending, and returns it.
    pub async fn decided(&self, order: &Value) -> anyhow::Result<Value> {
        let path = format!("/orders/{}", id(order)?);
        let read = || async { self.get(path.clone()).await?.is(200) };
        wait_until(&format!("{path} is decided"), read, |order| {
            order["status"] != "pending"
        })
        .await
    }

    /// Changes an order's status and returns the answer.
    pub async fn set_status(&self, order: &Value, status: &str) -> anyhow::Result<Answer> {
        self.patch(format!("/orders/{}", id(order)?))
            .json(json!({ "status": status }))
            .await
    }
}

/// The body of `POST /orders`.
pub fn order_of(lines: &[(&Value, i64)]) -> Value {
    let line =
        |(product, quantity): &(&Value, i64)| json!({ "product_id": product["id"], "quantity": quantity });
    json!({ "items": lines.iter().map(line).collect::<Vec<_>>() })
}

fn id(resource: &Value) -> anyhow::Result<&str> {
    resource["id"]
        .as_str()
        .with_context(|| format!("{resource} has an id"))
}

/// Asks again and again until the answer is as wanted. Errors of the question end it.
pub async fn wait_until<T, F, Fut>(what: &str, mut ask: F, wanted: impl Fn(&T) -> bool) -> anyhow::Result<T>
where
    T: std::fmt::Debug,
    F: FnMut() -> Fut,
    Fut: Future<Output = anyhow::Result<T>>,
{
    let began = Instant::now();
    let mut pause = Duration::from_millis(10);
    loop {
        let now = ask().await?;
        if wanted(&now) {
            return Ok(now);
        }
        if began.elapsed() > PATIENCE {
            bail!("waited until {what}; last seen: {now:?}");
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}
