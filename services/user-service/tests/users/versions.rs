//! A neighbour of a later version works on the same database.

use fixtures::Database;
use proto::user::{ListUsersRequest, Role, UpdateProfileRequest};

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
        };
        client.update_profile(request).await.unwrap();
    }
    service.refresh(&session).await.unwrap_err();
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
