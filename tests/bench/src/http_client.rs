//! One HTTP/1.1 connection and as little else as possible: the load's own CPU time is taken from the shop's, on the
//! same two cores.

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use url::Url;

pub(crate) struct Client {
    host: String,
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    pub(crate) async fn connect(url: &Url) -> anyhow::Result<Self> {
        let host = url.host_str().context("the gateway's URL has a host")?;
        let port = url
            .port_or_known_default()
            .context("the gateway's URL has a port")?;
        let stream = TcpStream::connect((host, port))
            .await
            .with_context(|| format!("the gateway at {url}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // Its error, if any, is also that of the request in flight.
        tokio::spawn(connection);
        Ok(Self {
            host: format!("{host}:{port}"),
            sender,
        })
    }

    /// Sends a request whose body is JSON, or none, and reads the whole answer.
    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Bytes,
    ) -> anyhow::Result<(u16, Bytes)> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.host);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        self.sender.ready().await?;
        let response = self.sender.send_request(request.body(Full::new(body))?).await?;
        let status = response.status().as_u16();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }

    pub(crate) async fn post(
        &mut self,
        path: &str,
        token: Option<&str>,
        body: &Value,
    ) -> anyhow::Result<(u16, Value)> {
        let (status, answer) = self
            .send("POST", path, token, serde_json::to_vec(body)?.into())
            .await?;
        Ok((status, serde_json::from_slice(&answer)?))
    }
}
