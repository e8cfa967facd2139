//! What stands between sqlx and a server that is spoken to without TLS: sqlx would send the password as it is to whoever
//! asks for it so, and a false server asks.
//!
//! It listens at an address of this process alone, takes one connection, and passes on what both sides say. Only what the
//! server says before it has let the client in is read: `AuthenticationCleartextPassword` ends the connection before the
//! client has seen it. Inside TLS nothing is read: with whom that is spoken, the mode decides.
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::OnceCell,
    time::timeout,
};

/// The code of a request for TLS, in the place of a protocol version.
const SSL_REQUEST: u32 = 80_877_103;
/// The longest message that is passed on before the client is let in; PostgreSQL's own limit for one.
const LONGEST: usize = 65_536;
/// `AuthenticationOk`, then the request for the password itself.
const OK: u32 = 0;
const CLEARTEXT: u32 = 3;

/// How long sqlx may take to come.
const COMES_WITHIN: Duration = Duration::from_secs(5);

/// A connection to a server by way of this process. It ends when either side does.
pub(super) struct Relay {
    /// Where sqlx finds it.
    pub(super) address: SocketAddr,
    refused: Arc<OnceCell<()>>,
}

impl Relay {
    /// Of a connection that is open already.
    pub(super) async fn of(server: TcpStream) -> io::Result<Self> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let refused = Arc::new(OnceCell::new());
        let notes = Arc::clone(&refused);
        tokio::spawn(async move {
            let Ok(Ok((client, _))) = timeout(COMES_WITHIN, listener.accept()).await else {
                return;
            };
            drop(listener);
            if let Err(error) = pass(client, server, &notes).await {
                tracing::debug!(%error, "a connection to PostgreSQL ended");
            }
        });
        Ok(Self { address, refused })
    }

    /// Whether the server asked for the password in clear, and was not given it.
    pub(super) fn has_refused(&self) -> bool {
        self.refused.initialized()
    }
}

async fn pass(mut client: TcpStream, mut server: TcpStream, refused: &OnceCell<()>) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    loop {
        let first = opening(&mut client).await?;
        server.write_all(&first).await?;
        if first.len() != 8 || first[4..] != SSL_REQUEST.to_be_bytes() {
            break;
        }
        let answer = server.read_u8().await?;
        client.write_u8(answer).await?;
        if answer == b'S' {
            copy_bidirectional(&mut client, &mut server).await?;
            return Ok(());
        }
    }
    if let_in(&mut client, &mut server, refused).await? {
        copy_bidirectional(&mut client, &mut server).await?;
    }
    Ok(())
}

/// What a client begins with, which has no type.
async fn opening(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = client.read_u32().await?;
    body(client, length, length.to_be_bytes().to_vec()).await
}

/// Passes on what both say until the server has let the client in. Says whether it has.
async fn let_in(client: &mut TcpStream, server: &mut TcpStream, refused: &OnceCell<()>) -> io::Result<bool> {
    let mut said = [0; 4096];
    loop {
        let kind = tokio::select! {
            kind = server.read_u8() => kind?,
            length = client.read(&mut said) => {
                let length = length?;
                if length == 0 {
                    return Ok(false);
                }
                server.write_all(&said[..length]).await?;
                continue;
            }
        };
        let length = server.read_u32().await?;
        let mut message = vec![kind];
        message.extend(length.to_be_bytes());
        let message = body(server, length, message).await?;
        let code = message
            .get(5..9)
            .map(|code| u32::from_be_bytes([code[0], code[1], code[2], code[3]]));
        if kind == b'R' && code == Some(CLEARTEXT) {
            let _ = refused.set(());
            return Ok(false);
        }
        client.write_all(&message).await?;
        if kind == b'R' && code == Some(OK) {
            return Ok(true);
        }
    }
}

/// The rest of a message that says how long it is, its length included.
async fn body(from: &mut TcpStream, length: u32, mut message: Vec<u8>) -> io::Result<Vec<u8>> {
    let rest = (length as usize).checked_sub(4).filter(|rest| *rest <= LONGEST);
    let rest =
        rest.ok_or_else(|| io::Error::new(io::ErrorKind::ConnectionAborted, "this is not PostgreSQL"))?;
    let begun = message.len();
    message.resize(begun + rest, 0);
    from.read_exact(&mut message[begun..]).await?;
    Ok(message)
}
