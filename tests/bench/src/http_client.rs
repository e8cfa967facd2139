//! One HTTP/1.1 connection and as little else as possible: the load's own CPU time is taken from the shop's, on the
//! same two cores.

use anyhow::{Context as _, ensure};
use bytes::{Bytes, BytesMut};
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use url::Url;

pub(crate) struct Client {
    host: String,
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    pub(crate) async fn connect(url: &Url) -> anyhow::Result<Self> {
        let (host, stream) = connect(url).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // Its error, if any, is also that of the request in flight.
        tokio::spawn(connection);
        Ok(Self { host, sender })
    }

    /// Sends a request whose body is JSON, or none, and reads the whole answer.
    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Bytes,
    ) -> anyhow::Result<Response<Bytes>> {
        self.send_keyed(method, path, token, None, body).await
    }

    /// The same with an `Idempotency-Key`.
    pub(crate) async fn send_keyed(
        &mut self,
        method: &str,
        path: &str,
        token: Option<&str>,
        key: Option<&str>,
        body: Bytes,
    ) -> anyhow::Result<Response<Bytes>> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.host);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        self.sender.ready().await?;
        let response = self.sender.send_request(request.body(Full::new(body))?).await?;
        let (head, body) = response.into_parts();
        Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
    }

    pub(crate) async fn post(
        &mut self,
        path: &str,
        token: Option<&str>,
        body: &Value,
    ) -> anyhow::Result<(u16, Value)> {
        let answer = self
            .send("POST", path, token, serde_json::to_vec(body)?.into())
            .await?;
        Ok((answer.status().as_u16(), serde_json::from_slice(answer.body())?))
    }
}

/// A connection for a load of which most is refused: a request is bytes that were written before, and of an answer only
/// its head is looked at.
pub(crate) struct Wire {
    stream: TcpStream,
    received: BytesMut,
}

/// What an answer's head says.
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) has_retry_after: bool,
}

impl Wire {
    pub(crate) async fn connect(url: &Url) -> anyhow::Result<Self> {
        Ok(Self {
            stream: connect(url).await?.1,
            received: BytesMut::with_capacity(4_096),
        })
    }

    /// A request to place an order, as it goes over the wire.
    pub(crate) fn order(url: &Url, token: &str, order: &[u8]) -> anyhow::Result<Bytes> {
        let mut request = format!(
            "POST /orders HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            authority(url)?.0,
            order.len()
        )
        .into_bytes();
        request.extend_from_slice(order);
        Ok(request.into())
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(&mut self, request: &[u8]) -> anyhow::Result<Head> {
        self.stream.write_all(request).await?;
        loop {
            ensure!(
                self.stream.read_buf(&mut self.received).await? > 0,
                "the connection was closed"
            );
            let mut headers = [httparse::EMPTY_HEADER; 32];
            let mut answer = httparse::Response::new(&mut headers);
            let httparse::Status::Complete(head) = answer.parse(&self.received)? else {
                continue;
            };
            let has = |name: &str| {
                answer
                    .headers
                    .iter()
                    .find(|header| header.name.eq_ignore_ascii_case(name))
            };
            let length = has("content-length").context("an answer without a length")?;
            let length: usize = std::str::from_utf8(length.value)?.parse()?;
            let found = Head {
                status: answer.code.unwrap_or_default(),
                has_retry_after: has("retry-after").is_some(),
            };
            while self.received.len() < head + length {
                ensure!(
                    self.stream.read_buf(&mut self.received).await? > 0,
                    "the connection was closed"
                );
            }
            self.received.clear();
            return Ok(found);
        }
    }
}

/// The host and port of a URL, as one and apart.
fn authority(url: &Url) -> anyhow::Result<(String, &str, u16)> {
    let host = url.host_str().context("the gateway's URL has a host")?;
    let port = url
        .port_or_known_default()
        .context("the gateway's URL has a port")?;
    Ok((format!("{host}:{port}"), host, port))
}

async fn connect(url: &Url) -> anyhow::Result<(String, TcpStream)> {
    let (authority, host, port) = authority(url)?;
    let stream = TcpStream::connect((host, port))
        .await
        .with_context(|| format!("the gateway at {url}"))?;
    stream.set_nodelay(true)?;
    Ok((authority, stream))
}
