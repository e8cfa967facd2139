use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use fixtures::Database;
use futures::future::join_all;
use tokio::time::sleep;
use tonic::Code;

use crate::support::{PASSWORD, Service, reason, refused};

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_logins_is_refused_and_starves_nobody() {
    let database = Database::create().await;
    let flags = ["--password-hashing-threads=1", "--password-hashing-queue=3"];
    let service = Service::start(&database, &flags).await;
    let (user, session) = service.register("ada@example.com").await;

    let emails: Vec<_> = (0..64).map(|n| format!("somebody{n}@example.com")).collect();
    let flood = join_all(emails.iter().map(|email| service.log_in(email, PASSWORD)));
    let meanwhile = async {
        for _ in 0..20 {
            assert_eq!(service.get(&user.id).await.unwrap().id, user.id);
        }
        service.refresh(&session).await.unwrap();
    };
    let (answers, ()) = futures::join!(flood, meanwhile);

    let busy = refused(Code::ResourceExhausted, "HASHING_BUSY");
    let wrong = refused(Code::Unauthenticated, "INVALID_CREDENTIALS");
    let mut turned_away = 0;
    for answer in answers.into_iter().filter(Result::is_err).map(reason) {
        assert!(answer == busy || answer == wrong, "{answer:?}");
        turned_away += usize::from(answer == busy);
    }
    assert!(
        turned_away > 0,
        "one at work and three waiting are not sixty-four"
    );
    service
        .log_in("ada@example.com", PASSWORD)
        .await
        .expect("it passes");

    // Registration and password changes take their turn in the same queue.
    let registrations = (0..64).map(|n| async move { format!("user{n}@example.com") });
    let emails = join_all(registrations).await;
    let answers = join_all(emails.iter().map(|email| service.try_register(email, PASSWORD))).await;
    let refusals: Vec<_> = answers.into_iter().filter(Result::is_err).map(reason).collect();
    assert!(!refusals.is_empty() && refusals.iter().all(|reason| *reason == busy));
    service.stop().await;
    database.drop().await;
}

/// An address that hammers, for ever other accounts, has its turns and no more.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_hammers_starves_nobody_else() {
    let database = Database::create().await;
    let flags = ["--password-hashing-threads=1", "--password-hashing-queue=16"];
    let service = Service::start(&database, &flags).await;
    service.register("ada@example.com").await;
    let done = AtomicBool::new(false);
    let hammer = |number: u32| {
        let (service, done) = (&service, &done);
        async move {
            let address = format!("198.51.100.{}", 1 + number % 2);
            let mut refused = 0;
            for round in 0.. {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                let email = format!("somebody{number}.{round}@example.com");
                let answer = service.log_in_from(&address, "", (&email, PASSWORD)).await;
                refused += usize::from(reason(answer) == refused_as_busy());
                // It is the hashing that is to be hammered, not the machine.
                sleep(Duration::from_millis(20)).await;
            }
            refused
        }
    };
    let others = async {
        for number in 0..12 {
            let address = format!("203.0.113.{number}");
            service
                .log_in_from(&address, "", ("ada@example.com", PASSWORD))
                .await
                .expect("whoever does not hammer is served");
        }
        done.store(true, Ordering::Relaxed);
    };
    let (refused_there, ()) = futures::join!(join_all((0..32).map(hammer)), others);
    assert!(
        refused_there.iter().sum::<usize>() > 0,
        "more came than could be hashed"
    );
    service.stop().await;
    database.drop().await;
}

fn refused_as_busy() -> (Code, String) {
    refused(Code::ResourceExhausted, "HASHING_BUSY")
}
