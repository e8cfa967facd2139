//! Logins come and go while a database is in use.

use super::{Place, as_each_administrator, code, owner_of, run};

as_each_administrator!(
    a_removed_login_is_gone_with_its_sessions,
    what_a_removed_login_owned_stays_with_the_owner,
    a_password_is_rotated_with_both_valid_meanwhile,
    a_login_that_lost_its_owner_is_still_removed,
);

async fn a_removed_login_is_gone_with_its_sessions(place: Place) {
    let before = [place.database("orders", &["a", "b"])];
    place.ensure(&before).await;
    let [database] = &before;
    let (a, b) = (&database.logins[0], &database.logins[1]);
    let mut of_a = place.log_in(a, &database.name).await.unwrap();
    let mut elsewhere = place.log_in(a, "postgres").await.unwrap();
    let mut of_b = place.log_in(b, &database.name).await.unwrap();
    let after = [place.database("orders", &["b"])];
    assert_eq!(
        place.ensure(&after).await.to_string(),
        format!("dropped the role {:?}", a.name)
    );
    assert!(run(&mut of_a, "SELECT 1").await.is_err());
    assert!(run(&mut elsewhere, "SELECT 1").await.is_err());
    run(&mut of_b, "SELECT 1").await.unwrap();
    assert_eq!(code(place.log_in(a, &database.name).await), "28P01");
    place.assert_settled(&after).await;
    place.clear(&after).await;
}

async fn what_a_removed_login_owned_stays_with_the_owner(place: Place) {
    let before = [place.database("orders", &["a", "b"])];
    place.ensure(&before).await;
    let [database] = &before;
    let mut of_a = place.log_in(&database.logins[0], &database.name).await.unwrap();
    run(
        &mut of_a,
        "RESET ROLE; CREATE TABLE own (id int); ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
    )
    .await
    .unwrap();
    let after = [place.database("orders", &["b"])];
    place.ensure(&after).await;
    let mut of_b = place.log_in(&database.logins[1], &database.name).await.unwrap();
    assert_eq!(owner_of(&mut of_b, "own").await, database.owner);
    place.clear(&after).await;
}

async fn a_password_is_rotated_with_both_valid_meanwhile(place: Place) {
    let only = |login| [place.database("orders", &[login])];
    let both = [place.database("orders", &["a", "b"])];
    let [database] = &both;
    let (a, b) = (&database.logins[0], &database.logins[1]);
    place.ensure(&only("a")).await;
    let mut old = place.log_in(a, &database.name).await.unwrap();
    run(&mut old, "CREATE TABLE lines (id int)").await.unwrap();
    place.ensure(&both).await;
    let mut new = place.log_in(b, &database.name).await.unwrap();
    run(&mut old, "INSERT INTO lines VALUES (1)").await.unwrap();
    run(
        &mut new,
        "INSERT INTO lines VALUES (2); CREATE INDEX ON lines (id)",
    )
    .await
    .unwrap();
    place.log_in(a, &database.name).await.unwrap();
    place.ensure(&only("b")).await;
    run(&mut new, "DROP TABLE lines").await.unwrap();
    assert_eq!(code(place.log_in(a, &database.name).await), "28P01");
    // And round again.
    place.ensure(&both).await;
    place.log_in(a, &database.name).await.unwrap();
    let last = only("b");
    place.clear(&last).await;
}

async fn a_login_that_lost_its_owner_is_still_removed(place: Place) {
    let before = [place.database("orders", &["a", "b"])];
    place.ensure(&before).await;
    let [database] = &before;
    let a = &database.logins[0];
    place
        .as_admin(&format!("REVOKE {} FROM {}", database.owner, a.name))
        .await;
    let after = [place.database("orders", &["b"])];
    place.ensure(&after).await;
    assert_eq!(code(place.log_in(a, "postgres").await), "28P01");
    place.clear(&after).await;
}

/// A person who was let in by hand has no mark, and stays.
#[tokio::test]
async fn a_member_of_another_kind_stays() {
    let place = Place::of_superuser();
    let databases = [place.database("orders", &["a"])];
    place.ensure(&databases).await;
    let person = place.name("person");
    place
        .as_root(&format!(
            "CREATE ROLE {person} LOGIN; GRANT {} TO {person}",
            databases[0].owner
        ))
        .await;
    place.assert_settled(&databases).await;
    place.as_root(&format!("DROP ROLE {person}")).await;
    place.clear(&databases).await;
}
