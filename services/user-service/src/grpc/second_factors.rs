//! Switching the second factor on and off.

use chassis::{
    grpc::{
        Principal,
        status::{invalid_field, parse_uuid, with_reason},
    },
    security::{self, About, Event},
};
use proto::user::{
    BeginSecondFactorRequest, BeginSecondFactorResponse, ConfirmSecondFactorRequest,
    ConfirmSecondFactorResponse, GetSecondFactorRequest, GetSecondFactorResponse, RemoveSecondFactorRequest,
    RemoveSecondFactorResponse,
};
use tonic::{Code, Status};
use uuid::Uuid;

use super::{Users, credentials::failed, sessions::origin, store_status};
use crate::{
    backoff::Lane,
    second_factor::{Given, Passed, RecoveryCode, Secret},
    session::Origin,
    store::Confirmation,
};

impl Users {
    pub(super) async fn second_factor(
        &self,
        request: &GetSecondFactorRequest,
    ) -> Result<GetSecondFactorResponse, Status> {
        let user = parse_uuid("user_id", &request.user_id)?;
        let left = self.store.recovery_codes_left(user).await.map_err(store_status)?;
        Ok(GetSecondFactorResponse {
            enabled: left.is_some(),
            recovery_codes_left: left.unwrap_or_default(),
        })
    }

    pub(super) async fn begin(
        &self,
        request: &BeginSecondFactorRequest,
    ) -> Result<BeginSecondFactorResponse, Status> {
        let id = parse_uuid("user_id", &request.user_id)?;
        let user = self.store.user(id).await.map_err(store_status)?;
        let secret = Secret::generate();
        self.store
            .begin_second_factor(id, &secret)
            .await
            .map_err(store_status)?;
        Ok(BeginSecondFactorResponse {
            secret: secret.reveal(),
            uri: secret.uri(&user.email),
        })
    }

    pub(super) async fn confirm(
        &self,
        principal: &Principal,
        request: ConfirmSecondFactorRequest,
    ) -> Result<ConfirmSecondFactorResponse, Status> {
        let user = parse_uuid("user_id", &request.user_id)?;
        let session = request.session_id.as_deref();
        let session = session.map(|id| parse_uuid("session_id", id)).transpose()?;
        let origin = origin(request.client);
        let about = about(user, user, &origin);
        let counted = self.count(Lane::of_holder(user), about).await?;
        let confirmation = self
            .store
            .confirm_second_factor(principal, user, session, &request.code)
            .await;
        match confirmation {
            Ok(Confirmation::On(codes)) => {
                security::record(Event::SecondFactorAdded, about, "a second factor was switched on");
                Ok(ConfirmSecondFactorResponse {
                    recovery_codes: codes.iter().map(RecoveryCode::reveal).collect(),
                })
            }
            Ok(Confirmation::Wrong) => {
                failed(&counted, Event::ProofRefused, about, "a wrong code was given");
                Err(wrong_code())
            }
            Err(error) => {
                self.take_back(&counted).await;
                Err(store_status(error))
            }
        }
    }

    pub(super) async fn remove(
        &self,
        principal: &Principal,
        request: RemoveSecondFactorRequest,
    ) -> Result<RemoveSecondFactorResponse, Status> {
        let user = parse_uuid("user_id", &request.user_id)?;
        let origin = origin(request.client);
        if let Some(actor) = request.actor_id.as_deref() {
            let actor = parse_uuid("actor_id", actor)?;
            self.store
                .remove_second_factor_of(principal, user, actor)
                .await
                .map_err(store_status)?;
            let message = "an admin has switched a second factor off";
            security::record(Event::SecondFactorRemoved, about(user, actor, &origin), message);
            return Ok(RemoveSecondFactorResponse {});
        }
        let given = Given::from_request(request.code, request.recovery_code.as_deref());
        if matches!(given, Given::Nothing) {
            return Err(invalid_field(
                "code",
                "is needed, or a recovery_code in its place",
            ));
        }
        let about = about(user, user, &origin);
        let counted = self.count(Lane::of_holder(user), about).await?;
        match self.store.remove_own_second_factor(principal, user, &given).await {
            Ok(Passed::ByCode | Passed::ByRecovery) => {
                security::record(
                    Event::SecondFactorRemoved,
                    about,
                    "a second factor was switched off",
                );
                Ok(RemoveSecondFactorResponse {})
            }
            Ok(Passed::NotNeeded | Passed::Missing | Passed::Wrong) => {
                failed(&counted, Event::ProofRefused, about, "a wrong code was given");
                Err(wrong_code())
            }
            Err(error) => {
                self.take_back(&counted).await;
                Err(store_status(error))
            }
        }
    }
}

fn about(user: Uuid, actor: Uuid, origin: &Origin) -> About<'_> {
    About {
        user: Some(user),
        actor: Some(actor),
        address: &origin.address,
    }
}

fn wrong_code() -> Status {
    with_reason(
        Code::PermissionDenied,
        "WRONG_MFA_CODE",
        "the code is wrong, or was used before",
    )
}
