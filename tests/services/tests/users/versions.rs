//! A neighbour of a later version works on the same database.

use fixtures::Database;
use proto::user::{
    BeginSecondFactorRequest, ConfirmSecondFactorRequest, GetSecondFactorRequest, ListUsersRequest,
    RemoveSecondFactorRequest, Role, UpdateProfileRequest,
};

use crate::support::{PASSWORD, Service};

/// Every call of the service.
async fn everything(service: &Service, email: &str) {
    let (user, session) = service.register(email).await;
    assert_eq!(service.get(&user.id).await.unwrap(), user);
    let next = service.refresh(&session).await.unwrap();
    service.log_out(&next.refresh_token).await;
    let (_, session) = service.log_in(email, PASSWORD).await.unwrap();
    let request = ListUsersRequest {
        page: 1,
        page_size: 1,
        email: None,
        cursor: None,
    };
    let mut client = service.client.clone();
    let list = client.list_users(request).await.unwrap().into_inner();
    assert_eq!(list.users, std::slice::from_ref(&user));
    for new_password in [None, Some("battery staple".to_owned())] {
        let request = UpdateProfileRequest {
            user_id: user.id.clone(),
            name: Some("Ada".to_owned()),
            current_password: new_password.is_some().then(|| PASSWORD.to_owned()),
            new_password,
            ..UpdateProfileRequest::default()
        };
        client.update_profile(request).await.unwrap();
    }
    service.refresh(&session).await.unwrap_err();
    let user_id = user.id.clone();
    let begin = BeginSecondFactorRequest {
        user_id: user_id.clone(),
    };
    client.begin_second_factor(begin).await.unwrap();
    let confirm = ConfirmSecondFactorRequest {
        user_id: user_id.clone(),
        code: "no code".to_owned(),
        ..Default::default()
    };
    client.confirm_second_factor(confirm).await.unwrap_err();
    let remove = RemoveSecondFactorRequest {
        user_id: user_id.clone(),
        code: Some("no code".to_owned()),
        ..Default::default()
    };
    client.remove_second_factor(remove).await.unwrap_err();
    let get = GetSecondFactorRequest { user_id };
    assert!(!client.get_second_factor(get).await.unwrap().into_inner().enabled);
    let admin = service.set_role(&user, Role::Admin).await.unwrap();
    assert_eq!(admin.role(), Role::Admin);
    service.set_role(&user, Role::User).await.unwrap();
    assert!(service.set_disabled(&user, true).await.unwrap().disabled);
    assert!(!service.keys().await.is_empty());
}

#[tokio::test]
async fn a_column_that_a_later_version_adds_disturbs_no_call() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    // So that another admin is left when one is none any more.
    let (keeper, _) = service.register("keeper@example.com").await;
    service.set_role(&keeper, Role::Admin).await.unwrap();
    // So often that whatever connection is used has prepared its statements.
    for round in 0..3 {
        everything(&service, &format!("before{round}@example.com")).await;
    }
    database.add_a_column_to_every_table().await;
    for round in 0..3 {
        everything(&service, &format!("after{round}@example.com")).await;
    }
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn a_role_of_a_later_version_is_shown_as_it_is_and_has_the_least_rights() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    let (customer, _) = service.register("customer@example.com").await;
    let (auditor, _) = service.register("auditor@example.com").await;
    sqlx::raw_sql(
        "ALTER TABLE users DROP CONSTRAINT users_role_check;
         UPDATE users SET role = 'auditor' WHERE email = 'auditor@example.com'",
    )
    .execute(database.pool())
    .await
    .unwrap();
    let request = ListUsersRequest {
        page: 1,
        page_size: 10,
        email: None,
        cursor: None,
    };
    let list = service.client.clone().list_users(request).await.unwrap();
    let list = list.into_inner().users;
    let roles: Vec<_> = list
        .iter()
        .map(|user| (user.id.as_str(), user.role, user.role_name.as_str()))
        .collect();
    assert_eq!(
        roles,
        [
            (auditor.id.as_str(), 0, "auditor"),
            (customer.id.as_str(), Role::User.into(), "user")
        ]
    );
    let (_, session) = service.log_in("auditor@example.com", PASSWORD).await.unwrap();
    assert_eq!(service.claims(&session).await.role, access_token::Role::User);
    service.refresh(&session).await.unwrap();
    // An admin's change is not kept from it.
    let disabled = service.set_disabled(&auditor, true).await.unwrap();
    assert_eq!(
        (disabled.disabled, disabled.role_name.as_str()),
        (true, "auditor")
    );
    assert_eq!(
        service.set_role(&auditor, Role::User).await.unwrap().role(),
        Role::User
    );
    service.stop().await;
    database.drop().await;
}
