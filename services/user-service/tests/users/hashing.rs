use fixtures::Database;
use futures::future::join_all;
use tonic::Code;

use crate::support::{PASSWORD, Service, reason, refused};

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_logins_is_refused_and_starves_nobody() {
    let database = Database::create().await;
    let flags = ["--password-hashing-threads=1", "--password-hashing-queue=3"];
    let service = Service::start(&database, &flags).await;
    let (user, session) = service.register("ada@example.com").await;

    let flood = join_all((0..64).map(|n| {
        let password = if n % 2 == 0 { PASSWORD } else { "wrong horse" };
        service.log_in("ada@example.com", password)
    }));
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
