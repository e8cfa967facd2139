//! Customers who order, cancel and read while versions come and go, and remember every answer.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::ensure;
use e2e::{Answer, Api, Call, Stack, order_of, unique_email};
use futures::future::{join, join_all, try_join_all};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{Exception, Exceptions};

const CUSTOMERS: usize = 6;
const PASSWORD: &str = "a kettle for each of the seven seas";
/// A customer's next order comes that much later: together some forty a second.
const PAUSE: Duration = Duration::from_millis(150);
/// Between two tries of one request.
const PAUSE_BEFORE_RETRY: Duration = Duration::from_millis(50);
/// A request that is not answered by then, over all its tries, is lost.
const PATIENCE: Duration = Duration::from_secs(15);
/// Units of a product: enough for any run, and soon sold out.
pub(crate) const PLENTY: i64 = 1_000_000;
pub(crate) const SCARCE: i64 = 150;
const FAILURES_SHOWN: usize = 12;

/// A steady load, and what came of it.
#[derive(Debug)]
pub struct Load<'a> {
    pub(crate) stack: &'a Stack,
    exceptions: &'a Exceptions,
    pub(crate) admin: Api,
    pub(crate) customers: Vec<Customer>,
    /// Of which nobody can buy too many.
    pub(crate) plenty: Vec<Value>,
    /// Of which there is not enough for all.
    pub(crate) scarce: Value,
    enough: AtomicBool,
    turn: AtomicUsize,
    step: Mutex<String>,
    failures: Mutex<Vec<String>>,
    tally: Mutex<Tally>,
}

#[derive(Debug)]
pub(crate) struct Customer {
    email: String,
    pub(crate) api: Api,
    pub(crate) placed: Mutex<Vec<Placed>>,
}

/// An order that was answered with 201.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) order: Value,
    pub(crate) cancelled: Cancelled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cancelled {
    /// Nobody asked for it.
    No,
    /// It was asked for, and refused.
    Refused,
    /// It was asked for, and answered with 200.
    Yes,
}

#[derive(Clone, Debug, Default)]
struct Tally {
    orders: usize,
    answers: usize,
    tries_again: BTreeMap<String, usize>,
    /// The first that had to be tried again.
    first_again: Vec<String>,
    longest: Duration,
}

impl<'a> Load<'a> {
    /// Opens accounts and adds products.
    pub async fn prepare(stack: &'a Stack, exceptions: &'a Exceptions) -> anyhow::Result<Self> {
        let admin = stack.shop().admin().await?;
        let customer = || async {
            let email = unique_email();
            let api = stack.shop().register(&email, PASSWORD).await?.api;
            let placed = Mutex::default();
            anyhow::Ok(Customer { email, api, placed })
        };
        let mut customers = Vec::new();
        for _ in 0..CUSTOMERS {
            customers.push(customer().await?);
        }
        Ok(Self {
            stack,
            exceptions,
            customers,
            plenty: try_join_all((0..5).map(|_| admin.new_product("4.20", PLENTY))).await?,
            scarce: admin.new_product("99.99", SCARCE).await?,
            admin,
            enough: AtomicBool::new(false),
            turn: AtomicUsize::new(0),
            step: Mutex::new("before anything changes".to_owned()),
            failures: Mutex::default(),
            tally: Mutex::default(),
        })
    }

    /// Lets the customers work for as long as `meanwhile` takes, and then asks whether nothing is
    /// lost. What went wrong first is what is told.
    pub async fn during(&self, meanwhile: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
        let meanwhile = async {
            let outcome = meanwhile.await;
            self.step("after everything");
            self.enough.store(true, Ordering::Relaxed);
            outcome
        };
        let customers = (0..CUSTOMERS).map(|number| self.customer(number));
        let (outcome, _) = join(meanwhile, join(join_all(customers), self.clerk())).await;
        if let Err(error) = outcome {
            let requests = self.check().err().map(|requests| requests.to_string());
            return Err(match requests {
                Some(requests) if !format!("{error:#}").contains(&requests) => error.context(requests),
                _ => error,
            });
        }
        self.check()?;
        self.nothing_is_lost().await
    }

    /// Names what happens now; failures are told with it.
    pub fn step(&self, step: &str) {
        step.clone_into(&mut locked(&self.step));
    }

    /// An error if a request failed so far.
    pub fn check(&self) -> anyhow::Result<()> {
        let failures = locked(&self.failures);
        // What differs in ids and times alone is the same.
        let kinds: BTreeMap<String, &str> = failures
            .iter()
            .rev()
            .map(|one| (kind(one), one.as_str()))
            .collect();
        let shown: Vec<&str> = kinds.into_values().take(FAILURES_SHOWN).collect();
        ensure!(
            failures.is_empty(),
            "{} of {} requests failed; of each kind the first:\n  {}",
            failures.len(),
            failures.len() + locked(&self.tally).answers,
            shown.join("\n  ")
        );
        Ok(())
    }

    /// What was done so far, in a few words.
    pub fn tally(&self) -> String {
        let tally = locked(&self.tally).clone();
        let again = tally
            .tries_again
            .iter()
            .map(|(why, times)| format!("{times} × {why}"));
        let again = again.collect::<Vec<_>>().join(", ");
        format!(
            "{} orders, {} answers, the longest after {:.1} s{}{again}",
            tally.orders,
            tally.answers,
            tally.longest.as_secs_f64(),
            if again.is_empty() { "" } else { ", tried again: " },
        )
    }

    /// Begins to count anew what [`Self::nearly_all_answered_at_once`] looks at.
    pub fn count_anew(&self) {
        let mut tally = locked(&self.tally);
        tally.answers = 0;
        tally.tries_again.clear();
        tally.first_again.clear();
    }

    /// An error if more than one request in fifty had to be made again since it was counted anew: some are refused where
    /// the machine is busy, and a fault of the version's own meets each of its connections.
    pub fn nearly_all_answered_at_once(&self) -> anyhow::Result<()> {
        let tally = locked(&self.tally).clone();
        let again: usize = tally.tries_again.values().sum();
        ensure!(
            again * 50 <= tally.answers,
            "for {} answers {again} requests had to be made again; the first of them:\n  {}",
            tally.answers,
            tally.first_again.join("\n  ")
        );
        Ok(())
    }

    /// One after the other: an order; now and then the same request again, as after a lost answer; a look at it; now and
    /// then a cancellation; lists, products, the account, a login.
    async fn customer(&self, number: usize) {
        let Some(customer) = self.customers.get(number) else {
            return;
        };
        for n in 0.. {
            if self.enough.load(Ordering::Relaxed) {
                break;
            }
            // An error is in the list of failures already.
            let _noted = self.one_round(customer, number, n).await;
            sleep(PAUSE).await;
        }
    }

    async fn one_round(&self, customer: &Customer, number: usize, n: usize) -> Option<()> {
        let mut lines = vec![(
            &self.plenty[(number + n) % self.plenty.len()],
            1 + i64::from(n.is_multiple_of(3)),
        )];
        if n % 3 == 1 {
            lines.push((&self.plenty[(number + n + 2) % self.plenty.len()], 1));
        }
        if n % 6 == 5 {
            lines.push((&self.scarce, 1));
        }
        let (key, body) = (format!("customer-{number}-order-{n}"), order_of(&lines));
        let place = |api: &Api| {
            let call = api.post("/orders").header("idempotency-key", &key);
            call.json(body.clone())
        };
        let order = self.answer(&customer.api, 201, place).await?;
        let path = format!("/orders/{}", order["id"].as_str().unwrap_or_default());
        locked(&self.tally).orders += 1;
        let at = {
            let mut placed = locked(&customer.placed);
            placed.push(Placed {
                order: order.clone(),
                cancelled: Cancelled::No,
            });
            placed.len() - 1
        };
        if n % 4 == 2 {
            let again = self.answer(&customer.api, 201, place).await?;
            if again["id"] != order["id"] {
                self.fail(&format!("the key {key} made two orders: {order} and {again}"));
            }
        }
        let seen = self.answer(&customer.api, 200, |api| api.get(&path)).await?;
        if seen["items"] != order["items"] {
            self.fail(&format!(
                "the order was answered as {order} and then read as {seen}"
            ));
        }
        if n % 5 == 3 {
            let cancelled = self.cancel(&customer.api, &path).await?;
            if let Some(placed) = locked(&customer.placed).get_mut(at) {
                placed.cancelled = cancelled;
            }
        }
        match n % 5 {
            0 => drop(self.answer(&customer.api, 200, |api| api.get("/orders")).await?),
            1 => drop(
                self.answer(&customer.api, 200, |api| api.get("/products?page_size=5"))
                    .await?,
            ),
            2 | 4 => drop(
                self.answer(&customer.api, 200, |api| api.get("/users/me"))
                    .await?,
            ),
            _ => {}
        }
        if n % 12 == 6 {
            let body = json!({ "email": customer.email, "password": PASSWORD });
            let log_in = |api: &Api| api.post("/auth/login").json(body.clone());
            drop(self.answer(&customer.api, 200, log_in).await?);
        }
        Some(())
    }

    /// The admin changes products and reads what moves.
    async fn clerk(&self) {
        for n in 0_usize.. {
            if self.enough.load(Ordering::Relaxed) {
                break;
            }
            let product = &self.plenty[n % self.plenty.len()];
            let path = format!("/products/{}", product["id"].as_str().unwrap_or_default());
            let change = json!({ "description": format!("described {n} times") });
            // An error is in the list of failures already.
            let _noted = self
                .answer(&self.admin, 200, |api| api.patch(&path).json(change.clone()))
                .await;
            let _noted = self.answer(&self.admin, 200, |api| api.get(&path)).await;
            let movements = format!("{path}/stock/movements?page_size=5");
            let _noted = self.answer(&self.admin, 200, |api| api.get(&movements)).await;
            sleep(PAUSE).await;
        }
    }

    async fn cancel(&self, api: &Api, path: &str) -> Option<Cancelled> {
        let cancel = |api: &Api| api.patch(path).json(json!({ "status": "cancelled" }));
        let answer = self.whole_answer(api, &[200, 409], cancel).await?;
        if answer.status() == 200 {
            return Some(Cancelled::Yes);
        }
        // It is rejected; or this was the second try, and the first was done although its answer was lost.
        let order = self.answer(api, 200, |api| api.get(path)).await?;
        match order["status"].as_str() {
            Some("cancelled") => Some(Cancelled::Yes),
            Some("rejected") => Some(Cancelled::Refused),
            _ => {
                self.fail(&format!(
                    "to cancel was refused by {answer}, and the order is {order}"
                ));
                None
            }
        }
    }

    /// The body of the answer, once there is one with that status.
    async fn answer(&self, api: &Api, wanted: u16, call: impl Fn(&Api) -> Call) -> Option<Value> {
        let answer = self.whole_answer(api, &[wanted], call).await?;
        match answer.is(wanted) {
            Ok(body) => Some(body),
            Err(error) => {
                self.fail(&format!("{error:#}"));
                None
            }
        }
    }

    /// Makes a request until it is answered with a status that is wanted, as a good client does: at another gateway if there
    /// is one, after 503 and 504, a broken connection, and while the first try with its key is still in flight.
    async fn whole_answer(&self, api: &Api, wanted: &[u16], call: impl Fn(&Api) -> Call) -> Option<Answer> {
        let began = Instant::now();
        for tries in 1.. {
            let call = call(&self.at_a_gateway(api));
            let request = call.to_string();
            let (why, last) = match call.await {
                Ok(answer) if wanted.contains(&answer.status().as_u16()) => {
                    self.note_answer(began.elapsed());
                    return Some(answer);
                }
                Ok(answer) => {
                    let Some(why) = self.is_worth_another_try(&answer) else {
                        self.fail(&format!("try {tries}: {answer}"));
                        return None;
                    };
                    (why, answer.to_string())
                }
                Err(error) => ("no answer".to_owned(), format!("{request}: {error:#}")),
            };
            if began.elapsed() > PATIENCE {
                let seconds = PATIENCE.as_secs();
                self.fail(&format!("lost: {tries} tries in {seconds} s; the last: {last}"));
                return None;
            }
            self.note_another_try(why, &last);
            sleep(PAUSE_BEFORE_RETRY).await;
        }
        None
    }

    fn note_another_try(&self, why: String, last: &str) {
        let mut tally = locked(&self.tally);
        *tally.tries_again.entry(why).or_default() += 1;
        if tally.first_again.len() < FAILURES_SHOWN {
            let step = locked(&self.step).clone();
            tally.first_again.push(format!("while “{step}”: {last}"));
        }
    }

    fn note_answer(&self, took: Duration) {
        let mut tally = locked(&self.tally);
        tally.answers += 1;
        tally.longest = tally.longest.max(took);
    }

    /// At the gateways in turn.
    pub(crate) fn at_a_gateway(&self, api: &Api) -> Api {
        let gateways = self.stack.gateways();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        api.at(&gateways[turn % gateways.len()])
    }

    fn is_worth_another_try(&self, answer: &Answer) -> Option<String> {
        let status = answer.status().as_u16();
        let worth = match status {
            503 | 504 => true,
            409 => answer.text().contains("idempotency-key-in-flight"),
            500 => self.exceptions.forgive(Exception::BreaksOnAddedColumn),
            _ => false,
        };
        worth.then(|| status.to_string())
    }

    fn fail(&self, what: &str) {
        let failure = format!("while “{}”: {what}", locked(&self.step));
        locked(&self.failures).push(failure);
    }
}

/// A failure without what is different in each.
fn kind(failure: &str) -> String {
    let request = failure.split(" : {").next().unwrap_or(failure);
    request
        .split('/')
        .map(|part| if part.len() >= 36 { "{id}" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
