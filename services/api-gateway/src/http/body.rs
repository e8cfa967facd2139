//! Reading a body, and no more of it than is allowed.

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, header},
};
use http_body_util::BodyExt as _;

use crate::problem::Problem;

/// So much of a body that is too large is thrown away before the refusal: most clients read no answer before they have
/// sent everything, and would see a reset connection instead.
const THROWN_AWAY: usize = 16 * 1024 * 1024;

/// The body, if it has at most `limit` bytes.
pub(super) async fn read(headers: &HeaderMap, mut body: Body, limit: usize) -> Result<Vec<u8>, Problem> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let waits = headers.contains_key(header::EXPECT);
    if waits && announced.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let mut bytes = Vec::with_capacity(announced.unwrap_or_default().min(limit));
    let mut received = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                "incomplete-body",
                "the body ended before its end",
            )
        })?;
        let Some(chunk) = frame.data_ref() else { continue };
        received = received.saturating_add(chunk.len());
        if received <= limit {
            bytes.extend_from_slice(chunk);
        } else if received > THROWN_AWAY {
            break;
        }
    }
    if received > limit {
        return Err(too_large(limit));
    }
    Ok(bytes)
}

fn too_large(limit: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body-too-large",
        format!("a body may have at most {limit} bytes"),
    )
}
