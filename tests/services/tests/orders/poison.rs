//! The subcommand `outbox poison`, as a process of its own, on the database of a service that runs.

use serde_json::Value;
use tokio::process::Command;
use uuid::Uuid;

use super::support::{World, eventually};

/// Whether it succeeded, and what it said.
async fn run(database_url: &str, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(e2e::program("order-service").unwrap());
    command
        .args(["outbox", "poison"])
        .args(arguments)
        .env("DATABASE_URL", database_url);
    fixtures::said(&mut command).await
}

async fn listed(url: &str, arguments: &[&str]) -> Vec<Value> {
    let (success, lines) = run(url, &[&["list", "--json"], arguments].concat()).await;
    assert!(success, "{lines}");
    fixtures::json_lines(&lines)
}

#[tokio::test]
async fn events_that_were_set_aside_are_shown_and_put_back() {
    let world = World::start().await;
    let url = world.database.url();
    assert!(listed(url, &[]).await.is_empty());
    world
        .execute(
            "INSERT INTO outbox_poison
                 (event_id, subject, type, data, traceparent, tracestate, occurred_at, reason, set_aside_at)
             SELECT gen_random_uuid(), gen_random_uuid(), 'order.created', '{\"n\": ' || n || '}', '', '',
                    now() - make_interval(mins => 10 - n), E'Unknown: \\x1b[31mno ' || n, now() - make_interval(mins => 5 - n)
             FROM generate_series(1, 4) AS n",
        )
        .await;

    let poison = listed(url, &[]).await;
    let reasons: Vec<_> = poison
        .iter()
        .map(|event| event["reason"].as_str().unwrap())
        .collect();
    assert_eq!(
        reasons,
        ["no 1", "no 2", "no 3", "no 4"].map(|reason| format!("Unknown: \u{1b}[31m{reason}"))
    );
    assert_eq!(poison[0]["data"], r#"{"n": 1}"#);
    assert_eq!(listed(url, &["--limit", "2"]).await, poison[..2]);
    let (success, table) = run(url, &["list"]).await;
    assert!(success && table.lines().count() == 5, "{table}");
    assert!(table.contains("no 4") && !table.contains('\u{1b}'), "{table}");

    let id = |event: &Value| event["event_id"].as_str().unwrap().to_owned();
    let (third, unknown) = (id(&poison[2]), Uuid::now_v7().to_string());
    let (success, said) = run(url, &["requeue", &unknown]).await;
    assert!(!success && said.contains(&unknown), "{said}");
    for arguments in [
        &["requeue"][..],
        &["requeue", "no id"],
        &["requeue", &third, "--all"],
    ] {
        let (success, said) = run(url, arguments).await;
        assert!(!success && said.contains("--help"), "{said}");
    }
    assert_eq!(listed(url, &[]).await, poison, "nothing has changed");

    assert_eq!(
        run(url, &["requeue", &third]).await,
        (true, "1 put back\n".to_owned())
    );
    let (success, _) = run(url, &["requeue", &third]).await;
    assert!(!success, "it is not there any more");
    assert_eq!(
        run(url, &["requeue", "--all"]).await,
        (true, "3 put back\n".to_owned())
    );
    assert_eq!(
        run(url, &["requeue", "--all"]).await,
        (true, "0 put back\n".to_owned())
    );
    assert!(listed(url, &[]).await.is_empty());
    eventually("all are published, under their ids", async || {
        let mut published: Vec<_> = world
            .publications
            .events()
            .into_iter()
            .map(|event| event.id)
            .collect();
        let mut expected: Vec<_> = poison.iter().map(id).collect();
        published.sort_unstable();
        expected.sort_unstable();
        published == expected
    })
    .await;
    world.end().await;
}

#[tokio::test]
async fn without_a_database_the_command_says_so() {
    let (success, said) = run("postgres://postgres@127.0.0.1:1/nowhere", &["list"]).await;
    assert!(
        !success && said.starts_with("order-service outbox poison: cannot reach the database"),
        "{said}"
    );
}
