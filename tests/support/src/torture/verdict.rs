//! The end of every scenario: where is each span, and may it be there?

use std::collections::BTreeMap;
use std::fmt;

use super::oracle::{Arrival, Moment, Oracle, Outcome, Repeat, Trouble};

/// What was in flight when something was done to the process or the agent had arrived at most so long before, in
/// milliseconds. A record that was delivered is forgotten by the store a moment later, in the next transaction; the window
/// is what a slow machine may need for that.
pub const WINDOW: Moment = 2_000;

/// A connection may have been made so long, in milliseconds, before the agent accepts it.
pub const ACCEPTED: Moment = 50;

/// What became of all spans.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Spans sent.
    pub sent: u64,
    /// Spans whose request was answered OK.
    pub acknowledged: u64,
    /// Acknowledged spans that the agent has.
    pub delivered: u64,
    /// Acknowledged spans among the dead letters.
    pub dead: u64,
    /// Acknowledged spans that are nowhere.
    pub lost: u64,
    /// Spans that were not acknowledged and are at the agent or kept: their clients would send them again.
    pub ambiguous: u64,
    /// Requests that were not acknowledged, by what their clients heard.
    pub refused: BTreeMap<String, u64>,
    /// Arrivals of spans that had arrived before.
    pub repeated: u64,
    /// Those of them that nothing explains.
    pub unexplained: u64,
    /// The longest time, in milliseconds, between an answered arrival that was repeated and the trouble that explains it.
    pub widest: Moment,
    /// Everything that must not be.
    pub violations: Vec<String>,
}

impl Verdict {
    /// Judges. `dead` are the numbers of the spans in the dead letters.
    pub fn of(oracle: &Oracle, dead: &[u64]) -> Self {
        let mut verdict = Self::default();
        let mut lost = Vec::new();
        let mut both = 0_u64;
        let dead_count = dead.len();
        let dead: std::collections::BTreeSet<u64> = dead.iter().copied().collect();
        let troubles = oracle.troubles();
        oracle.with_arrivals(|arrivals| {
            let has = |number: u64| arrivals.spans.get(number as usize).is_some_and(|arrival| arrival.times > 0);
            for sent in oracle.sent() {
                verdict.sent += u64::from(sent.spans);
                let numbers = sent.first..sent.first + u64::from(sent.spans);
                match sent.outcome {
                    Some(Outcome::Acknowledged) => {
                        verdict.acknowledged += u64::from(sent.spans);
                        for number in numbers {
                            match (has(number), dead.contains(&number)) {
                                (true, false) => verdict.delivered += 1,
                                (false, true) => verdict.dead += 1,
                                (true, true) => both += 1,
                                (false, false) => lost.push(number),
                            }
                        }
                    }
                    Some(Outcome::Failed(code)) => {
                        *verdict.refused.entry(format!("{code:?}")).or_default() += 1;
                        verdict.ambiguous +=
                            numbers.filter(|number| has(*number) || dead.contains(number)).count() as u64;
                    }
                    None => verdict.violations.push(format!("a request never ended: spans from {}", sent.first)),
                }
            }
            if arrivals.strange > 0 {
                verdict.violations.push(format!("{} spans arrived that nobody had sent", arrivals.strange));
            }
            verdict.judge_repeats(&arrivals.repeats, &troubles);
        });
        verdict.lost = lost.len() as u64;
        if let (Some(first), Some(last)) = (lost.first(), lost.last()) {
            verdict.violations.push(format!("{} acknowledged spans are lost: numbers {first} to {last}", lost.len()));
        }
        if both > 0 {
            verdict.violations.push(format!("{both} spans are dead letters although the agent took them"));
        }
        if dead.len() != dead_count {
            verdict.violations.push("a span is in two dead letters".to_owned());
        }
        verdict
    }

    /// A repeat is explained when the agent's OK for the arrival before it did not go out, or when something was done to
    /// the process or to the connections so soon after it that it was in flight.
    fn judge_repeats(&mut self, repeats: &[Repeat], troubles: &[Trouble]) {
        self.repeated = repeats.len() as u64;
        let mut first = None;
        for repeat in repeats.iter().filter(|repeat| repeat.before.answered) {
            let nearest = troubles.iter().filter_map(|trouble| distance(repeat, trouble)).min();
            match nearest {
                Some(distance) if distance <= WINDOW => self.widest = self.widest.max(distance),
                other => {
                    self.unexplained += 1;
                    first.get_or_insert((*repeat, other));
                }
            }
        }
        if let Some((repeat, nearest)) = first {
            self.violations.push(format!(
                "{} spans were sent again without a reason, such as number {}: taken at {} ms and at {} ms, {}",
                self.unexplained,
                repeat.number,
                repeat.before.at,
                repeat.at,
                nearest.map_or("with no trouble in between".into(), |ms| format!("{ms} ms before the next trouble")),
            ));
        }
    }

    /// Fails with everything that must not be.
    pub fn or_bail(self) -> anyhow::Result<Self> {
        anyhow::ensure!(self.violations.is_empty(), "{}\n{self}", self.violations.join("\n"));
        Ok(self)
    }
}

/// How long before `trouble` the arrival was that is repeated; `None`: they have nothing to do with each other. What was on
/// the wire when the process was killed is read a moment later: the agent answers somebody who is not there any more.
fn distance(repeat: &Repeat, trouble: &Trouble) -> Option<Moment> {
    let Arrival { at, opened, .. } = repeat.before;
    if trouble.from > repeat.at {
        None
    } else if at <= trouble.to {
        Some(trouble.from.saturating_sub(at))
    } else {
        (opened <= trouble.from + ACCEPTED).then_some(0)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} spans sent, {} acknowledged: {} at the agent, {} dead letters, {} lost; {} not acknowledged and there all \
             the same; {} repeated, {} without a reason, widest window {} ms; refused requests: {:?}",
            self.sent,
            self.acknowledged,
            self.delivered,
            self.dead,
            self.lost,
            self.ambiguous,
            self.repeated,
            self.unexplained,
            self.widest,
            self.refused,
        )
    }
}
