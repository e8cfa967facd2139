//! `/users`: one's own profile, and every account for admins.

use axum::extract::State;
use chassis::grpc::from_timestamp;
use proto::user::{
    GetUserRequest, ListUsersRequest, Role as RoleMessage, UpdateProfileRequest, UpdateUserRequest,
    User as UserMessage,
};
use rules::{account, email::Email, password};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    Api,
    caller::{Admin, Caller, Identity, Origin},
    decode::{Checked, Faults, Nullable},
    input::{All, Id, Json, Query},
    list::{Links, List, Paging, Shown, Target},
    open_enum, timestamp,
};
use crate::{backends::read, problem::Problem};

/// An account.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct User {
    /// UUIDv7.
    #[schema(format = Uuid)]
    id: String,
    email: String,
    /// For display; empty where none was given.
    name: String,
    /// Later versions may add others.
    #[schema(examples("user", "admin"))]
    role: String,
    /// Whether it is kept from logging in.
    disabled: bool,
    #[serde(serialize_with = "timestamp::fixed_width")]
    #[schema(value_type = String, format = DateTime, required = true, example = "2026-01-02T03:04:05.120000Z")]
    created_at: Option<OffsetDateTime>,
    #[serde(serialize_with = "timestamp::fixed_width")]
    #[schema(value_type = String, format = DateTime, required = true, example = "2026-01-02T03:04:05.120000Z")]
    updated_at: Option<OffsetDateTime>,
}

/// What an account may be made.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Role {
    /// Buys.
    User,
    /// Also keeps products, stock, orders and accounts.
    Admin,
}

/// A change of one's own profile. What is left out stays as it is; null clears the name.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Ada Lovelace"}))]
struct ProfileChange {
    /// At most 200 characters.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 200, example = "Ada Lovelace")]
    name: Nullable<String>,
    /// 8 to 128 characters.
    #[schema(
        min_length = 8,
        max_length = 128,
        nullable = false,
        example = "a longer passphrase"
    )]
    new_password: Option<String>,
    /// Needed with `new_password`.
    #[schema(nullable = false, example = "correct horse")]
    current_password: Option<String>,
    /// This device's, which stays known; a new password makes all others be forgotten.
    #[schema(nullable = false)]
    device_token: Option<String>,
}

/// A change of what an account may do. What is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"role": "admin"}))]
struct AccessChange {
    #[schema(nullable = false)]
    role: Option<Role>,
    #[schema(nullable = false)]
    disabled: Option<bool>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct UsersQuery {
    /// Only the account with that email, however it is written.
    #[param(max_length = 254, example = "ada@example.com")]
    email: Option<String>,
    /// From 1.
    #[param(minimum = 1, maximum = 10_000)]
    page: Option<u32>,
    /// 20 where nothing is said.
    #[param(minimum = 1, maximum = 100)]
    page_size: Option<u32>,
    /// The `next` of an answer to the same query, to go on behind it, however far; empty to begin so. Not with `page`.
    cursor: Option<String>,
}

impl From<UserMessage> for User {
    fn from(user: UserMessage) -> Self {
        let role = open_enum::text(
            &user.role_name,
            RoleMessage::try_from(user.role).map(|role| role.as_str_name()),
            "ROLE_",
        );
        Self {
            id: user.id,
            email: user.email,
            name: user.name,
            role,
            disabled: user.disabled,
            created_at: from_timestamp(user.created_at.as_ref()),
            updated_at: from_timestamp(user.updated_at.as_ref()),
        }
    }
}

impl Checked for ProfileChange {
    fn check(&self, faults: &mut Faults) {
        faults.text("name", self.name.as_deref(), account::name);
        // The account's email and name, which user-service knows, are not to be the password either.
        let chosen = |new: &str| password::chosen(new, "", "");
        faults.text("new_password", self.new_password.as_deref(), chosen);
        faults.text(
            "current_password",
            self.current_password.as_deref(),
            account::presented_password,
        );
        let current = account::current_password(self.new_password.is_some(), self.current_password.is_some());
        faults.take("current_password", current);
        faults.text(
            "device_token",
            self.device_token.as_deref(),
            account::device_token,
        );
    }
}

impl Checked for AccessChange {}

impl Checked for UsersQuery {
    fn check(&self, faults: &mut Faults) {
        // No account has what is no address.
        faults.text("email", self.email.as_deref(), |email| {
            Email::parse(email).map(drop)
        });
        Paging::check(faults, self.page, self.page_size, self.cursor.as_deref());
    }
}

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(me, change_me))
        .routes(routes!(list))
        .routes(routes!(get, change_access))
}

/// One's own account.
#[utoipa::path(get, path = "/users/me", tag = "users", security(("token" = [])), responses((status = 200, body = User)))]
async fn me(State(api): State<Api>, caller: Caller) -> Result<axum::Json<User>, Problem> {
    account(&api, caller.id).await
}

/// Changes one's own name or password. A new password ends every session, this one too: log in again. Wrong current
/// passwords are counted as wrong logins are, apart from those.
#[utoipa::path(
    put, path = "/users/me", tag = "users", security(("token" = [])), request_body = ProfileChange,
    responses(
        (status = 200, body = User),
        (status = 403, description = "The current password is wrong"),
        (status = 429, description = "Too many were wrong; Retry-After says when the next is looked at"),
    ),
)]
async fn change_me(
    State(api): State<Api>,
    caller: Caller,
    identity: Identity,
    Origin(client): Origin,
    Json(change): Json<ProfileChange>,
) -> Result<axum::Json<User>, Problem> {
    if change.current_password.is_some() {
        // A guess like any other.
        api.limiter
            .count_login(identity.address())
            .map_err(Problem::too_many_requests)?;
    }
    let request = UpdateProfileRequest {
        user_id: caller.id.to_string(),
        name: change.name.change(),
        new_password: change.new_password,
        current_password: change.current_password,
        client: Some(client),
        device_token: change.device_token.unwrap_or_default(),
    };
    answered(
        api.backends
            .users
            .clone()
            .update_profile(caller.request(request))
            .await?
            .into_inner()
            .user,
    )
}

/// Every account, newest first.
#[utoipa::path(
    get, path = "/users", tag = "users", security(("token" = [])), params(UsersQuery),
    responses((status = 200, body = List<User>, headers(("link" = String))), (status = 403, description = "Not an admin")),
)]
async fn list(
    State(api): State<Api>,
    _: Admin,
    target: Target,
    Query(query): Query<UsersQuery>,
) -> Result<(Links, axum::Json<List<User>>), Problem> {
    let paging = Paging::new(query.page, query.page_size, query.cursor);
    let request = ListUsersRequest {
        page: paging.page,
        page_size: paging.page_size,
        cursor: paging.cursor.clone(),
        email: query.email,
    };
    let answer = read(&api.backends.users, request, |mut users, request| async move {
        users.list_users(request).await
    });
    let answer = answer.await?;
    let shown = Shown {
        total: answer.total,
        next: answer.next,
        page: answer.page,
    };
    let (links, list) = paging.list(&target, answer.users, shown, User::from);
    Ok((links, axum::Json(list)))
}

/// Any account.
#[utoipa::path(
    get, path = "/users/{id}", tag = "users", security(("token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The account")),
    responses((status = 200, body = User), (status = 403, description = "Not an admin")),
)]
async fn get(State(api): State<Api>, _: Admin, Id(id): Id) -> Result<axum::Json<User>, Problem> {
    account(&api, id).await
}

/// Makes an account an admin's or a user's, disables or enables it. Needs a login of the last ten minutes.
#[utoipa::path(
    patch, path = "/users/{id}", tag = "users", security(("token" = [])), request_body = AccessChange,
    params(("id" = uuid::Uuid, Path, description = "The account")),
    responses(
        (status = 200, body = User),
        (status = 403, description = "Not an admin"),
        (status = 409, description = "No enabled admin would be left"),
    ),
)]
async fn change_access(
    State(api): State<Api>,
    Admin(caller): Admin,
    All(input): All<(Id, Json<AccessChange>)>,
) -> Result<axum::Json<User>, Problem> {
    let (Id(id), Json(change)) = input;
    caller.logged_in_within(api.limits.recent_login)?;
    let role = change.role.map(|role| match role {
        Role::User => RoleMessage::User.into(),
        Role::Admin => RoleMessage::Admin.into(),
    });
    let request = UpdateUserRequest {
        user_id: id.to_string(),
        role,
        disabled: change.disabled,
        actor_id: Some(caller.id.to_string()),
    };
    answered(
        api.backends
            .users
            .clone()
            .update_user(caller.request(request))
            .await?
            .into_inner()
            .user,
    )
}

async fn account(api: &Api, id: Uuid) -> Result<axum::Json<User>, Problem> {
    let request = GetUserRequest {
        user_id: id.to_string(),
    };
    let answer = read(&api.backends.users, request, |mut users, request| async move {
        users.get_user(request).await
    });
    answered(answer.await?.user)
}

fn answered(user: Option<UserMessage>) -> Result<axum::Json<User>, Problem> {
    user.map(|user| axum::Json(user.into()))
        .ok_or_else(Problem::internal)
}
