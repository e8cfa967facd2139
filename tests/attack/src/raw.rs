//! Bytes on a connection, and what comes back.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

/// Longer than the shop takes to answer anything, and to give up what is not finished.
const PATIENCE: Duration = Duration::from_secs(15);

/// An answer as it came.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Of the status line.
    pub status: u16,
    /// The head in lower case.
    pub head: String,
    /// What came after it.
    pub body: String,
}

impl Reply {
    /// A header's value in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            (known == name).then(|| value.trim())
        })
    }

    /// The name of its problem; empty where it is none.
    pub fn problem(&self) -> String {
        let document: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let kind = document["type"].as_str().unwrap_or_default();
        kind.rsplit('/').next().unwrap_or_default().to_owned()
    }
}

/// A connection from that address.
pub async fn connect(from: IpAddr, to: SocketAddr) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(from, 0))?;
    timeout(PATIENCE, socket.connect(to))
        .await
        .context("no connection in time")?
        .with_context(|| format!("from {from} to {to}"))
}

/// Sends these bytes on a connection of their own and reads until it ends, or nothing more comes.
pub async fn exchange(from: IpAddr, to: SocketAddr, bytes: &[u8]) -> anyhow::Result<Reply> {
    let mut connection = connect(from, to).await?;
    // It may be refused before all of it is sent.
    let sent = connection.write_all(bytes).await;
    let reply = reply(&mut connection).await;
    reply.with_context(|| format!("sent: {sent:?}"))
}

/// Reads an answer: to the end of the connection, or of its body where it has a length.
pub async fn reply(connection: &mut TcpStream) -> anyhow::Result<Reply> {
    let (mut bytes, mut chunk) = (Vec::new(), vec![0; 16 * 1024]);
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
            let is_whole = length.is_some_and(|length| body.len() >= length);
            if is_whole || head.starts_with("http/1.1 204") || head.starts_with("http/1.1 304") {
                return parsed(&head, body);
            }
        }
        let read = timeout(PATIENCE, connection.read(&mut chunk))
            .await
            .context("nothing more comes")?;
        match read {
            Ok(0) => break,
            Ok(length) => bytes.extend_from_slice(chunk.get(..length).unwrap_or_default()),
            Err(error) if bytes.is_empty() => return Err(error).context("no answer"),
            Err(_reset_after_the_answer) => break,
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    match text.split_once("\r\n\r\n") {
        Some((head, body)) => parsed(&head.to_ascii_lowercase(), body),
        None => bail!("no whole answer: {text:?}"),
    }
}

fn parsed(head: &str, body: &str) -> anyhow::Result<Reply> {
    let status = head.split(' ').nth(1).context("a status")?.parse()?;
    Ok(Reply {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}
