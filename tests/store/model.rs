//! Whatever is done in whatever order: the store holds what a model in memory holds, also after it was opened again.

use std::collections::BTreeMap;

use chainspan::otlp::Signal;
use chainspan::store::{Count, Filter, Kept, NewRecord, RecordId, Store};
use proptest::prelude::*;

use crate::support::*;

/// Something to do. Numbers choose among what is there at that moment.
#[derive(Clone, Debug)]
enum Step {
    Put(Vec<NewRecord>),
    Finish(Vec<usize>),
    Replace(usize, Vec<NewRecord>),
    Revive(Option<u64>, usize),
    Purge(Option<u64>, usize),
    Reopen,
}

fn new_record() -> impl Strategy<Value = NewRecord> {
    let length = prop_oneof![3 => 0_usize..300, 1 => 1000_usize..40_000];
    (any::<u64>(), length, 0..3_usize, any::<bool>(), any::<bool>(), 0_u64..50).prop_map(
        |(seed, length, signal, other, dies, received)| NewRecord {
            destination: if other { JAEGER.into() } else { DATADOG.into() },
            signal: Signal::ALL[signal],
            spans: if signal == 0 { u32::try_from(seed % 100).expect("small") } else { 0 },
            received,
            death: dies.then(death),
            ..record(seed % 1000, length)
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let records = || prop::collection::vec(new_record(), 0..4);
    let limit = || prop::option::of(0_u64..4);
    prop_oneof![
        4 => records().prop_map(Step::Put),
        3 => prop::collection::vec(any::<usize>(), 0..4).prop_map(Step::Finish),
        2 => (any::<usize>(), records()).prop_map(|(index, parts)| Step::Replace(index, parts)),
        1 => (limit(), 0..3_usize).prop_map(|(limit, which)| Step::Revive(limit, which)),
        1 => (limit(), 0..3_usize).prop_map(|(limit, which)| Step::Purge(limit, which)),
        1 => Just(Step::Reopen),
    ]
}

#[derive(Default)]
struct Model {
    rows: BTreeMap<RecordId, NewRecord>,
    discarded: BTreeMap<String, Count>,
}

impl Model {
    fn chosen(&self, index: usize) -> Option<RecordId> {
        let waiting: Vec<RecordId> =
            self.rows.iter().filter(|(_, row)| row.death.is_none()).map(|(id, _)| *id).collect();
        (!waiting.is_empty()).then(|| waiting[index % waiting.len()])
    }

    fn means(&self, filter: &Filter) -> Vec<RecordId> {
        let dead = self.rows.iter().filter(|(_, row)| {
            row.death.is_some() && filter.destination.as_deref().is_none_or(|name| *name == *row.destination)
        });
        dead.map(|(id, _)| *id).take(filter.limit.map_or(usize::MAX, |limit| limit as usize)).collect()
    }

    fn sums(&self, ids: &[RecordId]) -> Vec<(String, Count)> {
        let mut sums: BTreeMap<String, Count> = BTreeMap::new();
        for id in ids {
            let row = &self.rows[id];
            add(sums.entry(row.destination.to_string()).or_default(), row);
        }
        sums.into_iter().collect()
    }

    fn kept(&self) -> Vec<(String, Kept)> {
        let mut all: BTreeMap<String, Kept> = BTreeMap::new();
        for row in self.rows.values() {
            let kept = all.entry(row.destination.to_string()).or_default();
            if row.death.is_some() {
                add(&mut kept.dead, row);
            } else {
                add(&mut kept.waiting, row);
                kept.oldest = Some(kept.oldest.map_or(row.received, |oldest| oldest.min(row.received)));
            }
        }
        for (destination, count) in &self.discarded {
            all.entry(destination.clone()).or_default().discarded = *count;
        }
        all.into_iter().filter(|(_, kept)| *kept != Kept::default()).collect()
    }
}

fn add(count: &mut Count, row: &NewRecord) {
    count.records += 1;
    count.bytes += row.body.len() as u64;
    match row.signal {
        Signal::Traces => count.spans += u64::from(row.spans),
        Signal::Metrics | Signal::Logs => count.requests += 1,
    }
}

fn filter(limit: Option<u64>, which: usize) -> Filter {
    let destination = [None, Some(DATADOG.to_owned()), Some(JAEGER.to_owned())][which].clone();
    Filter { limit, destination, ..Filter::default() }
}

fn run(steps: Vec<Step>) {
    let directory = tempfile::tempdir().expect("directory");
    let mut store: Store = open(directory.path());
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Put(records) => {
                let ids = put(&store, records.clone()).expect("kept");
                assert_eq!(ids.len(), records.len());
                model.rows.extend(ids.into_iter().zip(records));
            }
            Step::Finish(chosen) => {
                let ids: Vec<RecordId> = chosen.into_iter().filter_map(|index| model.chosen(index)).collect();
                ids.iter().for_each(|id| drop(model.rows.remove(id)));
                store.finish(ids);
                eventually("it is finished", || store.kept().expect("sums") == model.kept());
            }
            Step::Replace(index, parts) => {
                let Some(id) = model.chosen(index) else { continue };
                let ids = replace(&store, id, parts.clone()).expect("replaced");
                model.rows.remove(&id);
                model.rows.extend(ids.into_iter().zip(parts));
            }
            Step::Revive(limit, which) => {
                let filter = filter(limit, which);
                let ids = model.means(&filter);
                assert_eq!(store.revive(&filter).expect("revived"), model.sums(&ids));
                ids.iter().for_each(|id| model.rows.get_mut(id).expect("it is there").death = None);
            }
            Step::Purge(limit, which) => {
                let filter = filter(limit, which);
                let ids = model.means(&filter);
                let sums = model.sums(&ids);
                assert_eq!(store.purge(&filter).expect("purged"), sums);
                for (destination, count) in sums {
                    let total = model.discarded.entry(destination).or_default();
                    total.records += count.records;
                    total.spans += count.spans;
                    total.requests += count.requests;
                }
                ids.iter().for_each(|id| drop(model.rows.remove(id)));
            }
            Step::Reopen => {
                drop(store);
                store = open(directory.path());
            }
        }
        assert_eq!(store.kept().expect("sums"), model.kept());
    }
    drop(store);
    let store = open(directory.path());
    assert_eq!(store.kept().expect("sums"), model.kept());
    for destination in [DATADOG, JAEGER] {
        for waiting in read_all(&store, destination).0 {
            assert_eq!(waiting.body, model.rows[&waiting.id].body);
        }
    }
    for letter in store.letters(&Filter::default()).expect("letters") {
        let (_, body) = store.letter(letter.id).expect("readable").expect("there");
        assert_eq!(body, model.rows[&letter.id].body);
    }
    assert!(store.status().set_aside.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    /// The sums equal those of the model after every step, and every row is what was put.
    #[test]
    fn the_store_equals_its_model(steps in prop::collection::vec(step(), 1..24)) {
        run(steps);
    }
}
