//! Registering, reading and changing accounts.

use chassis::{
    grpc::status::{parse_uuid, with_reason},
    page::{Keyset, ListDigest},
    violations::Violations,
};
use proto::user::{
    GetUserRequest, GetUserResponse, ListUsersRequest, ListUsersResponse, RegisterRequest, RegisterResponse,
    UpdateProfileRequest, UpdateProfileResponse, UpdateUserRequest, UpdateUserResponse,
};
use tonic::{Code, Status};
use uuid::Uuid;

use super::{Users, hashing_status, message, role, sessions::origin, store_status};
use crate::{
    email::{self, Email},
    password::Password,
    session::Authentication,
    store::{NewSession, NewUser},
    user::{Access, Name, User},
};

impl Users {
    pub(super) async fn create_account(&self, request: RegisterRequest) -> Result<RegisterResponse, Status> {
        let mut violations = Violations::new();
        let email = Email::parse(&request.email).ok_or_else(|| email::EXPECTED.clone());
        let email = violations.take("email", email);
        let password = Password::chosen(request.password, &request.email, &request.name);
        let password = violations.take("password", password);
        let name = violations.take("name", Name::parse(&request.name));
        violations.into_result()?;
        let (Some(email), Some(password), Some(name)) = (email, password, name) else {
            // Each that is missing is a violation.
            return Err(Status::internal("internal error"));
        };

        let ticket = self.hasher.admit().map_err(|error| hashing_status(&error))?;
        let password_hash = ticket
            .run(move |memory| memory.hash(&password))
            .await
            .map_err(|error| hashing_status(&error))?;
        let new = NewUser {
            id: Uuid::now_v7(),
            email: &email,
            name: &name,
            password_hash: &password_hash,
        };
        let session = NewSession::from(origin(request.client));
        let user = self.store.register(&new, &session).await.map_err(store_status)?;
        let authentication = Authentication::now(session.id);
        Ok(RegisterResponse {
            session: Some(self.session(&user, authentication, &session.token)?),
            user: Some(message(user)),
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
                    Some(email) => self.store.account(&email).await.map_err(store_status)?,
                    None => None,
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
        request: UpdateProfileRequest,
    ) -> Result<UpdateProfileResponse, Status> {
        let id = parse_uuid("user_id", &request.user_id)?;
        let mut violations = Violations::new();
        let name = request
            .name
            .and_then(|name| violations.take("name", Name::parse(&name)));
        let new_password = match request.new_password {
            Some(text) => {
                let user = self.store.user(id).await.map_err(store_status)?;
                let own_name = name.as_ref().map_or(&*user.name, Name::as_str);
                violations.take("new_password", Password::chosen(text, &user.email, own_name))
            }
            None => None,
        };
        if new_password.is_some() && request.current_password.is_none() {
            violations.add("current_password", "is needed with new_password");
        }
        violations.into_result()?;

        let user = match (new_password, request.current_password) {
            (Some(new), Some(current)) => self.change_password(id, current, new, name).await?,
            _ => match name {
                Some(name) => self.store.rename(id, &name).await.map_err(store_status)?,
                None => self.store.user(id).await.map_err(store_status)?,
            },
        };
        Ok(UpdateProfileResponse {
            user: Some(message(user)),
        })
    }

    async fn change_password(
        &self,
        id: Uuid,
        current: String,
        new: Password,
        name: Option<Name>,
    ) -> Result<User, Status> {
        let current = Password::presented(current).ok_or_else(wrong_password)?;
        let ticket = self.hasher.admit().map_err(|error| hashing_status(&error))?;
        let stored = self
            .store
            .account_by_id(id)
            .await
            .map_err(store_status)?
            .password_hash;
        let checked = stored.clone();
        let hash = ticket
            .run(move |memory| {
                if memory.matches(&current, &checked)? {
                    memory.hash(&new).map(Some)
                } else {
                    Ok(None)
                }
            })
            .await
            .map_err(|error| hashing_status(&error))?
            .ok_or_else(wrong_password)?;
        self.store
            .change_password(id, &stored, &hash, name.as_ref())
            .await
            .map_err(store_status)
    }

    pub(super) async fn change_access(
        &self,
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
            self.store.change_access(id, access, actor).await
        };
        Ok(UpdateUserResponse {
            user: Some(message(user.map_err(store_status)?)),
        })
    }
}

fn wrong_password() -> Status {
    with_reason(
        Code::Unauthenticated,
        "WRONG_PASSWORD",
        "the current password is wrong",
    )
}
