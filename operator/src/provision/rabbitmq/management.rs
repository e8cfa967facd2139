//! The management API: each question with a deadline, each failure as a [`RabbitmqError`].

use std::time::Duration;

use rabbitmq_http_client::{
    api::Client,
    error::{ErrorDetails, HttpClientError},
};
use reqwest::{Certificate, Method, Response, redirect};
use rustls::crypto::{CryptoProvider, ring};
use secrecy::ExposeSecret as _;
use serde::{Serialize, de::DeserializeOwned};
use url::Url;

use super::{
    Server,
    error::{Question, RabbitmqError},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For a request with its answer, connecting included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection to it, as the administrator.
pub(super) struct Management<'a> {
    /// What the library can ask for.
    pub(super) api: Client<String, &'a str, &'a str>,
    /// The administrator.
    pub(super) user: &'a str,
    password: &'a str,
    http: reqwest::Client,
    url: Url,
    server: String,
}

impl<'a> Management<'a> {
    pub(super) fn new(server: &'a Server) -> Result<Self, RabbitmqError> {
        let url = without_secrets(&server.management_url);
        let http = http_client(server, url.scheme()).map_err(|problem| RabbitmqError::Other {
            doing: "prepare a connection to RabbitMQ's management API".to_owned(),
            problem,
        })?;
        let endpoint = format!("{}/api", url.as_str().trim_end_matches('/'));
        let (user, password) = (server.user.as_str(), server.password.expose_secret());
        let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default());
        Ok(Self {
            api: Client::from_http_client(http.clone(), endpoint, user, password),
            user,
            password,
            http,
            server: format!("{host}:{}", port.unwrap_or_default()),
            url,
        })
    }

    fn question<'b>(&'b self, doing: &'b str) -> Question<'b> {
        Question {
            server: &self.server,
            user: self.user,
            doing,
        }
    }

    /// Asks for what has to be there.
    pub(super) async fn ask<T>(
        &self,
        doing: &str,
        answer: impl Future<Output = Result<T, HttpClientError>>,
    ) -> Result<T, RabbitmqError> {
        answer.await.map_err(|error| self.question(doing).failed(&error))
    }

    /// Asks for what may be there.
    pub(super) async fn find<T>(
        &self,
        doing: &str,
        answer: impl Future<Output = Result<T, HttpClientError>>,
    ) -> Result<Option<T>, RabbitmqError> {
        match answer.await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(self.question(doing).failed(&error)),
        }
    }

    /// Reads what the library does not read whole.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        doing: &str,
        path: &[&str],
    ) -> Result<T, RabbitmqError> {
        let answer = self.send(doing, Method::GET, path, &()).await?;
        let read = answer.json().await;
        read.map_err(|error| self.question(doing).not_answered(&error))
    }

    /// Writes what the library does not write whole.
    pub(super) async fn put(
        &self,
        doing: &str,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<(), RabbitmqError> {
        self.send(doing, Method::PUT, path, body).await.map(drop)
    }

    async fn send(
        &self,
        doing: &str,
        method: Method,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<Response, RabbitmqError> {
        let mut url = self.url.clone();
        // Only URLs that have no path refuse; those of HTTP have one.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("api").extend(path);
        }
        let request = self
            .http
            .request(method.clone(), url)
            .basic_auth(self.user, Some(self.password));
        let request = if method == Method::GET {
            request
        } else {
            request.json(body)
        };
        let question = self.question(doing);
        let answer = request
            .send()
            .await
            .map_err(|error| question.not_answered(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = answer.text().await.unwrap_or_default();
        let details = ErrorDetails::from_json(&body);
        let reason = details.as_ref().and_then(ErrorDetails::reason);
        Err(question.refused(status, reason.unwrap_or_default()))
    }
}

/// A URL that may be shown.
pub(super) fn without_secrets(url: &Url) -> Url {
    let mut url = url.clone();
    // Only URLs that can't have any refuse, and these have none.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url
}

fn http_client(server: &Server, scheme: &str) -> Result<reqwest::Client, String> {
    if !matches!(scheme, "http" | "https") {
        return Err(format!(
            "its URL begins with {scheme:?}, not with \"http\" or \"https\""
        ));
    }
    if CryptoProvider::get_default().is_none() {
        // Fails if another has been faster, which is as good.
        let _ = ring::default_provider().install_default();
    }
    let builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(REQUEST_TIMEOUT)
        // The API knows no redirects, and the broker is a neighbour: the password is to go nowhere else.
        .redirect(redirect::Policy::none())
        .no_proxy();
    let builder = match (&server.ca_pem, scheme) {
        (Some(pem), "https") => match Certificate::from_pem_bundle(pem) {
            Ok(authorities) if !authorities.is_empty() => builder.tls_certs_only(authorities),
            _ => return Err("its CA certificates are not in PEM".to_owned()),
        },
        (None, "https") => builder,
        // Must not need the system's authorities, which an image may lack.
        _ => builder.tls_certs_only([]),
    };
    builder.build().map_err(|error| error.without_url().to_string())
}
