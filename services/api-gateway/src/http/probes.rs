//! Whether the gateway lives and can serve, for load balancers in front of it.

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;

/// These are neither limited in rate nor do they need a token.
pub(super) const PATHS: [&str; 2] = ["/healthz", "/readyz"];

/// How the gateway does.
#[derive(Serialize, ToSchema)]
struct Report {
    /// `ok`, or `not ready`.
    status: &'static str,
}

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready))
}

/// Whether the process answers.
#[utoipa::path(get, path = "/healthz", tag = "probes", responses((status = 200, body = Report)))]
async fn live() -> Json<Report> {
    Json(Report { status: "ok" })
}

/// Whether requests can be served.
#[utoipa::path(
    get, path = "/readyz", tag = "probes",
    responses((status = 200, body = Report), (status = 503, description = "Not yet", body = Report)),
)]
async fn ready(State(api): State<Api>) -> (StatusCode, Json<Report>) {
    if api.health.problems().await.is_empty() {
        (StatusCode::OK, Json(Report { status: "ok" }))
    } else {
        let report = Report { status: "not ready" };
        (StatusCode::SERVICE_UNAVAILABLE, Json(report))
    }
}
