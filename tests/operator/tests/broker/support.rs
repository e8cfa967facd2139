//! A shop of a test's own, and looks at the broker that do not go through what is tested.

use std::{
    env,
    sync::{Arc, Mutex},
};

use lapin::{Channel, Connection, ConnectionProperties};
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use shop_operator::provision::rabbitmq::{self, Changes, RabbitmqError, Server, User, UserRole};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use url::Url;
use uuid::Uuid;

fn setting(name: &str, default: &str) -> Url {
    let url = env::var(name).unwrap_or_else(|_| default.to_owned());
    url.parse().expect("the variable holds a URL")
}

/// The administrator's, from `TEST_RABBITMQ_MANAGEMENT_URL`.
pub(crate) fn server() -> Server {
    let url = setting(
        "TEST_RABBITMQ_MANAGEMENT_URL",
        "http://guest:guest@127.0.0.1:55673",
    );
    Server {
        user: url.username().to_owned(),
        password: url.password().unwrap_or_default().into(),
        management_url: url,
        ca_pem: None,
    }
}

/// Asks the management API, with the answer's status and body.
pub(crate) async fn call(method: Method, path: &str, body: Value) -> (StatusCode, Value) {
    let server = server();
    let url = server.management_url.join(path).unwrap();
    let request = shop_client::http().build().unwrap().request(method, url);
    let request = if body.is_null() {
        request
    } else {
        request.json(&body)
    };
    let answer = request.send().await.expect("RabbitMQ runs: see tests/run");
    let status = answer.status();
    (
        status,
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default(),
    )
}

pub(crate) async fn get(path: &str) -> Value {
    let (status, body) = call(Method::GET, path, Value::Null).await;
    assert!(status.is_success(), "{path}: {status} {body}");
    body
}

pub(crate) async fn is_there(path: &str) -> bool {
    call(Method::GET, path, Value::Null).await.0.is_success()
}

pub(crate) async fn put(path: &str, body: Value) {
    let (status, body) = call(Method::PUT, path, body).await;
    assert!(status.is_success(), "{path}: {status} {body}");
}

pub(crate) async fn delete(path: &str) {
    let (status, body) = call(Method::DELETE, path, Value::Null).await;
    assert!(status.is_success(), "{path}: {status} {body}");
}

/// A shop, of which the broker knows nothing yet.
pub(crate) struct Shop {
    pub(crate) server: Server,
    pub(crate) uid: String,
    pub(crate) vhost: String,
    pub(crate) users: Vec<User>,
}

impl Shop {
    pub(crate) fn new() -> Self {
        let id = Uuid::now_v7().simple().to_string();
        let user = |service: &str, role| User {
            name: format!("test-{id}-{service}"),
            password: format!("secret of {service} {id}").into(),
            role,
        };
        Self {
            server: server(),
            uid: Uuid::now_v7().to_string(),
            // A name that has to be encoded in a path.
            vhost: format!("test/{id}"),
            users: vec![
                user("producer", UserRole::Producer),
                user("consumer", UserRole::Consumer),
            ],
        }
    }

    /// A shop, made.
    pub(crate) async fn made() -> Self {
        let shop = Self::new();
        shop.ensure().await.unwrap();
        shop
    }

    pub(crate) async fn ensure(&self) -> Result<Changes, RabbitmqError> {
        rabbitmq::ensure(&self.server, &self.uid, &self.vhost, &self.users).await
    }

    pub(crate) async fn remove(&self) -> Result<(), RabbitmqError> {
        rabbitmq::remove(&self.server, &self.uid, &self.vhost, &self.users).await
    }

    pub(crate) fn producer(&self) -> &User {
        &self.users[0]
    }

    pub(crate) fn consumer(&self) -> &User {
        &self.users[1]
    }

    /// In a path of the management API.
    pub(crate) fn vhost_in_path(&self) -> String {
        self.vhost.replace('/', "%2F")
    }

    /// The path of what is in the virtual host.
    pub(crate) fn path(&self, kind: &str, name: &str) -> String {
        format!("/api/{kind}/{}/{name}", self.vhost_in_path())
    }

    /// Where a service of the shop connects to.
    pub(crate) fn amqp_url(&self, user: &User) -> String {
        amqp_url(&user.name, &user.password, &self.vhost_in_path())
    }

    /// A connection as one of the users, and a channel on it.
    pub(crate) async fn open(&self, user: &User) -> (Connection, Channel) {
        let connection = connect(&self.amqp_url(user)).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        (connection, channel)
    }
}

fn amqp_url(name: &str, password: &SecretString, vhost: &str) -> String {
    let mut url = setting("TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:55672/");
    url.set_username(name).unwrap();
    url.set_password(Some(password.expose_secret())).unwrap();
    url.set_path(vhost);
    url.into()
}

pub(crate) async fn connect(url: &str) -> lapin::Result<Connection> {
    Connection::connect(url, ConnectionProperties::default()).await
}

/// What stands between the operator and the broker, and keeps what the operator sends.
pub(crate) struct Recorder {
    pub(crate) url: Url,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Recorder {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = format!("http://127.0.0.1:{port}").parse().unwrap();
        let sent = Arc::default();
        tokio::spawn(forward(listener, Arc::clone(&sent)));
        Self { url, sent }
    }

    pub(crate) fn sent(&self) -> String {
        String::from_utf8_lossy(&self.sent.lock().unwrap()).into_owned()
    }

    /// The requests that may have changed something.
    pub(crate) fn writes(&self) -> Vec<String> {
        let sent = self.sent();
        let requests = sent.lines().filter(|line| line.ends_with("HTTP/1.1"));
        let writes = requests.filter(|line| !line.starts_with("GET "));
        writes.map(str::to_owned).collect()
    }
}

async fn forward(listener: TcpListener, sent: Arc<Mutex<Vec<u8>>>) {
    while let Ok((near, _)) = listener.accept().await {
        let sent = Arc::clone(&sent);
        tokio::spawn(async move {
            let broker = server().management_url;
            let address = (
                broker.host_str().unwrap(),
                broker.port_or_known_default().unwrap(),
            );
            let (mut far_in, mut far_out) = TcpStream::connect(address).await.unwrap().into_split();
            let (mut near_in, mut near_out) = near.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut far_in, &mut near_out).await });
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = near_in.read(&mut buffer).await {
                sent.lock().unwrap().extend(&buffer[..count]);
                far_out.write_all(&buffer[..count]).await.unwrap();
            }
        });
    }
}
