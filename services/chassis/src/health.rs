//! Liveness, readiness and metrics, at the admin address, apart from the traffic.
//!
//! `/healthz` answers 200 as long as the process can answer at all: it never asks another process, so a database that
//! is down does not get every service restarted. `/readyz` answers 200 when the service can do its work, otherwise
//! 503 with what is amiss. `/metrics` is Prometheus' text format.

use std::{
    collections::BTreeMap,
    fmt::Display,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use futures::future::BoxFuture;

use crate::telemetry;

const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two attempts at what is needed to start: first, and at most. It doubles each time.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

type Check = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// What a service's readiness depends on. Cheap to clone.
#[derive(Clone, Default)]
pub struct Health {
    conditions: Arc<Mutex<BTreeMap<&'static str, Condition>>>,
}

enum Condition {
    Flag(Result<(), String>),
    Check(Check),
}

/// One thing that a service reports about itself. It begins as not ready.
#[derive(Clone)]
pub struct ReadinessFlag {
    name: &'static str,
    health: Health,
}

impl std::fmt::Debug for ReadinessFlag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ReadinessFlag").field(&self.name).finish()
    }
}

impl ReadinessFlag {
    /// Says that all is well.
    pub fn ready(&self) {
        self.health.set(self.name, Condition::Flag(Ok(())));
    }

    /// Says what is amiss, in a few words and without secrets.
    pub fn not_ready(&self, reason: impl Into<String>) {
        self.health.set(self.name, Condition::Flag(Err(reason.into())));
    }

    /// Does what the service needs before it can serve, and tries again, with pauses of a second at most, for as long as it
    /// fails for a reason that `may_pass`: a database that is away, busy or read-only. Meanwhile this says why not, here
    /// and in the log. An error is one that won't pass.
    pub async fn until_done<T, E, F, Fut>(
        &self,
        may_pass: impl Fn(&E) -> bool,
        mut attempt: F,
    ) -> Result<T, E>
    where
        E: Display,
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let mut pause = PAUSES.0;
        loop {
            let problem = match attempt().await {
                Ok(done) => {
                    self.ready();
                    return Ok(done);
                }
                Err(error) if may_pass(&error) => error.to_string(),
                Err(error) => return Err(error),
            };
            tracing::warn!(problem, "{} can't be had now; trying again", self.name);
            self.not_ready(problem);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }
}

impl Health {
    /// Something that is reported when it changes.
    pub fn flag(&self, name: &'static str) -> ReadinessFlag {
        let flag = ReadinessFlag {
            name,
            health: self.clone(),
        };
        flag.not_ready("starting");
        flag
    }

    /// Something that is looked up whenever somebody asks.
    pub fn check<F>(&self, name: &'static str, check: F)
    where
        F: Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync + 'static,
    {
        self.set(name, Condition::Check(Arc::new(check)));
    }

    /// What is amiss, by name; empty when the service is ready.
    pub async fn problems(&self) -> BTreeMap<&'static str, String> {
        let (mut problems, checks) = self.reported();
        for (name, check) in checks {
            // In a task of its own, so that giving up on it never cancels it half way.
            let outcome = match tokio::time::timeout(CHECK_TIMEOUT, tokio::spawn(check())).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) => Err("the check failed".to_owned()),
                Err(_) => Err("no answer in time".to_owned()),
            };
            if let Err(problem) = outcome {
                problems.insert(name, problem);
            }
        }
        problems
    }

    fn reported(&self) -> (BTreeMap<&'static str, String>, Vec<(&'static str, Check)>) {
        let conditions = self.conditions.lock().unwrap_or_else(PoisonError::into_inner);
        let mut problems = BTreeMap::new();
        let mut checks = Vec::new();
        for (name, condition) in conditions.iter() {
            match condition {
                Condition::Flag(Ok(())) => {}
                Condition::Flag(Err(problem)) => {
                    problems.insert(*name, problem.clone());
                }
                Condition::Check(check) => checks.push((*name, Arc::clone(check))),
            }
        }
        (problems, checks)
    }

    fn set(&self, name: &'static str, condition: Condition) {
        self.conditions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name, condition);
    }
}

/// The admin address' routes.
pub(crate) fn routes(health: Health) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(health)
}

async fn ready(State(health): State<Health>) -> impl IntoResponse {
    let problems = health.problems().await;
    let status = if problems.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        status,
        Json(serde_json::json!({ "ready": problems.is_empty(), "problems": problems })),
    )
}

async fn metrics() -> impl IntoResponse {
    match telemetry::scrape() {
        Ok(text) => (
            StatusCode::OK,
            [("content-type", "text/plain; version=0.0.4")],
            text,
        ),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            [("content-type", "text/plain")],
            error.to_string().into_bytes(),
        ),
    }
}
