//! Registering, reading and changing accounts.

use chassis::{
    grpc::{Principal, status::parse_uuid},
    page::{Keyset, ListDigest},
    security::{self, About, Event},
    violations::Violations,
};
use proto::user::{
    GetUserRequest, GetUserResponse, ListUsersRequest, ListUsersResponse, RegisterRequest, RegisterResponse,
    UpdateProfileRequest, UpdateProfileResponse, UpdateUserRequest, UpdateUserResponse,
};
use rules::email::Email;
use tonic::Status;
use uuid::Uuid;

use super::{
    Users, credentials::wrong_password, hashing_status, message, role, sessions::origin, store_status,
};
use crate::{
    backoff::DeviceToken,
    hashing::Party,
    password::Password,
    session::{Authentication, Origin},
    store::{NewSession, NewUser},
    user::{Access, Name, Role, User},
};

impl Users {
    pub(super) async fn create_account(
        &self,
        principal: &Principal,
        request: RegisterRequest,
    ) -> Result<RegisterResponse, Status> {
        let mut violations = Violations::new();
        let email = violations.take("email", Email::parse(&request.email));
        let password = Password::chosen(request.password, &request.email, &request.name);
        let password = violations.take("password", password);
        let name = violations.take("name", Name::parse(&request.name));
        violations.into_result()?;
        let (Some(email), Some(password), Some(name)) = (email, password, name) else {
            // Each that is missing is a violation.
            return Err(Status::internal("internal error"));
        };

        let origin = origin(request.client);
        let place = self.hasher.admit(Party::at(&origin.address));
        let password_hash = place
            .map_err(|error| hashing_status(&error))?
            .run(move |memory| memory.hash(&password))
            .await
            .map_err(|error| hashing_status(&error))?;
        let new = NewUser {
            id: Uuid::now_v7(),
            email: &email,
            name: &name,
            password_hash: &password_hash,
        };
        let (session, device) = (NewSession::from(origin), DeviceToken::generate());
        let user = self
            .store
            .register(principal, &new, &session, &device)
            .await
            .map_err(store_status)?;
        let authentication = Authentication::now(session.id);
        Ok(RegisterResponse {
            session: Some(self.session(&user, authentication, &session.token)?),
            user: Some(message(user)),
            device_token: device.reveal(),
        })
    }

    pub(super) async fn get(&self, request: &GetUserRequest) -> Result<GetUserResponse, Status> {
        let id = parse_uuid("user_id", &request.user_id)?;
        let user = self.store.user(id).await.map_err(store_status)?;
        Ok(GetUserResponse {
            user: Some(message(user)),
        })
    }

    pub(super) async fn list(&self, request: ListUsersRequest) -> Result<ListUsersResponse, Status> {
        let list = ListDigest::of("users", &[request.email.as_deref().unwrap_or_default()]);
        let cursor = request.cursor.as_deref();
        let page = Keyset::read(list, request.page, request.page_size, cursor)?;
        let (users, total) = match request.email {
            Some(email) => {
                let account = match Email::parse(&email) {
                    Ok(email) => self.store.account(&email).await.map_err(store_status)?,
                    Err(_) => None,
                };
                let total = u64::from(account.is_some());
                let first = account.filter(|_| page.offset() == 0 && page.after().is_none());
                let users = first.into_iter().map(|account| account.user).collect();
                (page.entries_until(users, None), total)
            }
            None => self.store.users(&page).await.map_err(store_status)?,
        };
        let users = users.map(message);
        Ok(ListUsersResponse {
            users: users.items,
            total,
            next: users.next,
            page: users.page,
        })
    }

    pub(super) async fn change_profile(
        &self,
        principal: &Principal,
        request: UpdateProfileRequest,
    ) -> Result<UpdateProfileResponse, Status> {
        let id = parse_uuid("user_id", &request.user_id)?;
        let mut violations = Violations::new();
        let name = request
            .name
            .and_then(|name| violations.take("name", Name::parse(&name)));
        let wants_new = request.new_password.is_some();
        let new_password = match request.new_password {
            Some(text) => {
                let user = self.store.user(id).await.map_err(store_status)?;
                let own_name = name.as_ref().map_or(&*user.name, Name::as_str);
                violations.take("new_password", Password::chosen(text, &user.email, own_name))
            }
            None => None,
        };
        let is_given = request.current_password.is_some();
        let current = rules::account::current_password(wants_new, is_given);
        violations.take("current_password", current);
        violations.into_result()?;

        let user = match (new_password, request.current_password) {
            (Some(new), Some(current)) => {
                let change = PasswordChange {
                    user: id,
                    current,
                    new,
                    name,
                    device: DeviceToken::presented(request.device_token),
                    origin: origin(request.client),
                };
                self.change_password(principal, change).await?
            }
            _ => match name {
                Some(name) => self
                    .store
                    .rename(principal, id, &name)
                    .await
                    .map_err(store_status)?,
                None => self.store.user(id).await.map_err(store_status)?,
            },
        };
        Ok(UpdateProfileResponse {
            user: Some(message(user)),
        })
    }

    async fn change_password(&self, principal: &Principal, change: PasswordChange) -> Result<User, Status> {
        let id = change.user;
        let current = Password::presented(change.current).ok_or_else(wrong_password)?;
        let stored = self
            .store
            .account_by_id(id)
            .await
            .map_err(store_status)?
            .password_hash;
        let hash = self
            .check_current_password(id, current, stored.clone(), change.new, &change.origin)
            .await?;
        let user = self
            .store
            .change_password(
                principal,
                id,
                &stored,
                &hash,
                change.name.as_ref(),
                change.device.as_ref(),
            )
            .await
            .map_err(store_status)?;
        let about = About {
            user: Some(id),
            actor: Some(id),
            address: &change.origin.address,
        };
        security::record(Event::PasswordChanged, about, "an account has a new password");
        Ok(user)
    }

    pub(super) async fn change_access(
        &self,
        principal: &Principal,
        request: &UpdateUserRequest,
    ) -> Result<UpdateUserResponse, Status> {
        let id = parse_uuid("user_id", &request.user_id)?;
        let actor = request.actor_id.as_deref();
        let actor = actor.map(|actor| parse_uuid("actor_id", actor)).transpose()?;
        let access = Access {
            role: request.role.map(role).transpose()?,
            disabled: request.disabled,
        };
        let user = if access.is_empty() {
            self.store.user(id).await
        } else {
            self.store.change_access(principal, id, access, actor).await
        };
        let user = user.map_err(store_status)?;
        tell_of(access, &user, actor);
        Ok(UpdateUserResponse {
            user: Some(message(user)),
        })
    }
}

/// What is asked for with a new password.
struct PasswordChange {
    user: Uuid,
    current: String,
    new: Password,
    name: Option<Name>,
    /// The device that asks.
    device: Option<DeviceToken>,
    origin: Origin,
}

/// Tells of what an account may do now.
fn tell_of(access: Access, user: &User, actor: Option<Uuid>) {
    let about = About {
        user: Some(user.id),
        actor,
        address: "",
    };
    match access.role {
        Some(Role::Admin) => security::record(Event::RoleChanged, about, "an account is an admin's"),
        Some(Role::User) => security::record(Event::RoleChanged, about, "an account is no admin's"),
        None => {}
    }
    match access.disabled {
        Some(true) => security::record(Event::AccountDisabled, about, "an account is disabled"),
        Some(false) => security::record(Event::AccountEnabled, about, "an account is enabled"),
        None => {}
    }
}
