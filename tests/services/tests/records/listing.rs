//! Lists: every record once, those that are wanted, and as many pages of the table as of a list.

use std::collections::HashSet;

use chassis::grpc::{from_timestamp, timestamp};
use proto::audit::{AuditPosition, AuditRecord, ListAuditRecordsRequest};
use sqlx::Executor as _;
use time::{Duration, OffsetDateTime};
use tonic::Code;
use uuid::Uuid;

use crate::support::{World, adjusted, admin, all};

/// Of 8 KiB, for a page of 100 records: they are scattered, and each takes a page of the table and one of the index.
const MOST_PAGES: i64 = 250;
const ROWS: i32 = 50_000;

fn place(record: &AuditRecord) -> AuditPosition {
    AuditPosition {
        at: record.at,
        id: record.id.clone(),
    }
}

#[tokio::test]
async fn a_walk_shows_every_record_once_newest_first() {
    let world = World::start().await;
    // Three at each time: their order is that of their ids.
    world
        .fixture
        .pool()
        .execute(
            "INSERT INTO audit_records (id, at, actor_kind, action, subject_kind, subject_id, changes)
             SELECT gen_random_uuid(), timestamptz '2026-01-01' + (n / 3) * interval '1 us', 'admin', 'product.updated',
                    'product', gen_random_uuid(), '{}'
             FROM generate_series(1, 250) AS n",
        )
        .await
        .unwrap();
    let (mut seen, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let request = ListAuditRecordsRequest {
            after: after.take(),
            limit: 7,
            ..all()
        };
        let answer = world.try_list(request).await.unwrap();
        pages += 1;
        seen.extend(answer.records);
        after = seen.last().map(place);
        if !answer.more {
            break;
        }
    }
    assert_eq!((seen.len(), pages), (250, 36));
    let ids: HashSet<_> = seen.iter().map(|record| &record.id).collect();
    assert_eq!(ids.len(), 250);
    let key = |record: &AuditRecord| {
        let id = Uuid::parse_str(&record.id).unwrap();
        (from_timestamp(record.at.as_ref()), id)
    };
    assert!(seen.is_sorted_by(|newer, older| key(newer) > key(older)));
    world.end().await;
}

#[tokio::test]
async fn a_list_shows_what_is_asked_for() {
    let world = World::start().await;
    let (ada, bob) = (admin(), admin());
    let (cup, mug) = (Uuid::now_v7(), Uuid::now_v7());
    world.append(&ada, &[adjusted(cup), adjusted(mug)]).await;
    world.append(&bob, &[adjusted(mug)]).await;
    let count = async |request: ListAuditRecordsRequest| world.list(request).await.len();
    let id = |id: Uuid| Some(id.to_string());
    let by = |actor_id| ListAuditRecordsRequest { actor_id, ..all() };
    let to = |subject_id| ListAuditRecordsRequest { subject_id, ..all() };
    let kind = |kind: &str| ListAuditRecordsRequest {
        subject_kind: Some(kind.to_owned()),
        ..all()
    };
    let action = |action: &str| ListAuditRecordsRequest {
        action: Some(action.to_owned()),
        ..all()
    };
    assert_eq!(count(all()).await, 3);
    assert_eq!(count(by(id(ada.user.unwrap()))).await, 2);
    assert_eq!(count(by(id(cup))).await, 0);
    assert_eq!(count(to(id(mug))).await, 2);
    let both = ListAuditRecordsRequest {
        actor_id: id(bob.user.unwrap()),
        ..to(id(mug))
    };
    assert_eq!(count(both).await, 1);
    assert_eq!((count(kind("product")).await, count(kind("user")).await), (3, 0));
    assert_eq!(
        (
            count(action("stock.adjusted")).await,
            count(action("stock.moved")).await
        ),
        (3, 0)
    );
    let first = world.list(all()).await.pop().unwrap();
    let at = from_timestamp(first.at.as_ref()).unwrap();
    let since = |at: OffsetDateTime| ListAuditRecordsRequest {
        since: Some(timestamp(at)),
        ..all()
    };
    let until = |at: OffsetDateTime| ListAuditRecordsRequest {
        until: Some(timestamp(at)),
        ..all()
    };
    let next = at + Duration::MICROSECOND;
    assert_eq!((count(since(at)).await, count(since(next)).await), (3, 2));
    assert_eq!((count(until(at)).await, count(until(next)).await), (0, 1));
    world.end().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let world = World::start().await;
    let text = |text: &str| Some(text.to_owned());
    let long_ago = Some(prost_types::Timestamp {
        seconds: -200_000_000_000,
        nanos: 0,
    });
    let nowhere = |at| {
        Some(AuditPosition {
            at,
            id: Uuid::nil().to_string(),
        })
    };
    for request in [
        ListAuditRecordsRequest { limit: 0, ..all() },
        ListAuditRecordsRequest { limit: 101, ..all() },
        ListAuditRecordsRequest {
            actor_id: text("ada"),
            ..all()
        },
        ListAuditRecordsRequest {
            subject_id: text(""),
            ..all()
        },
        ListAuditRecordsRequest {
            subject_kind: text("a\0b"),
            ..all()
        },
        ListAuditRecordsRequest {
            action: Some("a".repeat(65)),
            ..all()
        },
        ListAuditRecordsRequest {
            since: long_ago,
            ..all()
        },
        ListAuditRecordsRequest {
            after: nowhere(None),
            ..all()
        },
        ListAuditRecordsRequest {
            after: nowhere(long_ago),
            ..all()
        },
    ] {
        let refused = world.try_list(request.clone()).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{request:?}: {refused}");
    }
    world.end().await;
}

/// Also where the planner knows nothing of the table, as of one that grew fast.
#[tokio::test]
#[allow(clippy::too_many_lines, reason = "one story, in its order")]
async fn every_filter_reads_few_pages_of_a_large_table() {
    let world = World::start().await;
    let (actor, busy, product) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    world
        .login
        .execute("ALTER TABLE audit_records SET (autovacuum_enabled = off)")
        .await
        .unwrap();
    // One in five hundred is what most filters look for; one account has done half of all.
    sqlx::query(
        "INSERT INTO audit_records (id, at, actor_kind, actor_id, action, subject_kind, subject_id, changes)
         SELECT gen_random_uuid(), timestamptz '2026-01-01' + n * interval '1 s', 'admin',
                CASE WHEN n % 500 = 0 THEN $1 WHEN n % 2 = 0 THEN $4 ELSE gen_random_uuid() END,
                CASE WHEN n % 500 = 0 THEN 'stock.adjusted' ELSE 'product.updated' END,
                CASE WHEN n % 500 = 0 THEN 'product' ELSE 'user' END,
                CASE WHEN n % 500 = 0 THEN $2 ELSE gen_random_uuid() END, '{}'
         FROM generate_series(1, $3) AS n",
    )
    .bind(actor)
    .bind(product)
    .bind(ROWS)
    .bind(busy)
    .execute(world.fixture.pool())
    .await
    .unwrap();
    let statistics = world.fixture.pool();
    statistics
        .execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        .await
        .unwrap();
    let middle = Some(timestamp(
        OffsetDateTime::from_unix_timestamp(1_767_225_600 + i64::from(ROWS / 2)).unwrap(),
    ));
    let after = Some(AuditPosition {
        at: middle,
        id: Uuid::nil().to_string(),
    });
    let text = |text: &str| Some(text.to_owned());
    for (what, request) in [
        ("all", all()),
        (
            "actor",
            ListAuditRecordsRequest {
                actor_id: text(&actor.to_string()),
                ..all()
            },
        ),
        (
            "busy actor",
            ListAuditRecordsRequest {
                actor_id: text(&busy.to_string()),
                ..all()
            },
        ),
        (
            "busy actor and after",
            ListAuditRecordsRequest {
                actor_id: text(&busy.to_string()),
                after: after.clone(),
                ..all()
            },
        ),
        (
            "common action",
            ListAuditRecordsRequest {
                action: text("product.updated"),
                ..all()
            },
        ),
        (
            "subject",
            ListAuditRecordsRequest {
                subject_id: text(&product.to_string()),
                ..all()
            },
        ),
        (
            "kind",
            ListAuditRecordsRequest {
                subject_kind: text("product"),
                ..all()
            },
        ),
        (
            "kind that is nowhere",
            ListAuditRecordsRequest {
                subject_kind: text("order"),
                ..all()
            },
        ),
        (
            "action",
            ListAuditRecordsRequest {
                action: text("stock.adjusted"),
                ..all()
            },
        ),
        (
            "times",
            ListAuditRecordsRequest {
                since: middle,
                until: middle,
                ..all()
            },
        ),
        (
            "after",
            ListAuditRecordsRequest {
                after: after.clone(),
                ..all()
            },
        ),
        (
            "actor, subject and after",
            ListAuditRecordsRequest {
                actor_id: text(&actor.to_string()),
                subject_id: text(&product.to_string()),
                after,
                ..all()
            },
        ),
    ] {
        sqlx::query("SELECT pg_stat_statements_reset(0, oid, 0) FROM pg_database WHERE datname = $1")
            .bind(world.fixture.name())
            .execute(statistics)
            .await
            .unwrap();
        world.list(request).await;
        let pages: i64 = sqlx::query_scalar(
            "SELECT (shared_blks_hit + shared_blks_read) / calls
             FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid
             WHERE datname = $1 AND query LIKE '%FROM audit_records WHERE %'",
        )
        .bind(world.fixture.name())
        .fetch_one(statistics)
        .await
        .unwrap();
        assert!(pages <= MOST_PAGES, "{what}: {pages} pages");
    }
    world.end().await;
}
