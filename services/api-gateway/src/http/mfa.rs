//! `/users/me/mfa`: a second factor, by the authenticator apps that everybody has (TOTP, RFC 6238).

use axum::{Json as Answer, extract::State, http::StatusCode};
use proto::user::{
    BeginSecondFactorRequest, ConfirmSecondFactorRequest, GetSecondFactorRequest, RemoveSecondFactorRequest,
};
use rules::account;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    caller::{Admin, Caller, Origin},
    decode::{Checked, Faults},
    input::{Id, Json},
};
use crate::{backends::read, problem::Problem};

/// Whether there is a second factor.
#[derive(Serialize, ToSchema)]
struct SecondFactor {
    /// Whether logging in takes a code.
    enabled: bool,
    /// How many recovery codes are left.
    #[schema(minimum = 0, maximum = 10)]
    recovery_codes_left: u32,
}

/// What an app makes codes with.
#[derive(Serialize, ToSchema)]
struct NewSecondFactor {
    /// To be typed into an app: base32.
    #[schema(max_length = 64, example = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")]
    secret: String,
    /// To be shown as a QR code, which an app scans.
    #[schema(
        example = "otpauth://totp/Shop:ada%40example%2Ecom?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Shop&algorithm=SHA1&digits=6&period=30"
    )]
    otpauth_uri: String,
}

/// The first code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    /// As the app shows it now.
    #[schema(example = "123456")]
    code: String,
}

/// What takes the place of the app when it is lost.
#[derive(Serialize, ToSchema)]
struct RecoveryCodes {
    /// Shown this once: to be kept in a safe place. Each is good once.
    #[schema(min_items = 10, max_items = 10)]
    recovery_codes: Vec<String>,
}

/// A proof that one has the second factor: one of the two.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Proof {
    /// As the app shows it now.
    #[schema(nullable = false, example = "123456")]
    code: Option<String>,
    /// In the place of a code.
    #[schema(nullable = false)]
    recovery_code: Option<String>,
}

impl Checked for Confirmation {
    fn check(&self, faults: &mut Faults) {
        faults.take("code", account::code(&self.code));
    }
}

impl Checked for Proof {
    fn check(&self, faults: &mut Faults) {
        faults.text("code", self.code.as_deref(), account::code);
        faults.text("recovery_code", self.recovery_code.as_deref(), account::code);
    }
}

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(get, begin, remove))
        .routes(routes!(confirm))
        .routes(routes!(remove_of))
}

/// Whether one's own account has a second factor.
#[utoipa::path(
    get, path = "/users/me/mfa", tag = "users", security(("token" = [])),
    responses((status = 200, body = SecondFactor)),
)]
async fn get(State(api): State<Api>, caller: Caller) -> Result<Answer<SecondFactor>, Problem> {
    let request = GetSecondFactorRequest {
        user_id: caller.id.to_string(),
    };
    let answer = read(&api.backends.users, request, |mut users, request| async move {
        users.get_second_factor(request).await
    });
    let answer = answer.await?;
    Ok(Answer(SecondFactor {
        enabled: answer.enabled,
        recovery_codes_left: answer.recovery_codes_left,
    }))
}

/// Begins a second factor: put the secret into an authenticator app, and confirm it with a code. Until then nothing changes.
/// Needs a login of the last ten minutes.
#[utoipa::path(
    post, path = "/users/me/mfa", tag = "users", security(("token" = [])),
    responses(
        (status = 200, body = NewSecondFactor),
        (status = 409, description = "There is one already"),
    ),
)]
async fn begin(State(api): State<Api>, caller: Caller) -> Result<Answer<NewSecondFactor>, Problem> {
    caller.logged_in_within(api.limits.recent_login)?;
    let request = BeginSecondFactorRequest {
        user_id: caller.id.to_string(),
    };
    let answer = api.backends.users.clone().begin_second_factor(request).await?;
    let answer = answer.into_inner();
    Ok(Answer(NewSecondFactor {
        secret: answer.secret,
        otpauth_uri: answer.uri,
    }))
}

/// Switches the second factor on. Logging in takes a code from now on; every other session ends, this one goes on.
#[utoipa::path(
    post, path = "/users/me/mfa/confirm", tag = "users", security(("token" = [])), request_body = Confirmation,
    responses(
        (status = 200, body = RecoveryCodes),
        (status = 403, description = "The code is wrong"),
        (status = 409, description = "None was begun, or one is on already"),
    ),
)]
async fn confirm(
    State(api): State<Api>,
    caller: Caller,
    Origin(client): Origin,
    Json(confirmation): Json<Confirmation>,
) -> Result<Answer<RecoveryCodes>, Problem> {
    let request = ConfirmSecondFactorRequest {
        user_id: caller.id.to_string(),
        session_id: caller.session().map(|session| session.to_string()),
        code: confirmation.code,
        client: Some(client),
    };
    let answer = api
        .backends
        .users
        .clone()
        .confirm_second_factor(caller.request(request))
        .await?;
    api.authority.forget(caller.holder());
    Ok(Answer(RecoveryCodes {
        recovery_codes: answer.into_inner().recovery_codes,
    }))
}

/// Switches one's own second factor off, with a code or a recovery code.
#[utoipa::path(
    delete, path = "/users/me/mfa", tag = "users", security(("token" = [])), request_body = Proof,
    responses(
        (status = 204, description = "Logging in takes no code any more"),
        (status = 403, description = "The code is wrong"),
        (status = 409, description = "There is none"),
    ),
)]
async fn remove(
    State(api): State<Api>,
    caller: Caller,
    Origin(client): Origin,
    Json(proof): Json<Proof>,
) -> Result<StatusCode, Problem> {
    let request = RemoveSecondFactorRequest {
        user_id: caller.id.to_string(),
        actor_id: None,
        code: proof.code,
        recovery_code: proof.recovery_code,
        client: Some(client),
    };
    api.backends
        .users
        .clone()
        .remove_second_factor(caller.request(request))
        .await?;
    api.authority.forget(caller.holder());
    Ok(StatusCode::NO_CONTENT)
}

/// Switches the second factor of another account off, whose holder has lost it; all its sessions end. Needs a login of the
/// last ten minutes.
#[utoipa::path(
    delete, path = "/users/{id}/mfa", tag = "users", security(("token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The account")),
    responses(
        (status = 204, description = "Logging in takes no code any more"),
        (status = 403, description = "Not an admin, or one's own account"),
        (status = 409, description = "There is none"),
    ),
)]
async fn remove_of(
    State(api): State<Api>,
    Admin(caller): Admin,
    Origin(client): Origin,
    Id(id): Id,
) -> Result<StatusCode, Problem> {
    caller.logged_in_within(api.limits.recent_login)?;
    if id == caller.id {
        return Err(Problem::forbidden(
            "one's own is switched off at /users/me/mfa, with a code",
        ));
    }
    let request = RemoveSecondFactorRequest {
        user_id: id.to_string(),
        actor_id: Some(caller.id.to_string()),
        code: None,
        recovery_code: None,
        client: Some(client),
    };
    api.backends
        .users
        .clone()
        .remove_second_factor(caller.request(request))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
