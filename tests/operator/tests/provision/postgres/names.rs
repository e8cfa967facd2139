//! Names and passwords, of which none may get out of its place.

use shop_operator::provision::postgres::{Database, Login, PostgresError, ensure};

use super::{Place, as_each_administrator, owner_of, run, with_password};

as_each_administrator!(names_may_hold_anything);

async fn names_may_hold_anything(place: Place) {
    let login = |name: &str| Login {
        name: place.name(name),
        password: r#"a 'quote', a "double" one and a \"#.into(),
    };
    let databases = [Database {
        name: place.name(r#"o"rd'e\rs; DROP"#),
        owner: place.name(r#"ow"n'e\r $1"#),
        logins: vec![login(r#"lo"gi'n\n"#), login("Grüße")],
    }];
    let [database] = &databases;
    place.ensure(&databases).await;
    place.assert_settled(&databases).await;
    for login in &database.logins {
        place.log_in(login, &database.name).await.unwrap();
    }
    let mut session = place.log_in(&database.logins[0], &database.name).await.unwrap();
    run(&mut session, "CREATE TABLE t (id int)").await.unwrap();
    assert_eq!(owner_of(&mut session, "t").await, database.owner);
    let mut less = databases.clone();
    let changed = with_password(&database.logins[1], "changed");
    less[0].logins = vec![changed];
    place.ensure(&less).await;
    place.assert_settled(&less).await;
    place.clear(&less).await;
}

#[tokio::test]
async fn what_a_server_would_misunderstand_is_refused() {
    let place = Place::of_superuser();
    let good = || place.database("orders", &["a"]);
    let renamed = |name: &str| Database {
        name: name.to_owned(),
        ..good()
    };
    let with = |logins: Vec<Login>| Database { logins, ..good() };
    let login = place.login("a");
    for databases in [
        vec![renamed("")],
        vec![renamed(&"long".repeat(16))],
        vec![renamed("zero\0")],
        vec![good(), good()],
        vec![with(vec![login.clone(), login.clone()])],
        vec![with(vec![Login {
            name: good().owner,
            ..login.clone()
        }])],
        vec![with(vec![with_password(&login, "")])],
        vec![with(vec![with_password(&login, "two\nlines")])],
        vec![with(vec![with_password(&login, "Grüße")])],
    ] {
        let error = ensure(&place.admin, &place.uid, &databases).await.unwrap_err();
        assert!(matches!(error, PostgresError::Other { .. }), "{error}");
        assert!(!error.to_string().contains("Grüße"), "{error}");
    }
    let databases = [good()];
    place.clear(&databases).await;
}
