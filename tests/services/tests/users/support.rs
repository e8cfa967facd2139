//! A running service and the words that the tests are written in.

use std::time::Duration;

use access_token::{Claims, VerifyingKey, key_id_of};
use chassis::{
    Running,
    config::{PostgresArgs, ServiceArgs},
};
use clap::Parser as _;
use fixtures::Database;
use proto::user::{
    GetSigningKeysRequest, GetUserRequest, LogInRequest, LogOutRequest, RefreshSessionRequest,
    RegisterRequest, Role, Session, SessionClient, SigningKey, UpdateUserRequest, User,
    user_service_client::UserServiceClient,
};
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt as _;
use user_service::Config;

pub(crate) const PASSWORD: &str = "correct horse";

pub(crate) struct Service {
    pub(crate) client: UserServiceClient<Channel>,
    pub(crate) running: Running,
}

impl Service {
    /// Starts it on that database, with these flags.
    pub(crate) async fn start(database: &Database, flags: &[&str]) -> Self {
        Self::start_with(config(database, flags)).await
    }

    pub(crate) async fn start_with(config: Config) -> Self {
        let running = user_service::start(config).await.unwrap();
        let client = UserServiceClient::connect(format!("http://{}", running.addr()))
            .await
            .unwrap();
        Self { client, running }
    }

    pub(crate) async fn stop(self) {
        drop(self.client);
        self.running.stop().await.unwrap();
    }

    pub(crate) async fn try_register(&self, email: &str, password: &str) -> Result<(User, Session), Status> {
        let request = RegisterRequest {
            email: email.to_owned(),
            password: password.to_owned(),
            ..RegisterRequest::default()
        };
        let response = self.client.clone().register(request).await?.into_inner();
        Ok((response.user.unwrap(), response.session.unwrap()))
    }

    pub(crate) async fn register(&self, email: &str) -> (User, Session) {
        self.try_register(email, PASSWORD).await.unwrap()
    }

    pub(crate) async fn log_in(&self, email: &str, password: &str) -> Result<(User, Session), Status> {
        let request = LogInRequest {
            email: email.to_owned(),
            password: password.to_owned(),
            ..LogInRequest::default()
        };
        let response = self.client.clone().log_in(request).await?.into_inner();
        Ok((response.user.unwrap(), response.session.unwrap()))
    }

    /// Logs in from a device at that address; it is known by a token from then on.
    pub(crate) async fn log_in_from(
        &self,
        address: &str,
        device_token: &str,
        (email, password): (&str, &str),
    ) -> Result<String, Status> {
        let request = LogInRequest {
            email: email.to_owned(),
            password: password.to_owned(),
            client: Some(SessionClient {
                address: address.to_owned(),
                user_agent: String::new(),
            }),
            device_token: device_token.to_owned(),
            ..LogInRequest::default()
        };
        let response = self.client.clone().log_in(request).await?;
        Ok(response.into_inner().device_token)
    }

    pub(crate) async fn refresh(&self, session: &Session) -> Result<Session, Status> {
        self.refresh_token(&session.refresh_token).await
    }

    pub(crate) async fn refresh_token(&self, token: &str) -> Result<Session, Status> {
        let refresh_token = token.to_owned();
        let request = RefreshSessionRequest {
            refresh_token,
            client: None,
        };
        let response = self.client.clone().refresh_session(request).await?;
        Ok(response.into_inner().session.unwrap())
    }

    pub(crate) async fn log_out(&self, token: &str) {
        let refresh_token = token.to_owned();
        let request = LogOutRequest { refresh_token };
        self.client.clone().log_out(request).await.unwrap();
    }

    pub(crate) async fn get(&self, id: &str) -> Result<User, Status> {
        let user_id = id.to_owned();
        let response = self.client.clone().get_user(GetUserRequest { user_id }).await?;
        Ok(response.into_inner().user.unwrap())
    }

    pub(crate) async fn set_role(&self, user: &User, role: Role) -> Result<User, Status> {
        let request = UpdateUserRequest {
            role: Some(role.into()),
            ..update_of(user)
        };
        self.update(request).await
    }

    pub(crate) async fn set_disabled(&self, user: &User, disabled: bool) -> Result<User, Status> {
        let request = UpdateUserRequest {
            disabled: Some(disabled),
            ..update_of(user)
        };
        self.update(request).await
    }

    pub(crate) async fn update(&self, request: UpdateUserRequest) -> Result<User, Status> {
        let response = self.client.clone().update_user(request).await?;
        Ok(response.into_inner().user.unwrap())
    }

    pub(crate) async fn keys(&self) -> Vec<SigningKey> {
        let mut client = self.client.clone();
        let response = client.get_signing_keys(GetSigningKeysRequest {}).await;
        response.unwrap().into_inner().keys
    }

    /// Checks an access token as anybody can who asked for the keys.
    pub(crate) async fn claims(&self, session: &Session) -> Claims {
        let id = key_id(session);
        let keys = self.keys().await;
        let key = keys
            .iter()
            .find(|key| key.key_id == id)
            .expect("the key is published");
        assert_eq!(key.algorithm, "EdDSA");
        VerifyingKey::from_x(&key.x)
            .unwrap()
            .verify(&session.access_token)
            .unwrap()
    }
}

/// The `kid` of the access token.
pub(crate) fn key_id(session: &Session) -> String {
    key_id_of(&session.access_token).unwrap()
}

/// A service on that database, with these flags. Its producer-service is not there: events stay in the outbox.
pub(crate) fn config(database: &Database, flags: &[&str]) -> Config {
    let nobody = "--producer-service-url=http://127.0.0.1:1";
    let mut config = Config::try_parse_from([&["user-service", nobody], flags].concat()).unwrap();
    config.service = ServiceArgs::loopback();
    config.postgres = PostgresArgs::from_url(database.url());
    config
}

/// A change of nothing.
pub(crate) fn update_of(user: &User) -> UpdateUserRequest {
    UpdateUserRequest {
        user_id: user.id.clone(),
        role: None,
        disabled: None,
        actor_id: None,
    }
}

/// The code and the stable reason of a refusal.
pub(crate) fn reason<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.expect_err("a refusal");
    (
        status.code(),
        chassis::grpc::status::reason(&status).unwrap_or_default(),
    )
}

pub(crate) fn refused(code: Code, reason: &str) -> (Code, String) {
    (code, reason.to_owned())
}

/// The fields that a refusal names.
pub(crate) fn fields<T: std::fmt::Debug>(answer: Result<T, Status>) -> Vec<String> {
    let status = answer.expect_err("a refusal");
    assert_eq!(status.code(), Code::InvalidArgument);
    let details = status
        .get_details_bad_request()
        .expect("a refusal says which fields are at fault");
    details
        .field_violations
        .into_iter()
        .map(|violation| violation.field)
        .collect()
}

/// Looks again and again until it is so; the test run's own time limit ends what never comes.
pub(crate) async fn eventually<F: Future<Output = bool>>(mut so: impl FnMut() -> F) {
    while !so().await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
