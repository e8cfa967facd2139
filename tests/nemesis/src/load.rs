//! Customers who place orders, whatever happens, as good clients do: each order with an idempotency key, and again
//! with the same key until there is an answer.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use e2e::{Answer, Api, Shop, order_of};
use futures::future::{try_join, try_join_all};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet, time::sleep};

const CUSTOMERS: usize = 6;
const PLENTY: usize = 4;
/// More than can be ordered in a chapter.
const STOCK_OF_PLENTY: i64 = 1_000_000;
/// Less than is ordered within seconds.
const STOCK_OF_SCARCE: i64 = 12;
/// Of all orders this share asks for the scarce product too, and that share is cancelled.
const SCARCE_SHARE: f64 = 0.2;
const CANCELLED_SHARE: f64 = 0.15;
/// Wrong answers that are kept word by word.
const KEPT: usize = 5;

/// A product and what it began with.
#[derive(Clone, Debug)]
pub struct Product {
    /// As the API has it.
    pub resource: Value,
    /// Units at the beginning.
    pub initial: i64,
    /// Whether orders may be rejected for it.
    pub scarce: bool,
}

/// An order that was answered with 201.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    /// Whose it is: an index of [`Load::customers`].
    pub customer: usize,
    /// Its idempotency key.
    pub key: String,
    /// What was asked for.
    pub body: Value,
    /// The answer.
    pub order: Value,
    /// When it came.
    pub at: Instant,
    /// What became of its cancellation, where it was cancelled.
    pub cancellation: Option<Cancellation>,
}

/// What a customer was told about a cancellation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancellation {
    /// 200: the order is cancelled.
    Done,
    /// 409: it was rejected, or an earlier attempt had cancelled it.
    TooLate,
    /// No answer before the end.
    Unknown,
}

/// What came of it all.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// All orders that were answered.
    pub acknowledged: Vec<Acknowledged>,
    /// Keys that were given up: no answer within the bound.
    pub unanswered: Vec<String>,
    /// Answers that ask for another try, by status; 0 for none at all.
    pub again: BTreeMap<u16, u64>,
    /// How many answers were neither success nor "try again", and some of them.
    pub wrong: (u64, Vec<String>),
}

/// The customers at work.
#[derive(Debug)]
pub struct Load {
    /// Each of them.
    pub customers: Vec<Api>,
    /// What they order.
    pub products: Vec<Product>,
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    outcome: Mutex<Outcome>,
    /// No order is begun once this is set, and none tried again past it.
    end: watch::Sender<Option<Instant>>,
}

impl Load {
    /// Opens the accounts, adds the products, and begins. What is ordered follows from the seed.
    pub async fn begin(shop: &Shop, admin: &Api, seed: u64) -> anyhow::Result<Self> {
        let new = |initial, scarce| async move {
            let resource = admin.new_product("1.10", initial).await?;
            anyhow::Ok(Product {
                resource,
                initial,
                scarce,
            })
        };
        let products = (0..PLENTY)
            .map(|_| (STOCK_OF_PLENTY, false))
            .chain([(STOCK_OF_SCARCE, true)])
            .map(|(initial, scarce)| new(initial, scarce));
        let customers = (0..CUSTOMERS).map(|_| shop.customer());
        let (products, customers) = try_join(try_join_all(products), try_join_all(customers)).await?;
        let mut load = Self {
            customers,
            products,
            shared: Arc::new(Shared {
                outcome: Mutex::default(),
                end: watch::channel(None).0,
            }),
            tasks: JoinSet::new(),
        };
        for (number, api) in load.customers.iter().enumerate() {
            let customer = Customer {
                number,
                api: api.clone(),
                products: load.products.clone(),
                random: StdRng::seed_from_u64(seed ^ u64::try_from(number)?),
                shared: Arc::clone(&load.shared),
            };
            load.tasks.spawn(customer.shop());
        }
        Ok(load)
    }

    /// When the first order was answered that came after that moment.
    pub fn first_answer_after(&self, moment: Instant) -> Option<Instant> {
        let outcome = self.shared.outcome();
        let answers = outcome.acknowledged.iter().map(|order| order.at);
        answers.filter(|at| *at >= moment).min()
    }

    /// No order more; those that have no answer yet are tried until the deadline.
    pub async fn end(&mut self, deadline: Instant) -> anyhow::Result<Outcome> {
        self.shared.end.send_replace(Some(deadline));
        while let Some(ended) = self.tasks.join_next().await {
            ended.context("a customer")?;
        }
        Ok(std::mem::take(&mut *self.shared.outcome()))
    }
}

impl Shared {
    fn outcome(&self) -> std::sync::MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_past_the_end(&self) -> bool {
        self.end.borrow().is_some_and(|end| Instant::now() > end)
    }
}

struct Customer {
    number: usize,
    api: Api,
    products: Vec<Product>,
    random: StdRng,
    shared: Arc<Shared>,
}

impl Customer {
    async fn shop(mut self) {
        for n in 0_u64.. {
            if self.shared.end.borrow().is_some() {
                break;
            }
            let (key, body) = (format!("order-{}-{n}", self.number), self.choose());
            let cancels = self
                .random
                .random_bool(CANCELLED_SHARE)
                .then(|| self.milliseconds(0..600));
            if let Some(order) = self.place(&key, &body).await {
                let (at, cancellation) = (Instant::now(), cancels.map(|_| Cancellation::Unknown));
                let acknowledged = Acknowledged {
                    customer: self.number,
                    key,
                    body,
                    order: order.clone(),
                    at,
                    cancellation,
                };
                let place = {
                    let mut outcome = self.shared.outcome();
                    outcome.acknowledged.push(acknowledged);
                    outcome.acknowledged.len() - 1
                };
                if let Some(pause) = cancels {
                    sleep(pause).await;
                    let cancellation = self.cancel(&order).await;
                    self.shared.outcome().acknowledged[place].cancellation = Some(cancellation);
                }
            } else {
                self.shared.outcome().unanswered.push(key);
            }
            let pause = self.milliseconds(40..160);
            sleep(pause).await;
        }
    }

    fn choose(&mut self) -> Value {
        let plenty = self.random.random_range(0..PLENTY);
        let quantity = self.random.random_range(1..=3);
        let mut lines = vec![(&self.products[plenty].resource, quantity)];
        if self.random.random_bool(SCARCE_SHARE) {
            lines.push((&self.products[PLENTY].resource, 1));
        }
        order_of(&lines)
    }

    async fn place(&mut self, key: &str, body: &Value) -> Option<Value> {
        let call = self.api.post("/orders").header("idempotency-key", key);
        let call = call.json(body.clone());
        // 409: the first try of this very key is still in flight.
        let answer = self
            .insist(
                || call.clone(),
                |status| matches!(status, 201),
                |status| status == 409,
            )
            .await?;
        answer.is(201).ok()
    }

    async fn cancel(&mut self, order: &Value) -> Cancellation {
        let path = format!("/orders/{}", order["id"].as_str().unwrap_or_default());
        let call = self.api.patch(path).json(json!({ "status": "cancelled" }));
        let answer = self
            .insist(|| call.clone(), |status| matches!(status, 200 | 409), |_| false)
            .await;
        match answer.map(|answer| answer.status().as_u16()) {
            Some(200) => Cancellation::Done,
            Some(_) => Cancellation::TooLate,
            None => Cancellation::Unknown,
        }
    }

    /// Repeats a request until it is answered for good, or the end has come.
    async fn insist(
        &mut self,
        call: impl Fn() -> e2e::Call,
        is_answer: impl Fn(u16) -> bool,
        is_busy: impl Fn(u16) -> bool,
    ) -> Option<Answer> {
        let mut pause = Duration::from_millis(50);
        loop {
            let tried = call().await;
            let status = tried.as_ref().map_or(0, |answer| answer.status().as_u16());
            match tried {
                Ok(answer) if is_answer(status) => return Some(answer),
                // Cut off half-way, down, too slow, too busy.
                _ if matches!(status, 0 | 429 | 503 | 504) || is_busy(status) => {
                    *self.shared.outcome().again.entry(status).or_default() += 1;
                }
                Ok(wrong) => {
                    let (count, kept) = &mut self.shared.outcome().wrong;
                    *count += 1;
                    if kept.len() < KEPT {
                        kept.push(wrong.to_string());
                    }
                }
                Err(_) => {}
            }
            if self.shared.is_past_the_end() {
                return None;
            }
            let jitter = self.random.random_range(0.5..1.0);
            sleep(pause.mul_f64(jitter)).await;
            pause = (pause * 2).min(Duration::from_millis(250));
        }
    }

    fn milliseconds(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.random.random_range(range))
    }
}
