//! The shop as its customers and admins see it: HTTP and JSON.

use std::{
    fmt::Write as _,
    future::{Future, IntoFuture},
    pin::Pin,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use reqwest::{
    Method,
    header::{HeaderName, HeaderValue},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::Answer;

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
        // A proxy of the environment must not come between.
        let http = reqwest::Client::builder().timeout(HANG).no_proxy().build()?;
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self {
            http,
            url,
            admin_email: admin_email.to_owned(),
            admin_password: admin_password.to_owned(),
        })
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
    http: reqwest::Client,
    url: String,
    token: Option<String>,
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
        let headers = Vec::new();
        Call {
            api: self.clone(),
            method,
            path: path.into(),
            headers,
            body: None,
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

/// A request. Awaiting it sends it; an error then means that there was no whole answer.
#[derive(Clone, Debug)]
#[must_use = "a call is made when it is awaited"]
pub struct Call {
    api: Api,
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

impl Call {
    /// Adds a JSON body.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a body is written in place: `.json(json!({ … }))`"
    )]
    pub fn json(self, body: Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Adds a body.
    pub fn body(mut self, media_type: &str, body: impl Into<String>) -> Self {
        self.body = Some(body.into());
        self.header("content-type", media_type)
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The request as a command for a person to repeat, where the shell's variable of that name holds the token.
    pub fn curl(&self, token_variable: &str) -> String {
        let mut command = "curl -sS".to_owned();
        // Writing to a String does not fail.
        if self.method != Method::GET {
            let _infallible = write!(command, " -X {}", self.method);
        }
        let _infallible = write!(command, " {}{}", self.api.url, self.path);
        if self.api.token.is_some() {
            let _infallible = write!(command, " \\\n  -H \"authorization: Bearer ${token_variable}\"");
        }
        for (name, value) in &self.headers {
            let _infallible = write!(command, " \\\n  -H '{name}: {value}'");
        }
        if let Some(body) = &self.body {
            let _infallible = write!(command, " \\\n  -d '{}'", body.replace('\'', r"'\''"));
        }
        command
    }

    /// Opens a stream of server-sent events.
    pub async fn events(self) -> anyhow::Result<Events> {
        let request = self.to_string();
        let response = self.header("accept", "text/event-stream").send().await?;
        let media_type = response
            .headers()
            .get("content-type")
            .and_then(|value| value.to_str().ok());
        if !media_type.is_some_and(|media_type| media_type.starts_with("text/event-stream")) {
            bail!(
                "{request}: no event stream: {} {}",
                response.status(),
                response.text().await?
            );
        }
        Ok(Events {
            response,
            buffer: String::new(),
        })
    }

    async fn send(self) -> anyhow::Result<reqwest::Response> {
        let mut request = self
            .api
            .http
            .request(self.method.clone(), format!("{}{}", self.api.url, self.path));
        if let Some(token) = &self.api.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes())?;
            request = request.header(name, HeaderValue::from_str(value)?);
        }
        if let Some(body) = self.body.clone() {
            request = request.body(body);
        }
        request
            .send()
            .await
            .with_context(|| format!("no answer to {self}"))
    }

    async fn answer(self) -> anyhow::Result<Answer> {
        let request = self.to_string();
        let response = self.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response
            .text()
            .await
            .with_context(|| format!("half an answer to {request}"))?;
        Ok(Answer {
            request,
            status,
            headers,
            body,
        })
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body: String = self
            .body
            .as_deref()
            .unwrap_or_default()
            .chars()
            .take(400)
            .collect();
        write!(f, "{} {} {body}", self.method, self.path)
    }
}

impl IntoFuture for Call {
    type Output = anyhow::Result<Answer>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.answer())
    }
}

/// A stream of server-sent events whose data is JSON.
#[derive(Debug)]
pub struct Events {
    response: reqwest::Response,
    buffer: String,
}

impl Events {
    /// The data of the next event; none when the stream has ended.
    pub async fn next(&mut self) -> anyhow::Result<Option<Value>> {
        loop {
            while let Some((event, rest)) = self.buffer.split_once("\n\n") {
                let data: String = event
                    .lines()
                    .filter_map(|line| line.strip_prefix("data:"))
                    .collect();
                self.buffer = rest.to_string();
                // A comment that keeps the connection alive has no data.
                if !data.is_empty() {
                    return serde_json::from_str(&data)
                        .with_context(|| format!("an event's data: {data}"))
                        .map(Some);
                }
            }
            let Some(chunk) = self.response.chunk().await? else {
                return Ok(None);
            };
            self.buffer
                .push_str(std::str::from_utf8(&chunk).context("an event stream is UTF-8")?);
        }
    }
}
