//! Lists that are read on by cursor, and lists of a time.

use std::collections::HashSet;

use chassis::grpc::timestamp;
use proto::order::{ListOrdersRequest, ListOrdersResponse, NewOrder, OrderStatus};
use time::{Duration, OffsetDateTime};
use tonic::Status;
use uuid::Uuid;

use super::support::{World, order_of};

async fn list(world: &World, request: ListOrdersRequest) -> Result<ListOrdersResponse, Status> {
    let answer = world.orders.clone().list_orders(request).await?;
    Ok(answer.into_inner())
}

/// The ids of the list from its first page on to its end; `between` is done between two pages.
async fn walk(
    world: &World,
    mut request: ListOrdersRequest,
    mut between: impl AsyncFnMut(usize),
) -> Vec<String> {
    (request.page, request.page_size) = (1, 100);
    let mut ids = Vec::new();
    loop {
        let answer = list(world, request.clone()).await.unwrap();
        ids.extend(answer.orders.into_iter().map(|order| order.id));
        if answer.next.is_empty() {
            return ids;
        }
        between(ids.len()).await;
        (request.page, request.cursor) = (0, Some(answer.next));
    }
}

/// Orders of a user by SQL, one a minute back from `newest`, with ids as they are made, and with `status`.
async fn add_by_sql(world: &World, user: &str, status: &str, newest: OffsetDateTime, count: i32) {
    sqlx::query(
        "INSERT INTO orders (id, user_id, status, currency_code, total_minor_units, created_at, updated_at)
         SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
                 || '7' || substr(md5(n::text), 1, 3) || 'a' || substr(md5(n::text), 4, 15))::uuid,
                $1::uuid, $2, 'EUR', 100, at, at
         FROM generate_series(0, $4 - 1) AS n, LATERAL (SELECT $3 - n * interval '1 minute' AS at) AS placed",
    )
    .bind(Uuid::parse_str(user).unwrap())
    .bind(status)
    .bind(newest)
    .bind(count)
    .execute(world.database.pool())
    .await
    .unwrap();
}

#[tokio::test]
async fn every_order_is_reached_and_none_twice_while_others_are_placed() {
    let world = World::start_with(&["--max-open-orders", "20000"]).await;
    let cup = world.product(1, "EUR").await;
    let (user, other) = (Uuid::now_v7().to_string(), Uuid::now_v7().to_string());
    let now = OffsetDateTime::now_utc();
    add_by_sql(&world, &user, "confirmed", now, 10_050).await;
    add_by_sql(&world, &other, "cancelled", now - Duration::seconds(7), 250).await;
    for (user_id, status, expected) in [
        (None, OrderStatus::Unspecified, 10_300),
        (Some(&user), OrderStatus::Unspecified, 10_050),
        (None, OrderStatus::Cancelled, 250),
        (Some(&other), OrderStatus::Cancelled, 250),
        (Some(&user), OrderStatus::Cancelled, 0),
    ] {
        let request = ListOrdersRequest {
            user_id: user_id.cloned(),
            status: status.into(),
            ..ListOrdersRequest::default()
        };
        let mut placed = HashSet::new();
        let ids = walk(&world, request, async |seen| {
            if seen <= 300 {
                let user_id = user_id.unwrap_or(&user).clone();
                let order = NewOrder {
                    user_id,
                    ..order_of(&[&cup])
                };
                placed.insert(world.place(order).await.id);
            }
        })
        .await;
        let distinct: HashSet<_> = ids.iter().cloned().collect();
        assert_eq!(distinct.len(), ids.len(), "{user_id:?} {status:?}");
        // Those placed meanwhile are newer than what was shown; those of the walks before are there.
        assert!(distinct.is_disjoint(&placed));
        let old = ids
            .iter()
            .filter(|id| Uuid::parse_str(id).unwrap().get_version_num() == 7)
            .count();
        assert!(
            old >= expected && ids.is_sorted_by(|one, next| one > next),
            "{old} {expected}"
        );
    }
    world.end().await;
}

#[tokio::test]
async fn a_time_is_from_its_beginning_to_before_its_end() {
    let world = World::start().await;
    let user = Uuid::now_v7().to_string();
    let newest = OffsetDateTime::now_utc() - Duration::days(2);
    let newest = newest.replace_nanosecond(newest.microsecond() * 1_000).unwrap();
    add_by_sql(&world, &user, "confirmed", newest, 1_000).await;
    let minute = |n: i64| newest - Duration::minutes(n);
    let of_time = |from: Option<OffsetDateTime>, to: Option<OffsetDateTime>| ListOrdersRequest {
        user_id: Some(user.clone()),
        created_from: from.map(timestamp),
        created_to: to.map(timestamp),
        ..ListOrdersRequest::default()
    };
    let micro = Duration::microseconds(1);
    for (from, to, expected) in [
        (Some(minute(9)), Some(minute(0)), 9),
        (Some(minute(9)), Some(minute(0) + micro), 10),
        (Some(minute(9) + micro), Some(minute(0)), 8),
        (Some(minute(499)), None, 500),
        (None, Some(minute(499)), 500),
        (Some(minute(0)), Some(minute(9)), 0),
        (None, None, 1_000),
    ] {
        let request = of_time(from, to);
        let ids = walk(&world, request.clone(), async |_| ()).await;
        assert_eq!(ids.len(), expected, "{from:?} {to:?}");
        let first = ListOrdersRequest {
            page: 1,
            page_size: 1,
            ..request
        };
        assert_eq!(
            list(&world, first).await.unwrap().total,
            expected as u64,
            "{from:?} {to:?}"
        );
    }
    // What this service has placed itself is at its time too.
    let cup = world.product(1, "EUR").await;
    let before = OffsetDateTime::now_utc() - Duration::milliseconds(2);
    let order = world
        .place(NewOrder {
            user_id: user.clone(),
            ..order_of(&[&cup])
        })
        .await;
    assert_eq!(
        walk(&world, of_time(Some(before), None), async |_| ()).await,
        [order.id]
    );
    world.end().await;
}

#[tokio::test]
async fn a_cursor_shows_nobody_elses_orders() {
    let world = World::start().await;
    let (user, other) = (Uuid::now_v7().to_string(), Uuid::now_v7().to_string());
    let now = OffsetDateTime::now_utc();
    add_by_sql(&world, &user, "confirmed", now, 3).await;
    add_by_sql(&world, &other, "confirmed", now - Duration::seconds(7), 3).await;
    let of = |user: &str, cursor: Option<String>| ListOrdersRequest {
        page: u32::from(cursor.is_none()),
        page_size: 1,
        user_id: Some(user.to_owned()),
        cursor,
        ..ListOrdersRequest::default()
    };
    let next = list(&world, of(&user, None)).await.unwrap().next;
    let refused = list(&world, of(&other, Some(next.clone()))).await.unwrap_err();
    assert!(refused.message().contains("another filter"), "{refused}");
    let own = list(&world, of(&user, Some(next.clone()))).await.unwrap();
    assert!(own.orders.iter().all(|order| order.user_id == user));
    let narrowed = ListOrdersRequest {
        created_to: Some(timestamp(now)),
        ..of(&user, Some(next))
    };
    assert!(list(&world, narrowed).await.is_err());
    world.end().await;
}
