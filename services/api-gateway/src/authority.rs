//! What the holder of a token may do: the account's row and its session as they are now, not as they were when the token
//! was issued. user-service is asked for both, and its answer is good for [`GOOD_FOR`], counted from before the question
//! was sent, so that every change is noticed within a second. An account that is busy never waits: its standing is asked
//! for anew while the one at hand is still good. Questions that come together share a call.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use access_token::{Claims, Role};
use chassis::{
    batch::{BatchOptions, Batcher},
    grpc::ClientChannel,
};
use moka::sync::Cache;
use proto::user::{
    GetStandingsRequest, Holder as HolderMessage, Role as RoleMessage, Standing as StandingMessage,
    user_service_client::UserServiceClient,
};
use tokio::time::{Instant, timeout};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::backends::read;

/// How long an answer is good.
const GOOD_FOR: Duration = Duration::from_millis(900);
/// An answer in use that is older is asked for anew, in the background.
const RENEWED_AFTER: Duration = Duration::from_millis(450);
/// An answer is awaited so long, and no longer.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// After a question that had no answer, others wait for none until so much time has passed.
const RESPITE: Duration = Duration::from_millis(200);
/// The most standings that are kept.
const REMEMBERED: u64 = 100_000;
const BATCHES: BatchOptions = BatchOptions {
    name: "standings",
    // user-service answers no more at once.
    max_batch: 500,
    max_queued: 8_192,
    max_in_flight: 4,
    alone_in_place: false,
};

/// Whose standing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Holder {
    /// The account.
    pub user: Uuid,
    /// The session; none in a token of the version before, which is judged by the account alone.
    pub session: Option<Uuid>,
}

impl From<&Claims> for Holder {
    fn from(claims: &Claims) -> Self {
        Self {
            user: claims.sub,
            session: claims.sid,
        }
    }
}

/// What the holder of a token may do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As much as this.
    Active(Role),
    /// As much as a customer: it is an admin's session that lacks the second factor which admins need.
    WithoutSecondFactor,
    /// Nothing: there is no such account, or it is disabled.
    NoAccount,
    /// Nothing: the session has ended.
    SessionEnded,
    /// What the token says: the user-service that was asked is of a version that can't tell.
    AsTheTokenSays,
}

/// user-service can't be asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("user-service can't be asked what the holder of a token may do")]
pub struct Unknown;

type Answer = Result<Standing, Unknown>;

#[derive(Debug)]
struct Remembered {
    answer: Answer,
    /// From before the question was sent.
    since: Instant,
    /// Somebody asks anew.
    renewing: AtomicBool,
}

/// Knows what the holders of tokens may do. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Authority {
    remembered: Cache<Holder, Arc<Remembered>>,
    questions: Batcher<Holder, (Instant, Answer)>,
}

impl Authority {
    /// Asks that user-service; whether admins need a second factor is said here. Must be called within a tokio runtime.
    pub fn new(users: UserServiceClient<ClientChannel>, admins_need_second_factor: bool) -> Self {
        let remembered = Cache::builder()
            .max_capacity(REMEMBERED)
            .time_to_live(GOOD_FOR)
            .build();
        Self {
            remembered,
            questions: Batcher::spawn(BATCHES, move |holders| {
                ask(users.clone(), holders, admins_need_second_factor)
            }),
        }
    }

    /// What a holder may do, as it was at most 900 ms ago.
    pub async fn standing(&self, holder: Holder) -> Result<Standing, Unknown> {
        self.standing_within(holder, GOOD_FOR).await
    }

    /// The same, as it was at most `age` ago.
    pub async fn standing_within(&self, holder: Holder, age: Duration) -> Result<Standing, Unknown> {
        if let Some(remembered) = self.remembered.get(&holder) {
            let passed = remembered.since.elapsed();
            let good_for = remembered.answer.map_or(RESPITE, |_| age);
            if passed < good_for {
                if passed >= RENEWED_AFTER && !remembered.renewing.swap(true, Ordering::Relaxed) {
                    let authority = self.clone();
                    tokio::spawn(async move { authority.ask(holder).await });
                }
                return remembered.answer;
            }
        }
        self.ask(holder).await
    }

    /// Forgets what was known of a holder: it has just changed.
    pub fn forget(&self, holder: Holder) {
        self.remembered.invalidate(&holder);
    }

    async fn ask(&self, holder: Holder) -> Answer {
        let began = Instant::now();
        let answered = timeout(PATIENCE, self.questions.submit(holder)).await;
        let (since, answer) = match answered {
            Ok(Ok(answered)) => answered,
            // Too many wait, or it takes too long.
            Ok(Err(_)) | Err(_) => (Instant::now(), Err(Unknown)),
        };
        // The answer to a question that was sent later stands, and no failure takes the place of an answer that is good.
        let newer = self.remembered.get(&holder).filter(|known| {
            known.answer.is_ok()
                && known.since.elapsed() < GOOD_FOR
                && (answer.is_err() || known.since > since)
        });
        if let Some(newer) = newer {
            newer.renewing.store(false, Ordering::Relaxed);
            return if newer.since >= began {
                newer.answer
            } else {
                answer
            };
        }
        let remembered = Remembered {
            answer,
            since,
            renewing: AtomicBool::new(false),
        };
        self.remembered.insert(holder, Arc::new(remembered));
        answer
    }
}

/// One call for all of them, each once.
async fn ask(
    users: UserServiceClient<ClientChannel>,
    holders: Vec<Holder>,
    admins_need_second_factor: bool,
) -> Vec<(Instant, Answer)> {
    let since = Instant::now();
    let mut places = HashMap::new();
    let mut asked = Vec::new();
    for holder in &holders {
        places.entry(*holder).or_insert_with(|| {
            asked.push(HolderMessage {
                user_id: holder.user.to_string(),
                session_id: holder.session.map(|session| session.to_string()),
            });
            asked.len() - 1
        });
    }
    let expected = asked.len();
    let request = GetStandingsRequest { holders: asked };
    let answered = timeout(
        PATIENCE,
        read(&users, request, |mut users, request| async move {
            users.get_standings(request).await
        }),
    );
    let answers: Vec<Answer> = match answered.await {
        Ok(Ok(answer)) if answer.standings.len() == expected => answer
            .standings
            .into_iter()
            .map(|standing| Ok(Standing::of(standing, admins_need_second_factor)))
            .collect(),
        Ok(Err(status)) if status.code() == Code::Unimplemented => {
            // It knows of no second factor either.
            let standing = if admins_need_second_factor {
                Standing::WithoutSecondFactor
            } else {
                Standing::AsTheTokenSays
            };
            vec![Ok(standing); expected]
        }
        failed => {
            let problem = match failed {
                Ok(Ok(_)) => Status::internal("some standings are missing"),
                Ok(Err(status)) => status,
                Err(_) => Status::deadline_exceeded("no answer in time"),
            };
            tracing::warn!(
                problem = problem.message(),
                "what holders of tokens may do can't be asked for"
            );
            vec![Err(Unknown); expected]
        }
    };
    let answer_of = |holder: &Holder| {
        places
            .get(holder)
            .and_then(|place: &usize| answers.get(*place).copied())
    };
    holders
        .iter()
        .map(|holder| (since, answer_of(holder).unwrap_or(Err(Unknown))))
        .collect()
}

impl Standing {
    fn of(standing: StandingMessage, admins_need_second_factor: bool) -> Self {
        if standing.unknown || standing.disabled {
            return Self::NoAccount;
        }
        if standing.session_ended {
            return Self::SessionEnded;
        }
        match standing.role() {
            RoleMessage::Admin if admins_need_second_factor && !standing.second_factor => {
                Self::WithoutSecondFactor
            }
            RoleMessage::Admin => Self::Active(Role::Admin),
            // What a later version's role may do beyond that, only that version knows.
            RoleMessage::User | RoleMessage::Unspecified => Self::Active(Role::User),
        }
    }
}
