//! One chapter: orders are placed, something goes wrong, it is put right, the books must balance.

use std::time::{Duration, Instant};

use anyhow::bail;
use e2e::Stack;
use futures::future::join_all;
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::time::sleep;

use crate::{
    faults::World,
    load::{Load, Outcome},
    network::Network,
    reconcile::{Stored, reconcile},
    report::Row,
    schedule::{Chapter, Planned},
    servers::Servers,
};

/// How long after the last healing every order must be answered and final. No promise, only where waiting ends: what
/// is promised of times, the report shows.
pub const BOUND: Duration = Duration::from_mins(1);
/// How long orders are placed after the first one that is answered again.
const AFTERWARDS: Duration = Duration::from_secs(2);
/// Problems that are told in words.
const TOLD: usize = 8;

/// When a fault was there.
#[derive(Clone, Copy, Debug)]
struct Lasted {
    from: Instant,
    until: Instant,
}

/// Plays it. The figures are there whether it goes well or not.
pub async fn play(
    chapter: &Chapter,
    stack: &Stack,
    servers: &Servers,
    network: Option<&Network>,
) -> (Row, anyhow::Result<()>) {
    let mut row = Row {
        chapter: chapter.name.clone(),
        ..Row::default()
    };
    let world = World::new(stack, servers, network);
    let result = tokio::select! {
        error = world.restart_what_ends() => Err(error),
        result = place_and_reconcile(chapter, &world, &mut row) => result,
    };
    row.restarts = world.restarts();
    row.balanced = result.is_ok();
    (row, result)
}

async fn place_and_reconcile(chapter: &Chapter, world: &World<'_>, row: &mut Row) -> anyhow::Result<()> {
    let admin = world.stack.shop().admin().await?;
    let mut load = Load::begin(world.stack.shop(), &admin, chapter.seed).await?;
    let began = Instant::now();
    // Each to its end: what was done is undone, whatever becomes of the other.
    let lasted = join_all(chapter.faults.iter().map(|planned| befall(world, planned))).await;
    let lasted: anyhow::Result<Vec<Lasted>> = lasted.into_iter().collect();
    let (from, healed) = match &lasted {
        Ok(lasted) => (
            lasted.iter().map(|lasted| lasted.from).min().unwrap_or(began),
            lasted.iter().map(|lasted| lasted.until).max().unwrap_or(began),
        ),
        Err(_) => (began, Instant::now()),
    };
    let deadline = healed + BOUND;
    while load.first_answer_after(healed).is_none() && Instant::now() < deadline {
        sleep(Duration::from_millis(20)).await;
    }
    sleep(AFTERWARDS).await;
    let outcome = load.end(deadline).await?;
    let (stored, mut problems) = reconcile(world.stack, &admin, &load, &outcome, deadline).await;
    fill(row, &outcome, &stored, from, healed);

    problems.splice(0..0, broken_promises(&outcome));
    if let Err(error) = lasted {
        problems.insert(0, format!("{error:#}"));
    }
    if problems.is_empty() {
        return Ok(());
    }
    let more = problems.len().saturating_sub(TOLD);
    problems.truncate(TOLD);
    if more > 0 {
        problems.push(format!("and {more} more"));
    }
    bail!("{}", problems.join("\n"))
}

/// Waits, does it, waits, and undoes it, even where it could only half be done.
async fn befall(world: &World<'_>, planned: &Planned) -> anyhow::Result<Lasted> {
    sleep(planned.after).await;
    let from = Instant::now();
    let injected = world.inject(planned.fault).await;
    if injected.is_ok() {
        sleep(planned.hold).await;
    }
    world.heal(planned.fault).await.and(injected)?;
    let until = Instant::now();
    Ok(Lasted { from, until })
}

/// What customers were told that no customer may be told, fault or not.
fn broken_promises(outcome: &Outcome) -> Vec<String> {
    let mut problems = Vec::new();
    let (count, kept) = &outcome.wrong;
    if *count > 0 {
        problems.push(format!(
            "{count} answers are neither success nor \"try again\", for example:"
        ));
        problems.extend(kept.iter().cloned());
    }
    if !outcome.unanswered.is_empty() {
        let (count, first) = (outcome.unanswered.len(), &outcome.unanswered[0]);
        problems.push(format!(
            "{count} orders have no answer {BOUND:?} after all is healed, for example {first}"
        ));
    }
    problems
}

fn fill(row: &mut Row, outcome: &Outcome, stored: &Stored, from: Instant, healed: Instant) {
    let mut answers: Vec<Instant> = outcome.acknowledged.iter().map(|order| order.at).collect();
    answers.sort_unstable();
    row.acknowledged = answers.len();
    row.meanwhile = answers.iter().filter(|at| (from..healed).contains(*at)).count();
    row.again = outcome.again.values().sum();
    row.wrong = outcome.wrong.0;
    row.first_answer = answers.iter().find(|at| **at >= healed).map(|at| *at - healed);
    if row.first_answer.is_none() {
        // The last gap has no end yet.
        answers.push(Instant::now());
    }
    let gaps = answers.windows(2).map(|pair| pair[1] - pair[0]);
    row.longest_gap = gaps.max().unwrap_or_default();
    let count = |status: &str| stored.values().filter(|order| order["status"] == status).count();
    row.rejected_and_cancelled = (count("rejected"), count("cancelled"));
    row.decided = decided(outcome, stored, healed);
}

/// How long an order waited for its decision at most, counted from the healing or from its answer, whichever came later;
/// none if one is not decided.
fn decided(outcome: &Outcome, stored: &Stored, healed: Instant) -> Option<Duration> {
    let (now, clock) = (Instant::now(), OffsetDateTime::now_utc());
    let mut longest = Duration::ZERO;
    for acknowledged in &outcome.acknowledged {
        let order = stored.get(acknowledged.order["id"].as_str()?)?;
        // When a cancelled one was decided is not told any more.
        if order["status"] == "cancelled" {
            continue;
        }
        if order["status"] == "pending" {
            return None;
        }
        let since = clock - (now - acknowledged.at.max(healed));
        let took = time_of(&order["updated_at"])? - since;
        // It may have been decided before.
        longest = longest.max(took.try_into().unwrap_or_default());
    }
    Some(longest)
}

fn time_of(text: &Value) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text.as_str()?, &Rfc3339).ok()
}
