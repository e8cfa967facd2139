//! What a person is told, and what nobody is.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use shop_operator::provision::postgres::{PostgresError, Server, Tls, ensure, remove};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{Place, run, session};

/// The error of both, which must be the same.
async fn error(place: &Place, server: &Server) -> PostgresError {
    let databases = [place.database("orders", &["a"])];
    let error = ensure(server, &place.uid, &databases).await.unwrap_err();
    let removing = remove(server, &place.uid, &databases).await.unwrap_err();
    assert_eq!(error.reason(), removing.reason());
    for shown in [error.to_string(), format!("{error:?}"), removing.to_string()] {
        assert!(!shown.contains("secret") && !shown.contains("wrong"), "{shown}");
    }
    error
}

#[tokio::test]
async fn a_wrong_password() {
    let place = Place::of_superuser();
    let mut server = place.admin.clone();
    server.password = "wrong".into();
    let error = error(&place, &server).await;
    assert!(matches!(error, PostgresError::WrongPassword { .. }), "{error}");
    assert_eq!(error.reason(), "PostgresWrongPassword");
}

#[tokio::test]
async fn a_server_that_is_down() {
    let place = Place::of_superuser();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut server = place.admin.clone();
    server.port = free.local_addr().unwrap().port();
    drop(free);
    let error = error(&place, &server).await;
    assert!(matches!(error, PostgresError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&server.port.to_string()), "{error}");
}

#[tokio::test]
async fn a_server_that_says_nothing() {
    let place = Place::of_superuser();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut server = place.admin.clone();
    server.port = silent.local_addr().unwrap().port();
    let begun = Instant::now();
    let error = error(&place, &server).await;
    assert!(matches!(error, PostgresError::NoAnswer { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_run_that_waits_for_another_gives_up() {
    let place = Place::of_superuser();
    let mut other = session(&place.root, "postgres").await.unwrap();
    let lock = format!(
        "SELECT pg_advisory_lock(hashtextextended('shop-operator: {}', 0))",
        place.uid
    );
    run(&mut other, &lock).await.unwrap();
    let databases = [place.database("orders", &["a"])];
    let error = ensure(&place.admin, &place.uid, &databases).await.unwrap_err();
    assert!(matches!(error, PostgresError::NoAnswer { .. }), "{error}");
    drop(other);
    place.ensure(&databases).await;
    place.clear(&databases).await;
}

#[tokio::test]
async fn a_server_without_tls() {
    let place = Place::of_superuser();
    for tls in [
        Tls::Require,
        Tls::VerifyFull { ca_pem: None },
        Tls::VerifyCa {
            ca_pem: "no certificate".to_owned(),
        },
    ] {
        let server = Server {
            tls,
            ..place.admin.clone()
        };
        let error = error(&place, &server).await;
        assert!(matches!(error, PostgresError::TlsRefused { .. }), "{error}");
    }
}

/// It promises TLS, and then says something else.
#[tokio::test]
async fn a_server_with_broken_tls() {
    let place = Place::of_superuser();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut server = place.admin.clone();
    server.port = listener.local_addr().unwrap().port();
    server.tls = Tls::Require;
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 8];
                client.read_exact(&mut request).await.unwrap();
                client.write_all(b"SThis is not TLS").await.unwrap();
                client.read_to_end(&mut Vec::new()).await
            });
        }
    });
    let error = error(&place, &server).await;
    assert!(matches!(error, PostgresError::TlsRefused { .. }), "{error}");
}

/// It says that it knows no TLS, and asks for the password as it is. So would whoever stands in for the real one.
#[tokio::test]
async fn a_false_server_is_given_no_password() {
    let place = Place::of_superuser();
    for tls in [Tls::Disable, Tls::Prefer] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut server = place.admin.clone();
        server.port = listener.local_addr().unwrap().port();
        server.host = "127.0.0.1".to_owned();
        server.password = "secret of the administrator".into();
        server.tls = tls;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let notes = Arc::clone(&notes);
                tokio::spawn(async move {
                    let mut said = [0; 4096];
                    while let Ok(length @ 1..) = client.read(&mut said).await {
                        notes.lock().unwrap().extend_from_slice(&said[..length]);
                        // A request for TLS is eight bytes; everything else is answered by the request for the password.
                        let answer: &[u8] = if length == 8 {
                            b"N"
                        } else {
                            b"R\0\0\0\x08\0\0\0\x03"
                        };
                        client.write_all(answer).await.unwrap();
                    }
                });
            }
        });
        let error = error(&place, &server).await;
        assert!(
            matches!(error, PostgresError::CleartextPassword { .. }),
            "{error}"
        );
        assert_eq!(error.reason(), "PostgresCleartextRefused");
        let heard = String::from_utf8_lossy(&heard.lock().unwrap()).into_owned();
        assert!(heard.contains(&server.user), "it was spoken to: {heard:?}");
        assert!(!heard.contains("secret of the administrator"), "{heard:?}");
    }
}

#[tokio::test]
async fn an_account_with_too_few_rights() {
    let place = Place::of_creator().await;
    let databases = [place.database("orders", &["a"])];
    let may_not = |right: &'static str| format!("ALTER ROLE {} {right}", place.admin.user);
    for (taken, given) in [("NOCREATEROLE", "CREATEROLE"), ("NOCREATEDB", "CREATEDB")] {
        place.as_root(&may_not(taken)).await;
        let error = ensure(&place.admin, &place.uid, &databases).await.unwrap_err();
        assert!(matches!(error, PostgresError::NotAllowed { .. }), "{error}");
        place.as_root(&may_not(given)).await;
    }
    place.ensure(&databases).await;
    place.clear(&databases).await;
}

#[test]
fn no_password_is_shown() {
    let place = Place::of_superuser();
    let mut server = place.admin.clone();
    server.password = "secret of the administrator".into();
    let databases = [place.database("orders", &["a", "b"])];
    let shown = format!("{server:?} {databases:?} {databases:#?}");
    assert!(!shown.contains("secret of"), "{shown}");
    assert!(shown.contains(&databases[0].logins[0].name));
}

/// Everything that goes to the server, seen on its way: a password that is not there is in no log.
#[tokio::test]
async fn no_password_is_sent() {
    for place in [Place::of_superuser(), Place::of_creator().await] {
        let (port, sent) = tap(&place.root).await;
        let mut server = place.admin.clone();
        (server.host, server.port, server.tls) = ("127.0.0.1".to_owned(), port, Tls::Disable);
        let mut databases = [place.database("orders", &["a"])];
        ensure(&server, &place.uid, &databases).await.unwrap();
        databases[0].logins[0].password = "secret of another kind".into();
        ensure(&server, &place.uid, &databases).await.unwrap();
        ensure(&server, &place.uid, &databases).await.unwrap();
        let sent = String::from_utf8_lossy(&sent.lock().unwrap()).into_owned();
        assert!(sent.contains("SCRAM-SHA-256$4096:"), "verifiers are sent");
        assert!(!sent.contains("secret of"), "and nothing else");
        place.clear(&databases).await;
    }
}

/// A proxy to `server` that keeps what its clients say. Its port.
async fn tap(server: &Server) -> (u16, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let sent = Arc::new(Mutex::new(Vec::new()));
    let (kept, target) = (Arc::clone(&sent), (server.host.clone(), server.port));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (mut from, mut to) = client.into_split();
            let (mut back, mut forth) = TcpStream::connect(&target).await.unwrap().into_split();
            let kept = Arc::clone(&kept);
            tokio::spawn(async move { tokio::io::copy(&mut back, &mut to).await });
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = from.read(&mut buffer).await {
                    kept.lock().unwrap().extend_from_slice(&buffer[..length]);
                    if forth.write_all(&buffer[..length]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    (port, sent)
}
