use fixtures::Database;
use futures::future::join_all;
use proto::user::{UpdateProfileRequest, User};
use tonic::{Code, Status};

use crate::support::{PASSWORD, Service, fields, reason, refused};

impl Service {
    pub(crate) async fn change(
        &self,
        user: &User,
        name: Option<&str>,
        new_password: Option<&str>,
        current_password: Option<&str>,
    ) -> Result<User, Status> {
        let request = UpdateProfileRequest {
            user_id: user.id.clone(),
            name: name.map(str::to_owned),
            new_password: new_password.map(str::to_owned),
            current_password: current_password.map(str::to_owned),
            ..UpdateProfileRequest::default()
        };
        let response = self.client.clone().update_profile(request).await?;
        Ok(response.into_inner().user.unwrap())
    }
}

#[tokio::test]
async fn a_new_password_replaces_the_old_one_and_ends_all_sessions() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    let (user, first) = service.register("ada@example.com").await;
    let (_, second) = service.log_in("ada@example.com", PASSWORD).await.unwrap();
    let (_, bystander) = service.register("bob@example.com").await;

    let changed = service
        .change(&user, Some("Ada"), Some("battery staple"), Some(PASSWORD))
        .await;
    assert_eq!(changed.unwrap().name, "Ada");
    for session in [&first, &second] {
        assert_eq!(
            reason(service.refresh(session).await),
            refused(Code::Unauthenticated, "INVALID_REFRESH_TOKEN")
        );
    }
    service.refresh(&bystander).await.unwrap();
    assert_eq!(
        reason(service.log_in("ada@example.com", PASSWORD).await),
        refused(Code::Unauthenticated, "INVALID_CREDENTIALS")
    );
    service.log_in("ada@example.com", "battery staple").await.unwrap();
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn a_wrong_password_changes_nothing() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    let (user, session) = service.register("ada@example.com").await;
    for wrong in ["wrong horse", ""] {
        let answer = service
            .change(&user, Some("Eve"), Some("battery staple"), Some(wrong))
            .await;
        assert_eq!(reason(answer), refused(Code::Unauthenticated, "WRONG_PASSWORD"));
    }
    let without = service.change(&user, None, Some("battery staple"), None).await;
    assert_eq!(fields(without), ["current_password"]);
    let malformed = service
        .change(&user, Some(&"x".repeat(201)), Some("short"), Some(PASSWORD))
        .await;
    assert_eq!(fields(malformed), ["name", "new_password"]);
    assert_eq!(service.get(&user.id).await.unwrap(), user);
    service.refresh(&session).await.unwrap();
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn of_two_password_changes_at_once_one_wins() {
    let database = Database::create().await;
    let flags = ["--password-hashing-threads=2"];
    let service = Service::start(&database, &flags).await;
    let (user, _) = service.register("ada@example.com").await;
    let passwords = ["battery staple", "staple battery"];
    let changes = passwords.map(|new| service.change(&user, None, Some(new), Some(PASSWORD)));
    let answers = join_all(changes).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    for (answer, password) in answers.into_iter().zip(passwords) {
        let logged_in = service.log_in("ada@example.com", password).await;
        if answer.is_ok() {
            logged_in.unwrap();
        } else {
            assert_eq!(reason(answer), refused(Code::Unauthenticated, "WRONG_PASSWORD"));
            logged_in.unwrap_err();
        }
    }
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn a_name_changes_alone_and_only_of_somebody() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    let (user, session) = service.register("ada@example.com").await;
    let renamed = service.change(&user, Some(" Ada "), None, None).await.unwrap();
    assert_eq!(renamed.name, "Ada");
    assert_ne!(renamed.updated_at, user.updated_at);
    assert_eq!(
        service.change(&user, None, None, Some("whatever")).await.unwrap(),
        renamed
    );
    service.refresh(&session).await.unwrap();

    let nobody = User {
        id: "01890a5d-ac96-774b-bcce-b302099a8057".to_owned(),
        ..User::default()
    };
    let not_found = refused(Code::NotFound, "USER_NOT_FOUND");
    let attempts = [
        service.change(&nobody, Some("Ada"), None, None).await,
        service.change(&nobody, None, None, None).await,
        service
            .change(&nobody, None, Some("battery staple"), Some(PASSWORD))
            .await,
    ];
    for answer in attempts {
        assert_eq!(reason(answer), not_found);
    }
    assert_eq!(
        fields(service.change(&User::default(), None, None, None).await),
        ["user_id"]
    );
    service.stop().await;
    database.drop().await;
}
