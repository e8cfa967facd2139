//! Every kind of problem that the API may answer with: what it means, and what to do. The `type` of a problem document
//! leads to its row here ([RFC 9457, 4](https://www.rfc-editor.org/rfc/rfc9457#section-4)), at `GET /problems/{name}`.

/// A kind of problem.
#[derive(Clone, Copy, Debug)]
pub struct ProblemType {
    /// Stable; the last part of the `type`.
    pub name: &'static str,
    /// The status that it comes with.
    pub status: u16,
    /// What has happened.
    pub meaning: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

/// The kind of that name.
pub fn find(name: &str) -> Option<&'static ProblemType> {
    TYPES.iter().find(|kind| kind.name == name)
}

const fn kind(name: &'static str, status: u16, meaning: &'static str, remedy: &'static str) -> ProblemType {
    ProblemType {
        name,
        status,
        meaning,
        remedy,
    }
}

const WAIT: &str = "Send the same again, not before the seconds that Retry-After names.";
const READ_AGAIN: &str = "Look at what is there, and do not repeat the request as it is.";
const LOG_IN: &str = "Log in at POST /auth/login, and send the token as Authorization: Bearer <token>.";

/// All kinds, by their status.
pub const TYPES: &[ProblemType] = &[
    kind(
        "incomplete-body",
        400,
        "The body ended before its end.",
        "Send all of it.",
    ),
    kind(
        "invalid-host",
        400,
        "There is no Host header, there are several, or it names no host.",
        "Send one.",
    ),
    kind(
        "malformed-json",
        400,
        "The body is not JSON in UTF-8; the detail says where.",
        "Write it with a JSON library.",
    ),
    kind(
        "malformed-query",
        400,
        "The escapes of the query are not UTF-8.",
        "Escape the bytes of UTF-8, as %C3%A9 for é.",
    ),
    kind(
        "malformed-request",
        400,
        "What came is no request of HTTP/1.1.",
        "Use an HTTP library.",
    ),
    kind(
        "authentication-required",
        401,
        "Only who is logged in may do this.",
        LOG_IN,
    ),
    kind(
        "invalid-credentials",
        401,
        "There is no account with that email and password.",
        "Check both; after many tries wait.",
    ),
    kind(
        "invalid-mfa-code",
        401,
        "The password is right, and the code is wrong or was used before.",
        "Wait for the next code of the app, or send a recovery_code; look at the clock of the device.",
    ),
    kind(
        "invalid-refresh-token",
        401,
        "The refresh token is not good, or not any more.",
        LOG_IN,
    ),
    kind(
        "invalid-token",
        401,
        "The token is not valid, or has expired.",
        "Refresh it at POST /auth/refresh, or log in again.",
    ),
    kind(
        "mfa-required",
        401,
        "The password is right, and the account has a second factor.",
        "Send the same with the code that the authenticator app shows, or with a recovery_code.",
    ),
    kind(
        "recent-login-required",
        401,
        "What is asked for is worth a stolen token: it needs a login of the last minutes, as many as max_age in \
         WWW-Authenticate says in seconds.",
        LOG_IN,
    ),
    kind(
        "refresh-token-reused",
        401,
        "The refresh token was traded before: somebody has a copy, and the session is over.",
        LOG_IN,
    ),
    kind(
        "account-disabled",
        403,
        "An admin has disabled the account.",
        "Ask one.",
    ),
    kind(
        "admin-mfa-required",
        403,
        "Admins of this shop need a second factor, and this session was opened without one.",
        "Set one up at POST /users/me/mfa, or log in again with its code.",
    ),
    kind(
        "cross-site-request",
        403,
        "A page of another origin asked for what the refresh cookie is for.",
        "Programs, and pages elsewhere, send the refresh token in the body, and ask for no cookie.",
    ),
    kind("forbidden", 403, "Somebody else may do this.", "Ask an admin."),
    kind(
        "wrong-mfa-code",
        403,
        "The code is wrong, or was used before.",
        "Wait for the next code of the app; look at the clock of the device.",
    ),
    kind(
        "wrong-password",
        403,
        "The current password is another.",
        "Send the current one; who has forgotten it asks an admin.",
    ),
    kind(
        "not-found",
        404,
        "There is nothing at this path.",
        "The API is described at /openapi.json.",
    ),
    kind(
        "order-not-found",
        404,
        "There is no such order, or it is somebody else's.",
        "List orders at GET /orders.",
    ),
    kind(
        "product-not-found",
        404,
        "There is no such product, or not any more.",
        "List products at GET /products.",
    ),
    kind(
        "session-not-found",
        404,
        "You have no such session, or not any more.",
        "List them at GET /users/me/sessions.",
    ),
    kind(
        "user-not-found",
        404,
        "There is no such account.",
        "Admins list accounts at GET /users.",
    ),
    kind(
        "method-not-allowed",
        405,
        "The path has other methods.",
        "Allow names them.",
    ),
    kind(
        "request-timeout",
        408,
        "The rest of the request did not come in time.",
        "Send all of it in one go, on a new connection.",
    ),
    kind("conflict", 409, "What is there does not allow it.", READ_AGAIN),
    kind(
        "email-taken",
        409,
        "The email has an account already.",
        "Log in with it, or take another.",
    ),
    kind(
        "idempotency-key-in-flight",
        409,
        "The first request with this Idempotency-Key is still at work.",
        "Repeat it in a second, and have its answer.",
    ),
    kind(
        "insufficient-stock",
        409,
        "There is not so much.",
        "Take at most the product's stock.",
    ),
    kind(
        "invalid-transition",
        409,
        "The order's status does not lead there.",
        READ_AGAIN,
    ),
    kind(
        "last-admin",
        409,
        "No enabled admin would be left.",
        "Make another account an admin's first.",
    ),
    kind(
        "mfa-already-on",
        409,
        "The account has a second factor.",
        "Switch it off first, at DELETE /users/me/mfa.",
    ),
    kind(
        "mfa-not-begun",
        409,
        "There is no second factor to be confirmed.",
        "Begin one at POST /users/me/mfa.",
    ),
    kind("mfa-off", 409, "The account has no second factor.", READ_AGAIN),
    kind(
        "sku-taken",
        409,
        "Another product has this sku.",
        "Take another, or change that product.",
    ),
    kind(
        "too-many-open-orders",
        409,
        "As many of your orders are open, pending or confirmed, as one customer may have; nothing was ordered.",
        "Cancel one, or wait until some are completed; then send the same again.",
    ),
    kind(
        "decided-by-a-later-version",
        409,
        "A later version of the shop has decided this in a way that this one does not know.",
        READ_AGAIN,
    ),
    kind(
        "version-mismatch",
        412,
        "Somebody else has changed it since it was read.",
        "Read it again, and send the change with its new ETag.",
    ),
    kind(
        "body-too-large",
        413,
        "The body has more bytes than are taken.",
        "The detail says how many are.",
    ),
    kind(
        "uri-too-long",
        414,
        "Path and query have more bytes than are taken.",
        "The detail says how many are.",
    ),
    kind(
        "unsupported-media-type",
        415,
        "The body is not JSON in UTF-8, or has a Content-Encoding.",
        "Send JSON as it is, with Content-Type: application/json.",
    ),
    kind(
        "idempotency-key-reused",
        422,
        "The Idempotency-Key came before with another request.",
        "Make a new key for each request that is not a repetition.",
    ),
    kind(
        "invalid-input",
        422,
        "The request can be read, but makes no sense.",
        "errors names every field at fault and what is expected; up to 100 of them.",
    ),
    kind(
        "too-many-connections",
        429,
        "Every connection that this address may have is at work.",
        "Use the connections that there are again.",
    ),
    kind(
        "too-many-event-streams",
        429,
        "Too many streams of events are open of this account, or from this address.",
        "Close those that nobody reads.",
    ),
    kind(
        "too-many-failed-attempts",
        429,
        "Too many passwords or codes in a row were wrong: for a while none is looked at, right or wrong.",
        "Wait for the seconds that Retry-After names; from a device that has logged in before, send its device_token.",
    ),
    kind("too-many-requests", 429, "This client asks too often.", WAIT),
    kind(
        "too-many-unfinished-bodies",
        429,
        "Too many bodies from this address are not there yet.",
        "Send each in one go, and fewer at once.",
    ),
    kind(
        "headers-too-large",
        431,
        "The headers are too many, or too long together.",
        "Send fewer: 32 KiB and 100 lines are taken.",
    ),
    kind(
        "internal-error",
        500,
        "The fault is the shop's.",
        "Tell its keepers the trace_id.",
    ),
    kind(
        "answer-full",
        503,
        "The answer to others has no room left for this one.",
        WAIT,
    ),
    kind("busy", 503, "A service has as much to do as it can.", WAIT),
    kind("contended", 503, "Too many change the same at once.", WAIT),
    kind(
        "database-busy",
        503,
        "A database has as much to do as it can.",
        WAIT,
    ),
    kind("database-unavailable", 503, "A database can't be reached.", WAIT),
    kind("hashing-busy", 503, "Too many passwords are being checked.", WAIT),
    kind("overloaded", 503, "Too many requests are at work.", WAIT),
    kind("peer-unavailable", 503, "A service can't be reached.", WAIT),
    kind("search-busy", 503, "Too many searches are at work.", WAIT),
    kind("stopping", 503, "What was asked is about to stop.", WAIT),
    kind(
        "timeout",
        503,
        "A service did not answer in time; what was asked may or may not be done.",
        "Repeat it with the same Idempotency-Key, or look first.",
    ),
    kind("too-many-watchers", 503, "Too many follow orders.", WAIT),
    kind("unavailable", 503, "A service can't be reached.", WAIT),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    /// The string that comes as that argument of each call of the function, in what is no test.
    fn named(source: &str, function: &str, argument: usize) -> Vec<String> {
        let source = source.split("#[cfg(test)]").next().unwrap();
        let calls = source.split(function).skip(1);
        calls
            .filter_map(|call| {
                let argument = call.split(',').nth(argument)?.trim();
                Some(argument.strip_prefix('"')?.split('"').next()?.to_owned())
            })
            .collect()
    }

    fn sources(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(fs::read_to_string(path).unwrap());
            }
        }
    }

    /// Whatever is refused anywhere has a page.
    #[test]
    fn every_kind_that_is_made_is_described() {
        let services = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut names = BTreeSet::new();
        let mut of_gateway = Vec::new();
        sources(&services.join("api-gateway/src"), &mut of_gateway);
        for source in &of_gateway {
            names.extend(named(source, "Problem::new(", 1));
            names.extend(named(source, "Self::new(", 1));
        }
        let made_here = names.len();
        assert!(made_here >= 15, "{names:?}");
        let mut behind = Vec::new();
        for service in ["chassis", "user-service", "inventory-service", "order-service"] {
            sources(&services.join(service).join("src"), &mut behind);
        }
        for source in &behind {
            for function in ["with_reason(", "with_reason_and(", "with_reason_and_delay("] {
                let reasons = named(source, function, 1);
                names.extend(
                    reasons
                        .iter()
                        .map(|reason| reason.to_ascii_lowercase().replace('_', "-")),
                );
            }
        }
        assert!(names.len() >= made_here + 15, "{names:?}");
        // Between services, where it is no client's fault: answered as an internal error.
        assert!(names.remove("caller-not-allowed"));
        let unknown: Vec<_> = names.iter().filter(|name| find(name).is_none()).collect();
        assert!(unknown.is_empty(), "they have no row in TYPES: {unknown:?}");
    }

    #[test]
    fn kinds_are_listed_once_by_their_status() {
        assert!(TYPES.is_sorted_by_key(|kind| kind.status));
        let names: BTreeSet<_> = TYPES.iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), TYPES.len());
        for kind in TYPES {
            let is_kebab = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
            assert!(kind.name.bytes().all(is_kebab), "{}", kind.name);
        }
    }
}
