//! Whether the database can do its work: asked about twice a second on a session of its own, which no other work
//! delays. What is learnt here decides which sessions of the pool are still good, and it is what readiness tells.

use std::{
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    error::has_no_room,
    session::{Incarnation, bounded, is_read_only, is_writable, open},
};
use sqlx::{PgConnection, postgres::PgConnectOptions};
use tokio::{
    select,
    sync::{Notify, watch},
    time::{Instant, sleep, timeout, timeout_at},
};

/// Between two looks while all is well.
const INTERVAL: Duration = Duration::from_millis(500);
/// Between two looks that are asked for.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(50);
/// An answer that takes longer makes us knock at the door anew.
const PATIENCE: Duration = Duration::from_secs(1);
/// After this much more nobody waits for the server any longer.
const GIVE_UP: Duration = Duration::from_secs(2);
/// For one attempt to reach a server that was away.
const CONNECT_BOUND: Duration = Duration::from_secs(3);
/// Between attempts to reach a server that is away: first, and at most. It grows no further, because the promise is to
/// be back two seconds after the server.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));
/// How long readiness waits for an answer.
const ASK_BOUND: Duration = Duration::from_millis(1900);

/// By what a session is told from those that are no good any more.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// When it was begun to be opened.
    pub(super) opened: Instant,
    /// Whose session it is.
    pub(super) incarnation: Incarnation,
}

#[derive(Debug)]
struct State {
    problem: Option<&'static str>,
    /// When the last look began.
    asked: Instant,
    /// Sessions that are older must not be used for anything new.
    retired_before: Instant,
    /// And of those that are older than this one no answer will come.
    lost_before: Instant,
    /// What another one took the place of last.
    gone: Option<Incarnation>,
}

impl State {
    fn is_lost(&self, session: &Origin) -> bool {
        session.opened < self.lost_before || self.gone.as_ref() == Some(&session.incarnation)
    }

    fn is_retired(&self, session: &Origin) -> bool {
        session.opened < self.retired_before || self.is_lost(session)
    }
}

#[derive(Debug)]
struct Shared {
    state: watch::Sender<State>,
    doubt: Notify,
    doubt_writable: AtomicBool,
}

/// What is known of the database. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Watch(Arc<Shared>);

impl Watch {
    /// Of a database that has just been seen.
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self(Arc::new(Shared {
            state: watch::Sender::new(State {
                problem: None,
                asked: now,
                retired_before: now,
                lost_before: now,
                gone: None,
            }),
            doubt: Notify::new(),
            doubt_writable: AtomicBool::new(false),
        }))
    }

    /// Whether a session must not be used for anything new.
    pub(super) fn is_retired(&self, session: &Origin) -> bool {
        self.0.state.borrow().is_retired(session)
    }

    /// Ends when nothing will come of a statement that still waits on this session.
    pub(super) async fn lost(&self, session: &Origin) {
        let mut states = self.0.state.subscribe();
        // The sender lives as long as `self`.
        let _ = states.wait_for(|state| state.is_lost(session)).await;
    }

    pub(super) fn problem(&self) -> Option<&'static str> {
        self.0.state.borrow().problem
    }

    /// Waits until the database can do its work, as far as is known.
    pub(super) async fn available(&self, deadline: Instant) -> sqlx::Result<()> {
        if self.problem().is_none() {
            return Ok(());
        }
        let mut states = self.0.state.subscribe();
        let available = states.wait_for(|state| state.problem.is_none());
        match timeout_at(deadline, available).await {
            Ok(_) => Ok(()),
            Err(_) => Err(self.unavailable()),
        }
    }

    /// Why there is no session.
    pub(super) fn unavailable(&self) -> sqlx::Error {
        let problem = self.problem().unwrap_or("the database does not answer");
        io::Error::new(io::ErrorKind::NotConnected, problem).into()
    }

    /// Somebody found the database not to answer: it is looked at once.
    pub(super) fn doubt(&self) {
        self.0.doubt.notify_one();
    }

    /// Somebody found the database read-only: it is looked at once, by a new session, because an old one may not tell.
    pub(super) fn doubt_writable(&self) {
        self.0.doubt_writable.store(true, Ordering::Relaxed);
        self.doubt();
    }

    /// Looks now. An error says in words what is amiss.
    pub(super) async fn ask(&self) -> Result<(), String> {
        let now = Instant::now();
        let mut states = self.0.state.subscribe();
        self.doubt();
        let looked = states.wait_for(|state| state.asked >= now);
        match timeout(ASK_BOUND, looked).await {
            Ok(Ok(state)) => state.problem.map_or(Ok(()), |problem| Err(problem.to_owned())),
            // What was known before holds until more is known.
            _ => self.problem().map_or(Ok(()), |problem| Err(problem.to_owned())),
        }
    }

    /// Nothing new is begun on the sessions that there are; what is at work goes on.
    pub(super) fn retire(&self) {
        let now = Instant::now();
        self.0.state.send_modify(|state| state.retired_before = now);
    }

    /// What waits for an answer on sessions that are older waits no longer.
    fn lose_before(&self, time: Instant) {
        self.0.state.send_modify(|state| state.lost_before = time);
    }

    /// No session of that one will answer any more.
    fn lose(&self, gone: Incarnation) {
        self.0.state.send_modify(|state| state.gone = Some(gone));
    }

    fn tell(&self, asked: Instant, problem: Option<&'static str>) {
        self.0.state.send_modify(|state| {
            if state.problem != problem {
                if let Some(problem) = problem {
                    tracing::warn!(problem, "the database can't do its work");
                } else {
                    tracing::info!("the database does its work again");
                }
            }
            state.problem = problem;
            state.asked = asked;
        });
    }
}

/// Keeps a [`Watch`] up to date.
#[derive(Debug)]
pub(super) struct Watcher {
    watch: Watch,
    options: watch::Receiver<PgConnectOptions>,
    session: Option<PgConnection>,
    incarnation: Option<Incarnation>,
    pause: Duration,
}

impl Watcher {
    pub(super) fn new(watch: Watch, options: watch::Receiver<PgConnectOptions>) -> Self {
        Self {
            watch,
            options,
            session: None,
            incarnation: None,
            pause: PAUSES.0,
        }
    }

    /// Looks, and says after each look that it is over.
    pub(super) async fn run(mut self, looked: impl Fn()) {
        loop {
            self.look().await;
            looked();
            if self.session.is_none() {
                sleep(self.pause).await;
                self.pause = (self.pause * 2).min(PAUSES.1);
                continue;
            }
            self.pause = PAUSES.0;
            let begin = Instant::now();
            select! {
                () = sleep(INTERVAL) => {}
                () = self.watch.0.doubt.notified() => tokio::time::sleep_until(begin + SHORTEST_INTERVAL).await,
            }
        }
    }

    async fn look(&mut self) {
        let asked = Instant::now();
        let anew = self.watch.0.doubt_writable.swap(false, Ordering::Relaxed);
        let Some(mut session) = self.session.take().filter(|_| !anew) else {
            let found = bounded(CONNECT_BOUND, open(&self.options)).await;
            return self.found(asked, found);
        };
        let answer = {
            let mut answer = pin!(is_writable(&mut session));
            if let Ok(answer) = timeout(PATIENCE, answer.as_mut()).await {
                Some(answer)
            } else {
                // A server that is only slow answers this before it has let somebody new in. One whose answers can't
                // reach us any more does not, and then nothing comes on the other sessions of before either.
                select! {
                    answer = answer => Some(answer),
                    found = insist(&self.options) => {
                        self.watch.lose_before(asked);
                        self.found(asked, found);
                        return;
                    }
                    () = sleep(GIVE_UP) => None,
                }
            }
        };
        match answer {
            Some(Ok(true)) => {
                self.session = Some(session);
                self.watch.tell(asked, None);
            }
            Some(Ok(false)) => {
                self.watch.retire();
                self.watch.tell(asked, Some("the database is read-only"));
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "the session that watches the database is lost");
                let found = bounded(CONNECT_BOUND, open(&self.options)).await;
                self.found(asked, found);
            }
            None => {
                self.watch.lose_before(Instant::now());
                self.watch.tell(asked, Some("the database does not answer"));
            }
        }
    }

    /// What has come of an attempt to get a new session.
    fn found(&mut self, asked: Instant, found: sqlx::Result<(PgConnection, Incarnation)>) {
        match found {
            Ok((session, incarnation)) => {
                // Another server, or the same after a restart: nobody will answer what the last one was asked.
                if let Some(gone) = self.incarnation.replace(incarnation.clone())
                    && gone != incarnation
                {
                    self.watch.lose(gone);
                }
                self.session = Some(session);
                self.watch.tell(asked, None);
            }
            // Busy, which is no reason to give up the sessions that there are.
            Err(error) if has_no_room(&error) => self.watch.tell(asked, self.watch.problem()),
            Err(error) => {
                tracing::debug!(%error, "no session to watch the database by");
                self.watch.retire();
                let problem = if is_read_only(&error) {
                    "the database is read-only"
                } else {
                    "the database does not answer"
                };
                self.watch.tell(asked, Some(problem));
            }
        }
    }
}

/// Tries until there is a session.
async fn insist(options: &watch::Receiver<PgConnectOptions>) -> sqlx::Result<(PgConnection, Incarnation)> {
    loop {
        let found = open(options).await;
        if found.is_ok() {
            return found;
        }
        sleep(PAUSES.0).await;
    }
}
