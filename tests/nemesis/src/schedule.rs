//! What happens, when, and for how long: from a seed and nothing else.

use std::{collections::BTreeSet, ops::Range, time::Duration};

use e2e::{Peer, Service};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

use crate::faults::{ARROWS, Arrow, Fault, Victim};

/// A fault of a chapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// What is done.
    pub fault: Fault,
    /// How long after the first order.
    pub after: Duration,
    /// How long until it is undone.
    pub hold: Duration,
}

/// One or two faults under one load, and the reconciliation after them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chapter {
    /// What the report calls it: its faults' names.
    pub name: String,
    /// The faults, each with its own times.
    pub faults: Vec<Planned>,
    /// What the load's choices follow from.
    pub seed: u64,
}

impl Chapter {
    fn new(faults: &[Fault], random: &mut StdRng) -> Self {
        let names: Vec<String> = faults.iter().map(Fault::name).collect();
        let mut after = between(random, 1_000..2_000);
        let mut plan = |fault: &Fault| {
            let planned = Planned {
                fault: *fault,
                after,
                hold: hold(*fault, random),
            };
            // The next one meets what this one has left undone.
            after += between(random, 500..900);
            planned
        };
        let faults = faults.iter().map(&mut plan).collect();
        Self {
            name: names.join("+"),
            faults,
            seed: random.random(),
        }
    }

    /// From the first order until the last fault is undone.
    pub fn length(&self) -> Duration {
        let ends = self.faults.iter().map(|planned| planned.after + planned.hold);
        ends.max().unwrap_or_default()
    }
}

/// The fixed list of every run: every fault at least once, alone or beside another. The times follow from the seed.
pub fn every_fault_once(seed: u64) -> Vec<Chapter> {
    use Peer::{Postgres, RabbitMq};
    use Service::{Consumer, Gateway, Inventory, Order, Producer, User};
    let service = Peer::Service;
    let (kill, pause) = (Fault::Kill, Fault::Pause);
    let cut = |from, to| Fault::Cut(Arrow { from, to });
    let lose = |from, to| Fault::Lose(Arrow { from, to });
    let read_only = |sessions_end| Fault::ReadOnly { sessions_end };
    let mut random = StdRng::seed_from_u64(seed);
    [
        &[kill(service(Gateway))][..],
        &[kill(service(User))],
        &[kill(service(Inventory))],
        &[kill(service(Order))],
        &[kill(service(Producer))],
        &[kill(service(Consumer))],
        &[kill(Postgres)],
        &[kill(RabbitMq)],
        &[pause(service(Inventory))],
        &[pause(service(Order))],
        &[pause(service(Consumer))],
        &[pause(Postgres)],
        &[pause(RabbitMq)],
        &[read_only(true)],
        // With messages in the queue whose outcomes can't be written for longer than a bug would be put up with.
        &[pause(service(Consumer)), read_only(false)],
        &[cut(Order, Postgres)],
        &[cut(Gateway, service(Order))],
        &[lose(Order, Postgres)],
        &[lose(Inventory, Postgres), lose(Producer, RabbitMq)],
        // Orders are taken all the while; two of these at once cost the time of one.
        &[cut(Producer, RabbitMq), cut(Consumer, service(Inventory))],
        &[kill(Postgres), kill(RabbitMq)],
        &[kill(service(Order)), kill(service(Inventory))],
        &[kill(service(Consumer)), pause(service(User))],
        &[pause(service(Gateway)), pause(service(Producer))],
        &[read_only(false), kill(service(Order))],
    ]
    .iter()
    .map(|faults| Chapter::new(faults, &mut random))
    .collect()
}

/// Chapters of one or two faults each, until their faults alone take that long.
pub fn random(seed: u64, duration: Duration) -> Vec<Chapter> {
    let mut random = StdRng::seed_from_u64(seed);
    let (mut chapters, mut planned) = (Vec::new(), Duration::ZERO);
    while planned < duration {
        let first = any_fault(&mut random);
        let mut faults = vec![first];
        if random.random_bool(0.5) {
            let second = any_fault(&mut random);
            // What is killed can't be paused, and a server that is dead can't be made read-only.
            if first.victim() != second.victim() {
                faults.push(second);
            }
        }
        let chapter = Chapter::new(&faults, &mut random);
        planned += chapter.length();
        chapters.push(chapter);
    }
    chapters
}

/// The fault of that name, or two with a plus between.
pub fn named(seed: u64, names: &str) -> Option<Chapter> {
    let all = Fault::all();
    let find = |name: &str| all.iter().find(|fault| fault.name() == name).copied();
    let faults: Vec<Fault> = names.split('+').map(find).collect::<Option<_>>()?;
    let victims: BTreeSet<Victim> = faults.iter().map(Fault::victim).collect();
    let fits = victims.len() == faults.len();
    fits.then(|| Chapter::new(&faults, &mut StdRng::seed_from_u64(seed)))
}

fn any_fault(random: &mut StdRng) -> Fault {
    // Kinds first: there are more arrows to cut than anything else, and each takes half a minute.
    let kinds = [
        Fault::peers().map(Fault::Kill).to_vec(),
        Fault::peers().map(Fault::Pause).to_vec(),
        [true, false]
            .map(|sessions_end| Fault::ReadOnly { sessions_end })
            .to_vec(),
        ARROWS.map(Fault::Cut).to_vec(),
        ARROWS
            .into_iter()
            .filter(Arrow::can_be_lost)
            .map(Fault::Lose)
            .collect(),
    ];
    let kind = &kinds[random.random_range(0..kinds.len())];
    *kind.choose(random).unwrap_or(&kind[0])
}

fn hold(fault: Fault, random: &mut StdRng) -> Duration {
    match fault {
        Fault::Kill(Peer::Service(_)) => between(random, 200..1_500),
        Fault::Kill(_) => between(random, 1_000..3_000),
        Fault::Pause(_) => between(random, 2_000..4_000),
        Fault::ReadOnly { .. } => between(random, 12_000..14_000),
        // Longer than any deadline of a call, so that nothing is left that merely waits for the network.
        Fault::Cut(_) => Duration::from_secs(30),
        Fault::Lose(_) => between(random, 5_000..8_000),
    }
}

fn between(random: &mut StdRng, milliseconds: Range<u64>) -> Duration {
    Duration::from_millis(random.random_range(milliseconds))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_seed_says_all_and_another_seed_says_something_else() {
        let long = Duration::from_mins(30);
        assert_eq!(every_fault_once(7), every_fault_once(7));
        assert_ne!(every_fault_once(7), every_fault_once(8));
        assert_eq!(random(7, long), random(7, long));
        assert_ne!(random(7, long), random(8, long));
        assert_eq!(named(7, "kill-postgres"), named(7, "kill-postgres"));
    }

    #[test]
    fn a_longer_run_begins_as_a_shorter_one() {
        let (short, long) = (
            random(3, Duration::from_mins(5)),
            random(3, Duration::from_mins(20)),
        );
        assert_eq!(long[..short.len()], short);
        let total: Duration = long.iter().map(Chapter::length).sum();
        assert!(total >= Duration::from_mins(20) && total < Duration::from_mins(21));
    }

    #[test]
    fn the_fixed_list_has_every_process_killed_and_paused_and_has_time_for_it() {
        let chapters = every_fault_once(0);
        let names: BTreeSet<String> = chapters
            .iter()
            .flat_map(|chapter| chapter.faults.iter().map(|planned| planned.fault.name()))
            .collect();
        let wanted = Fault::all().into_iter().filter(|fault| match fault {
            Fault::Cut(arrow) => matches!(
                (arrow.from, arrow.to),
                (Service::Order, Peer::Postgres)
                    | (Service::Gateway, Peer::Service(Service::Order))
                    | (Service::Producer, Peer::RabbitMq)
                    | (Service::Consumer, Peer::Service(Service::Inventory))
            ),
            Fault::Lose(arrow) => matches!(
                (arrow.from, arrow.to),
                (Service::Order | Service::Inventory, Peer::Postgres) | (Service::Producer, Peer::RabbitMq)
            ),
            _ => true,
        });
        let missing: Vec<String> = wanted
            .map(|fault| fault.name())
            .filter(|name| !names.contains(name))
            .collect();
        assert_eq!(missing, Vec::<String>::new());
        assert!(chapters.iter().any(|chapter| chapter.faults.len() == 2));
        for seed in 0..100 {
            let total: Duration = every_fault_once(seed).iter().map(Chapter::length).sum();
            assert!(total < Duration::from_mins(5), "{total:?}");
        }
    }

    #[test]
    fn two_at_once_never_have_one_victim() {
        for chapter in random(1, Duration::from_hours(5)) {
            let victims: BTreeSet<_> = chapter
                .faults
                .iter()
                .map(|planned| planned.fault.victim())
                .collect();
            assert_eq!(victims.len(), chapter.faults.len(), "{}", chapter.name);
        }
    }

    #[test]
    fn every_fault_has_a_name_of_its_own_by_which_it_is_found() {
        let names: BTreeSet<String> = Fault::all().iter().map(Fault::name).collect();
        assert_eq!(names.len(), Fault::all().len());
        for name in names {
            let chapter = named(0, &name);
            assert_eq!(
                chapter.map(|chapter| chapter.name).as_deref(),
                Some(name.as_str())
            );
        }
        let two = named(0, "kill-postgres+read-only");
        assert_eq!(two, None, "one would undo the other");
        let two = named(0, "kill-postgres+kill-rabbitmq").unwrap();
        assert_eq!(two.faults.len(), 2);
        assert_eq!(named(0, "kill"), None);
    }
}
