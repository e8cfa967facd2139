//! Who calls: found once per request, from the token, before anything else is done.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use access_token::Role;
use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{Extensions, HeaderMap, StatusCode, header, request::Parts},
};
use uuid::Uuid;

use super::{
    Api,
    input::{Unreadable, single},
};
use crate::{problem::Problem, rate_limit::Client, token::TokenError};

/// An account that is logged in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    /// The account.
    pub(super) id: Uuid,
    role: Role,
}

/// An account that is logged in, and an admin's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admin;

/// What is known of whoever calls.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    address: Client,
    /// A problem where there is no token, or none that is good. It matters only where a caller is needed: a browser
    /// that sends its expired token with every request may still read the catalogue and refresh.
    caller: Result<Caller, Problem>,
}

impl Caller {
    /// Whether it may see and change what is not its own.
    pub(super) fn is_admin(self) -> bool {
        self.role == Role::Admin
    }

    /// The account whose orders it is confined to; none for an admin.
    pub(super) fn confined_to(self) -> Option<String> {
        (!self.is_admin()).then(|| self.id.to_string())
    }
}

impl Identity {
    /// Whether there is a caller.
    pub(super) fn is_known(&self) -> bool {
        self.caller.is_ok()
    }

    /// Where the request comes from.
    pub(super) fn address(&self) -> Client {
        self.address
    }

    /// Who is counted for the request.
    pub(super) fn client(&self) -> Client {
        match &self.caller {
            Ok(caller) => Client::Account(caller.id),
            Err(_) => self.address,
        }
    }
}

/// Whose request it is. Handlers find it in the request's extensions.
pub(super) async fn identify(api: &Api, headers: &HeaderMap, extensions: &Extensions) -> Identity {
    Identity {
        address: api.limiter.address(peer(extensions), headers),
        caller: caller(api, headers).await,
    }
}

/// The other end of the connection.
pub(super) fn peer(extensions: &Extensions) -> IpAddr {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip())
}

async fn caller(api: &Api, headers: &HeaderMap) -> Result<Caller, Problem> {
    let header = single(headers, &header::AUTHORIZATION)
        .map_err(|Unreadable| Problem::bad_token("the Authorization header can't be read"))?
        .ok_or_else(Problem::no_token)?;
    let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Problem::no_token());
    }
    let claims = api
        .verifier
        .verify(token.trim())
        .await
        .map_err(|error| match error {
            TokenError::Invalid => Problem::bad_token("the token is not valid; log in again"),
            TokenError::Expired => Problem::bad_token("the token has expired; refresh it, or log in again"),
            TokenError::NoKeys => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "tokens can't be checked now: user-service is not available",
            ),
        })?;
    Ok(Caller {
        id: claims.sub,
        role: claims.role,
    })
}

impl FromRequestParts<Api> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        match parts.extensions.get::<Identity>() {
            Some(identity) => identity.caller.clone(),
            None => Err(Problem::internal()),
        }
    }
}

impl FromRequestParts<Api> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, api).await?;
        if caller.is_admin() {
            Ok(Self)
        } else {
            Err(Problem::forbidden("only an admin may do this"))
        }
    }
}
