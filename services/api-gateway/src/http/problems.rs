//! `/problems`: the pages that the `type` of a problem document leads to.

use askama::Template;
use axum::{
    Json as Answer,
    extract::{FromRequestParts, Path},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{Html, IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Api, pages::POLICY};
use crate::{
    problem::{self, Problem},
    problem_types::{self, ProblemType, TYPES},
};

/// A kind of problem.
#[derive(Serialize, ToSchema)]
struct ProblemKind {
    /// What the `type` of its documents says.
    #[serde(rename = "type")]
    #[schema(example = "/problems/insufficient-stock")]
    kind: String,
    #[schema(example = "Insufficient stock")]
    title: String,
    /// The HTTP status that it comes with.
    #[schema(minimum = 400, maximum = 599, example = 409)]
    status: u16,
    /// What has happened.
    #[schema(max_length = 500)]
    meaning: &'static str,
    /// What to do about it.
    #[schema(max_length = 500)]
    remedy: &'static str,
}

/// Every kind of problem.
#[derive(Serialize, ToSchema)]
struct ProblemKinds {
    /// By their status.
    items: Vec<ProblemKind>,
}

impl From<&ProblemType> for ProblemKind {
    fn from(kind: &ProblemType) -> Self {
        Self {
            kind: problem::reference(kind.name),
            title: problem::title(kind.name),
            status: kind.status,
            meaning: kind.meaning,
            remedy: kind.remedy,
        }
    }
}

/// The kind that the path names.
struct Named(&'static ProblemType);

impl FromRequestParts<Api> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let name = Path::<String>::from_request_parts(parts, api).await;
        let kind = name.ok().and_then(|Path(name)| problem_types::find(&name));
        kind.map(Self).ok_or_else(|| {
            Problem::new(
                StatusCode::NOT_FOUND,
                "not-found",
                "there is no such kind of problem; all are at /problems",
            )
        })
    }
}

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
}

/// Every kind of problem that this API may answer with: for programs, or as a page for a browser.
#[utoipa::path(get, path = "/problems", tag = "problems", responses((status = 200, body = ProblemKinds)))]
async fn list(headers: HeaderMap) -> Result<Response, Problem> {
    let kinds = ProblemKinds {
        items: TYPES.iter().map(ProblemKind::from).collect(),
    };
    answer(&headers, &List { kinds: &kinds.items }, Answer(&kinds))
}

/// What a kind of problem means, and what to do about it: for programs, or as a page for a browser.
#[utoipa::path(
    get, path = "/problems/{name}", tag = "problems",
    params(("name" = String, Path, description = "The last part of the `type`", example = "insufficient-stock")),
    responses((status = 200, body = ProblemKind)),
)]
async fn get(headers: HeaderMap, Named(kind): Named) -> Result<Response, Problem> {
    let kind = ProblemKind::from(kind);
    answer(&headers, &One { kind: &kind }, Answer(&kind))
}

#[derive(Template)]
#[template(path = "docs/problems.html")]
struct List<'a> {
    kinds: &'a [ProblemKind],
}

#[derive(Template)]
#[template(path = "docs/problem.html")]
struct One<'a> {
    kind: &'a ProblemKind,
}

/// The page where a browser asks, which names HTML first. Whoever asks for nothing in particular is a program.
fn answer(
    headers: &HeaderMap,
    page: &impl Template,
    document: impl IntoResponse,
) -> Result<Response, Problem> {
    let accepts = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok());
    let mut answer = if accepts.is_some_and(|accept| accept.trim_start().starts_with("text/html")) {
        let html = page.render().map_err(|error| {
            tracing::error!(%error, "a page can't be written");
            Problem::internal()
        })?;
        let policy = [(header::CONTENT_SECURITY_POLICY, POLICY)];
        (policy, Html(html)).into_response()
    } else {
        document.into_response()
    };
    let vary = HeaderValue::from_static("accept");
    answer.headers_mut().append(header::VARY, vary);
    Ok(answer)
}
