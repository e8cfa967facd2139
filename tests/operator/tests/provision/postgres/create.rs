//! From nothing to databases in use, and back.

use shop_operator::provision::postgres::{ensure, remove};

use super::{Place, as_each_administrator, code, owner_of, run, session, text};

as_each_administrator!(
    all_is_made_and_a_second_run_changes_nothing,
    logins_act_as_the_owner,
    databases_are_closed_to_each_other,
    two_runs_at_once_make_one_shop,
    all_goes_and_going_twice_is_fine,
    two_databases_may_have_one_owner,
);

async fn all_is_made_and_a_second_run_changes_nothing(place: Place) {
    let databases = [
        place.database("orders", &["orders_a"]),
        place.database("users", &["users_a", "users_b"]),
    ];
    assert!(!place.ensure(&databases).await.is_empty());
    place.assert_settled(&databases).await;
    for database in &databases {
        for login in &database.logins {
            place.log_in(login, &database.name).await.unwrap();
        }
    }
    place.clear(&databases).await;
}

async fn logins_act_as_the_owner(place: Place) {
    let databases = [place.database("orders", &["a", "b"])];
    place.ensure(&databases).await;
    let [database] = &databases;
    let mut a = place.log_in(&database.logins[0], &database.name).await.unwrap();
    let mut b = place.log_in(&database.logins[1], &database.name).await.unwrap();
    assert_eq!(text(&mut a, "SELECT current_user::text").await, database.owner);
    run(&mut a, "CREATE TABLE lines (id int)").await.unwrap();
    assert_eq!(owner_of(&mut a, "lines").await, database.owner);
    run(
        &mut b,
        "ALTER TABLE lines ADD COLUMN amount int; INSERT INTO lines VALUES (1, 2)",
    )
    .await
    .unwrap();
    assert_eq!(text(&mut a, "SELECT amount::text FROM lines").await, "2");
    assert_eq!(code(run(&mut a, "CREATE DATABASE more").await), "42501");
    assert_eq!(code(run(&mut a, "CREATE ROLE more").await), "42501");
    place.clear(&databases).await;
}

async fn databases_are_closed_to_each_other(place: Place) {
    let databases = [
        place.database("orders", &["orders_a"]),
        place.database("users", &["users_a"]),
    ];
    place.ensure(&databases).await;
    let [orders, users] = &databases;
    assert_eq!(code(place.log_in(&orders.logins[0], &users.name).await), "42501");
    assert_eq!(code(place.log_in(&users.logins[0], &orders.name).await), "42501");
    place.clear(&databases).await;
}

async fn two_runs_at_once_make_one_shop(place: Place) {
    let databases = [place.database("orders", &["a"])];
    let (one, other) = tokio::join!(place.ensure(&databases), place.ensure(&databases));
    assert_ne!(one.is_empty(), other.is_empty(), "one made it: {one} / {other}");
    place.clear(&databases).await;
}

async fn all_goes_and_going_twice_is_fine(place: Place) {
    let databases = [
        place.database("orders", &["orders_a", "orders_b"]),
        place.database("users", &["users_a"]),
    ];
    place.ensure(&databases).await;
    let login = &databases[0].logins[0];
    let mut busy = place.log_in(login, &databases[0].name).await.unwrap();
    // Also what a login has made for itself, and a login that is not named any more.
    run(
        &mut busy,
        "CREATE TABLE t (id int); RESET ROLE; CREATE TABLE own (id int)",
    )
    .await
    .unwrap();
    let less = [place.database("orders", &["orders_b"]), databases[1].clone()];
    remove(&place.admin, &place.uid, &less).await.unwrap();
    assert!(run(&mut busy, "SELECT 1").await.is_err(), "its session has ended");
    assert_eq!(code(place.log_in(login, "postgres").await), "28P01");
    assert!(
        place.versions().await.iter().all(|row| row.contains("_admin")),
        "nothing is left but the operator's own account"
    );
    remove(&place.admin, &place.uid, &less).await.unwrap();
    place.clear(&databases).await;
}

async fn two_databases_may_have_one_owner(place: Place) {
    let mut databases = [
        place.database("orders", &["orders_a"]),
        place.database("archive", &["archive_a"]),
    ];
    let [orders, archive] = &mut databases;
    archive.owner.clone_from(&orders.owner);
    place.ensure(&databases).await;
    place.assert_settled(&databases).await;
    for database in &databases {
        place.log_in(&database.logins[0], &database.name).await.unwrap();
    }
    place.clear(&databases).await;
}

/// A run that ended between CREATE DATABASE and its mark.
#[tokio::test]
async fn a_run_that_was_cut_off_is_carried_on() {
    let place = Place::of_superuser();
    let databases = [place.database("orders", &["a"])];
    place.ensure(&databases).await;
    let name = &databases[0].name;
    place
        .as_root(&format!("COMMENT ON DATABASE {name} IS NULL"))
        .await;
    let changes = ensure(&place.admin, &place.uid, &databases).await.unwrap();
    assert_eq!(
        changes.iter().collect::<Vec<_>>(),
        [format!("marked the database {name:?}")]
    );
    place
        .as_root(&format!("COMMENT ON DATABASE {name} IS NULL"))
        .await;
    remove(&place.admin, &place.uid, &databases).await.unwrap();
    assert_eq!(code(session(&place.root, name).await), "3D000");
    place.clear(&databases).await;
}
