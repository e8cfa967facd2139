//! What can't be done is told so that a person understands it, and without a secret.

use serde_json::json;
use shop_operator::provision::rabbitmq::{self, RabbitmqError};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::support::{Shop, delete, get, is_there, put};

/// Nobody's secret, whichever way it is printed.
fn tells_no_secret(error: &RabbitmqError) {
    for printed in [error.to_string(), format!("{error:?}"), format!("{error:#?}")] {
        for secret in ["secret", "wrong-one", "guest:guest", "in-the-url"] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }
}

#[tokio::test]
async fn a_virtual_host_of_somebody_else() {
    for description in ["", "shop-operator: another"] {
        let shop = Shop::new();
        let path = format!("/api/vhosts/{}", shop.vhost_in_path());
        put(&path, json!({ "description": description })).await;
        let before = get(&path).await;
        for taken in [shop.ensure().await.unwrap_err(), shop.remove().await.unwrap_err()] {
            assert!(matches!(taken, RabbitmqError::Taken { .. }), "{taken:?}");
            assert_eq!(taken.reason(), "RabbitmqNameTaken");
            assert!(taken.to_string().contains(&shop.vhost), "{taken}");
            tells_no_secret(&taken);
        }
        assert_eq!(get(&path).await, before);
        assert!(!is_there(&shop.path("queues", "consumer-service.orders")).await);
        assert!(!is_there(&format!("/api/users/{}", shop.producer().name)).await);
        delete(&path).await;
    }
}

#[tokio::test]
async fn a_user_of_somebody_else() {
    for tags in ["", "administrator", "shop-operator-another"] {
        let shop = Shop::new();
        let path = format!("/api/users/{}", shop.consumer().name);
        put(&path, json!({ "password": "theirs", "tags": tags })).await;
        let before = get(&path).await;
        let taken = shop.ensure().await.unwrap_err();
        assert!(matches!(taken, RabbitmqError::Taken { .. }), "{taken:?}");
        assert!(taken.to_string().contains(&shop.consumer().name), "{taken}");
        tells_no_secret(&taken);
        assert!(
            !is_there(&format!("/api/vhosts/{}", shop.vhost_in_path())).await,
            "nothing is made"
        );
        assert_eq!(shop.remove().await.unwrap_err().reason(), "RabbitmqNameTaken");
        assert_eq!(get(&path).await, before);
        delete(&path).await;
    }
}

/// What is the shop's goes, and what is not is told.
#[tokio::test]
async fn removing_leaves_only_what_is_somebody_elses() {
    let shop = Shop::made().await;
    let path = format!("/api/users/{}", shop.consumer().name);
    put(&path, json!({ "password": "theirs", "tags": "" })).await;
    assert_eq!(shop.remove().await.unwrap_err().reason(), "RabbitmqNameTaken");
    assert!(is_there(&path).await);
    assert!(!is_there(&format!("/api/vhosts/{}", shop.vhost_in_path())).await);
    assert!(!is_there(&format!("/api/users/{}", shop.producer().name)).await);
    delete(&path).await;
}

#[tokio::test]
async fn a_wrong_password() {
    let mut shop = Shop::new();
    shop.server.password = "wrong-one".into();
    for refused in [
        shop.ensure().await.unwrap_err(),
        shop.remove().await.unwrap_err(),
        rabbitmq::dead_letters(&shop.server, "/").await.unwrap_err(),
    ] {
        assert!(
            matches!(refused, RabbitmqError::WrongPassword { .. }),
            "{refused:?}"
        );
        assert_eq!(refused.reason(), "RabbitmqWrongPassword");
        tells_no_secret(&refused);
    }
}

#[tokio::test]
async fn an_account_that_may_not() {
    for tags in ["management", "monitoring", ""] {
        let mut shop = Shop::new();
        let name = format!("test-{}", Uuid::now_v7().simple());
        let path = format!("/api/users/{name}");
        put(&path, json!({ "password": "wrong-one", "tags": tags })).await;
        (shop.server.user, shop.server.password) = (name, "wrong-one".into());
        for refused in [shop.ensure().await.unwrap_err(), shop.remove().await.unwrap_err()] {
            assert!(matches!(refused, RabbitmqError::NotAllowed { .. }), "{refused:?}");
            assert_eq!(refused.reason(), "RabbitmqNotAllowed");
            assert!(refused.to_string().contains("administrator"), "{refused}");
            tells_no_secret(&refused);
        }
        delete(&path).await;
    }
}

#[tokio::test]
async fn nobody_there() {
    let mut shop = Shop::new();
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let url = format!("http://admin:in-the-url@127.0.0.1:{port}/?password=in-the-url");
    shop.server.management_url = url.parse().unwrap();
    let down = shop.ensure().await.unwrap_err();
    assert!(matches!(down, RabbitmqError::Unreachable { .. }), "{down:?}");
    assert_eq!(down.reason(), "RabbitmqUnreachable");
    assert!(down.to_string().contains(&format!("127.0.0.1:{port}")), "{down}");
    assert!(down.to_string().contains("refused"), "{down}");
    tells_no_secret(&down);
    let printed = format!("{:?} {:?}", shop.server, shop.users);
    assert!(printed.contains("127.0.0.1") && printed.contains(&shop.producer().name));
    for secret in ["in-the-url", "secret of", "guest:guest"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[tokio::test]
async fn nobody_answers() {
    let mut shop = Shop::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    shop.server.management_url = url.parse().unwrap();
    let late = shop.ensure().await.unwrap_err();
    assert!(matches!(late, RabbitmqError::NoAnswer { .. }), "{late:?}");
    assert_eq!(late.reason(), "RabbitmqNoAnswer");
    tells_no_secret(&late);
}

#[tokio::test]
async fn an_address_of_something_else() {
    let mut shop = Shop::new();
    // HTTPS where none is spoken.
    let https = shop.server.management_url.as_str().replacen("http:", "https:", 1);
    shop.server.management_url = https.parse().unwrap();
    let plain = shop.ensure().await.unwrap_err();
    assert_eq!(plain.reason(), "RabbitmqUnreachable", "{plain}");
    tells_no_secret(&plain);
    shop.server.ca_pem = Some(b"no certificate".to_vec());
    let pem = shop.ensure().await.unwrap_err();
    assert_eq!(pem.reason(), "RabbitmqFailed");
    assert!(pem.to_string().contains("PEM"), "{pem}");
    shop.server.management_url = "amqp://guest:guest@127.0.0.1".parse().unwrap();
    let scheme = shop.ensure().await.unwrap_err();
    assert!(scheme.to_string().contains("\"amqp\""), "{scheme}");
    tells_no_secret(&scheme);
}

/// A broker that is there and has no such virtual host.
#[tokio::test]
async fn dead_letters_of_nothing() {
    let shop = Shop::new();
    let nothing = rabbitmq::dead_letters(&shop.server, &shop.vhost)
        .await
        .unwrap_err();
    assert!(nothing.to_string().contains("does not exist"), "{nothing}");
}
