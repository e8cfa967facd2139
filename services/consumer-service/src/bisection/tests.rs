#![allow(clippy::unwrap_used)]
use std::{
    ops::Range,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use futures::future::join_all;

use super::*;

impl Traced for u32 {
    fn trace(&self) -> Option<&TraceContext> {
        None
    }

    fn untraced(self) -> Self {
        self
    }
}

/// So many times as fast as the real limits.
const SPEED: u32 = 20;
/// What is given up is so within 30 seconds by the real limits. Twice that, for a machine that is busy.
const IN_TIME: Duration = Duration::from_millis(2 * 30_000 / SPEED as u64);

fn limits() -> Limits {
    let Limits {
        pauses,
        whole,
        part,
        suspicion,
        patience,
    } = Limits::default();
    Limits {
        pauses: *pauses.start() / SPEED..=*pauses.end() / SPEED,
        whole: whole / SPEED,
        part: part / SPEED,
        suspicion: suspicion / SPEED,
        patience: patience / SPEED,
    }
}

struct Asked {
    answers: Answers<u32>,
    /// How many items each call had, without those of the control.
    sizes: Vec<usize>,
    took: Duration,
}

/// Asks for these numbers at a back end that answers so, having answered the control before where there is one.
async fn ask<F>(
    numbers: Range<u32>,
    control: Option<u32>,
    is_well: impl Fn() -> bool,
    answer: impl Fn(Vec<u32>) -> F,
) -> Asked
where
    F: Future<Output = Result<Vec<u32>, Status>>,
{
    let (limits, sizes) = (limits(), Mutex::new(Vec::new()));
    let kept = Control(Mutex::new(control));
    let items: Vec<_> = numbers
        .map(|request| Item {
            request,
            messages: Vec::new(),
        })
        .collect();
    let question = Question {
        what: "test",
        limits: &limits,
        control: &kept,
        call: |numbers: Vec<u32>, deadline| {
            if Some(numbers[0]) != control {
                sizes.lock().unwrap().push(numbers.len());
            }
            let answer = answer(numbers);
            async move {
                let late = |_| Err(Status::deadline_exceeded("late"));
                tokio::time::timeout(deadline, answer).await.unwrap_or_else(late)
            }
        },
        is_well: || std::future::ready(is_well()),
    };
    let began = Instant::now();
    let answers = question.ask(&items).await;
    Asked {
        answers,
        sizes: sizes.into_inner().unwrap(),
        took: began.elapsed(),
    }
}

/// Refuses whatever has one of these numbers in it.
fn unless(poison: &[u32], status: Status, numbers: Vec<u32>) -> std::future::Ready<Result<Vec<u32>, Status>> {
    std::future::ready(if numbers.iter().any(|number| poison.contains(number)) {
        Err(status)
    } else {
        Ok(numbers)
    })
}

fn poison_is_found(asked: &Asked, poison: &[u32]) {
    for (number, answer) in (0..).zip(&asked.answers) {
        assert_eq!(answer.is_err(), poison.contains(&number), "{number}: {answer:?}");
        assert!(answer.as_ref().is_ok_and(|answer| *answer == number) || answer.is_err());
    }
    assert!(asked.took < IN_TIME, "{:?}", asked.took);
}

#[tokio::test]
async fn one_refused_item_is_found_at_once_and_the_others_are_answered_in_order() {
    let answer = |numbers| unless(&[5], Status::invalid_argument("five"), numbers);
    let asked = ask(0..8, None, || true, answer).await;
    poison_is_found(&asked, &[5]);
    assert_eq!(asked.answers[5], Err("InvalidArgument: five".to_owned()));
    assert_eq!(asked.sizes, [8, 4, 4, 2, 2, 1, 1]);
}

#[tokio::test]
async fn an_item_that_fails_alone_is_found_whatever_the_status() {
    let find = |(code, control)| async move {
        let answer = |numbers| unless(&[0, 77, 78], Status::new(code, "poison"), numbers);
        let asked = ask(0..200, control, || true, answer).await;
        poison_is_found(&asked, &[0, 77, 78]);
        assert_eq!(asked.answers[77], Err(format!("{code:?}: poison")));
    };
    let codes = (1..17).map(Code::from_i32);
    join_all(
        codes
            .flat_map(|code| [(code, None), (code, Some(1_000))])
            .map(find),
    )
    .await;
}

#[tokio::test]
async fn items_that_take_forever_are_found_in_time() {
    let answer = |numbers: Vec<u32>| async move {
        if numbers.iter().any(|number| [3, 400, 999].contains(number)) {
            std::future::pending::<()>().await;
        }
        Ok(numbers)
    };
    let asked = ask(0..1_000, None, || true, answer).await;
    poison_is_found(&asked, &[3, 400, 999]);
}

#[tokio::test]
async fn an_item_that_is_all_there_is_is_given_up_in_time_with_and_without_a_control() {
    let find = |(code, control): (Code, Option<u32>)| async move {
        let answer = |numbers| unless(&[0], Status::new(code, "poison"), numbers);
        let asked = ask(0..1, control, || true, answer).await;
        poison_is_found(&asked, &[0]);
        let least = match control {
            Some(_) => limits().suspicion,
            None => limits().patience,
        };
        assert!(asked.took >= least, "{:?}", asked.took);
    };
    let codes = [Code::Unknown, Code::Internal, Code::Unavailable];
    join_all(
        codes
            .into_iter()
            .flat_map(|code| [(code, None), (code, Some(1_000))])
            .map(find),
    )
    .await;
}

#[tokio::test]
async fn a_back_end_that_is_not_well_is_waited_for_without_halving() {
    let down = AtomicBool::new(true);
    let answer = |numbers| {
        let down = down.load(Ordering::SeqCst);
        async move {
            if down {
                Err(Status::unavailable("down"))
            } else {
                Ok(numbers)
            }
        }
    };
    // Said by its health, and by the control.
    for control in [None, Some(1_000)] {
        down.store(true, Ordering::SeqCst);
        let is_well = || !down.load(Ordering::SeqCst);
        let (asked, ()) = tokio::join!(ask(0..3, control, is_well, answer), async {
            tokio::time::sleep(limits().patience * 4).await;
            down.store(false, Ordering::SeqCst);
        });
        assert_eq!(asked.answers, [Ok(0), Ok(1), Ok(2)]);
        assert_eq!(asked.sizes, [3, 3]);
    }
}

#[tokio::test]
async fn a_back_end_that_fails_for_everybody_costs_nothing_once_something_was_answered() {
    let broken = AtomicBool::new(true);
    let answer = |numbers| {
        let broken = broken.load(Ordering::SeqCst);
        async move {
            if broken {
                Err(Status::internal("bug"))
            } else {
                Ok(numbers)
            }
        }
    };
    let (asked, ()) = tokio::join!(ask(0..1, Some(1_000), || true, answer), async {
        tokio::time::sleep(limits().patience * 4).await;
        broken.store(false, Ordering::SeqCst);
    });
    assert_eq!(asked.answers, [Ok(0)]);
}

#[tokio::test]
async fn an_item_that_takes_the_back_end_down_is_given_up_in_the_end() {
    let down = AtomicBool::new(false);
    let answer = |numbers: Vec<u32>| {
        let is_down = down.load(Ordering::SeqCst);
        // Up again a moment later.
        down.store(numbers == [0], Ordering::SeqCst);
        async move {
            if is_down || numbers == [0] {
                Err(Status::unavailable("reset"))
            } else {
                Ok(numbers)
            }
        }
    };
    let asked = ask(0..1, Some(1_000), || true, answer).await;
    assert_eq!(asked.answers, [Err("Unavailable: reset".to_owned())]);
}

#[tokio::test]
async fn one_unwell_replica_of_two_gives_no_item_up() {
    let turn = AtomicUsize::new(0);
    let answer = |numbers| {
        let is_unwell = turn.fetch_add(1, Ordering::SeqCst).is_multiple_of(2);
        async move {
            if is_unwell {
                Err(Status::unavailable("hung"))
            } else {
                Ok(numbers)
            }
        }
    };
    let asked = ask(0..1, Some(1_000), || true, answer).await;
    assert_eq!(asked.answers, [Ok(0)]);
}

#[tokio::test]
async fn nothing_is_asked_for_nothing() {
    let asked = ask(0..0, None, || true, |numbers| async { Ok(numbers) }).await;
    assert!(asked.answers.is_empty() && asked.sizes.is_empty());
}
