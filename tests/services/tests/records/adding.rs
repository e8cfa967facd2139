//! Records are there with their change or not at all, and nobody changes or removes one.

use sqlx::{Executor as _, PgPool};
use uuid::Uuid;

use crate::support::{World, adjusted, admin, all};

const FORBIDDEN: [&str; 4] = [
    "UPDATE audit_records SET actor_id = NULL",
    "DELETE FROM audit_records",
    "DELETE FROM audit_records WHERE false",
    "TRUNCATE audit_records",
];

#[tokio::test]
async fn a_record_is_there_once_its_change_is() {
    let world = World::start().await;
    let (actor, product) = (admin(), Uuid::now_v7());
    let mut transaction = world.database.begin().await.unwrap();
    audit::append(&mut transaction, &actor, &[adjusted(product)])
        .await
        .unwrap();
    transaction.rollback().await.unwrap();
    assert!(world.list(all()).await.is_empty());

    world.append(&actor, &[adjusted(product)]).await;
    let [record] = &world.list(all()).await[..] else {
        panic!("one record");
    };
    assert_eq!(record.actor, Some((&actor).into()));
    assert_eq!(
        (record.action.as_str(), record.subject_kind.as_str()),
        ("stock.adjusted", "product")
    );
    assert_eq!(record.subject_id, product.to_string());
    assert_eq!(record.reason.as_deref(), Some("delivery"));
    assert_eq!(record.changes, r#"{"stock":{"new":11,"old":1}}"#);
    assert_eq!(Uuid::parse_str(&record.id).unwrap().get_version_num(), 7);
    world.end().await;
}

async fn assert_refused(session: &PgPool, who: &str) {
    for statement in FORBIDDEN {
        let refused = session.execute(statement).await.unwrap_err();
        let refused = refused.into_database_error().unwrap();
        assert_eq!(
            refused.code().as_deref(),
            Some("42501"),
            "{who}: {statement}: {refused}"
        );
    }
}

/// The login owns the table: what it took from itself it can give itself back, and has gained nothing.
#[tokio::test]
async fn nobody_changes_or_removes_a_record() {
    let world = World::start().await;
    world.append(&admin(), &[adjusted(Uuid::now_v7())]).await;
    let owner: bool = sqlx::query_scalar(
        "SELECT tableowner = current_user FROM pg_tables WHERE tablename = 'audit_records'",
    )
    .fetch_one(&world.login)
    .await
    .unwrap();
    assert!(owner);
    assert_refused(&world.login, "its owner").await;
    let denied = world
        .login
        .execute("DELETE FROM audit_records")
        .await
        .unwrap_err();
    assert!(denied.to_string().contains("permission denied"), "{denied}");
    world
        .login
        .execute("GRANT ALL ON audit_records TO CURRENT_USER")
        .await
        .unwrap();
    assert_refused(&world.login, "its owner with all rights").await;
    assert_refused(world.fixture.pool(), "a superuser").await;
    assert_eq!(world.list(all()).await.len(), 1);
    world.end().await;
}
