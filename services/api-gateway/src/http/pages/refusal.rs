//! A refusal where people are: a page that says what has happened and what to do, with the status and the headers of the
//! problem that it stands for.

use askama::Template;
use axum::{
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::Response,
};
use http_body_util::BodyExt as _;
use serde::Deserialize;

use super::{
    is_page,
    visit::{Page, Visit},
};
use crate::problem::MEDIA_TYPE;

/// What is said of a problem.
#[derive(Default, Deserialize)]
struct Told {
    #[serde(default)]
    trace_id: Option<String>,
}

#[derive(Template)]
#[template(path = "shop/refusal.html")]
struct Refusal {
    page: Page,
    heading: &'static str,
    advice: &'static str,
    trace_id: Option<String>,
    /// Where the same may be asked again; none where that is no help.
    again: Option<String>,
}

/// Makes a page of every problem under the paths of pages. What is asked for by its path alone is answered by its path
/// alone: `Accept` changes nothing.
pub(in crate::http) async fn dress(request: Request, next: Next) -> Response {
    if !is_page(request.uri().path()) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let visit = Visit::from(&parts);
    let target = parts
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str())
        .to_owned();
    let response = next.run(Request::from_parts(parts, body)).await;
    let media_type = response.headers().get(header::CONTENT_TYPE);
    if media_type.is_some_and(|media_type| media_type == MEDIA_TYPE) {
        page(&visit, target, response).await
    } else {
        response
    }
}

async fn page(visit: &Visit, target: String, problem: Response) -> Response {
    let (parts, body) = problem.into_parts();
    let told = body.collect().await.map(http_body_util::Collected::to_bytes);
    let told: Told = told
        .ok()
        .and_then(|told| serde_json::from_slice(&told).ok())
        .unwrap_or_default();
    let t = visit.texts();
    let (heading, advice, may_repeat) = match parts.status {
        StatusCode::NOT_FOUND => ("refusal.missing", "refusal.missing.advice", false),
        StatusCode::TOO_MANY_REQUESTS => ("refusal.often", "refusal.often.advice", true),
        StatusCode::SERVICE_UNAVAILABLE => ("refusal.busy", "refusal.busy.advice", true),
        status if status.is_server_error() => ("refusal.failed", "refusal.failed.advice", true),
        _ => ("refusal.wrong", "refusal.wrong.advice", false),
    };
    let (heading, advice) = (t.at(heading), t.at(advice));
    let refusal = Refusal {
        page: visit.page(heading.to_owned()),
        heading,
        advice,
        trace_id: told.trace_id.filter(|_| parts.status.is_server_error()),
        again: may_repeat.then_some(target),
    };
    match visit.answer(parts.status, &refusal) {
        Ok(mut page) => {
            for name in [header::RETRY_AFTER, header::ALLOW, header::CONNECTION] {
                if let Some(value) = parts.headers.get(&name) {
                    page.headers_mut().insert(name, value.clone());
                }
            }
            page.headers_mut()
                .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            page
        }
        Err(problem) => axum::response::IntoResponse::into_response(problem),
    }
}
