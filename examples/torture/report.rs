//! The table at the end.

use std::fmt;
use std::time::Duration;

use chainspan_testing::torture::Verdict;
use chainspan_testing::torture::scenario::{kills, outage, terms};

/// One line for each figure, and every violation.
#[derive(Debug)]
pub(crate) struct Report {
    lines: Vec<(String, String)>,
    violations: Vec<String>,
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

impl Report {
    pub(crate) fn new(seed: u64) -> Self {
        let mut report = Self { lines: Vec::new(), violations: Vec::new() };
        report.line("seed", seed);
        report
    }

    /// Whether every promise was kept.
    pub(crate) fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    fn line(&mut self, name: &str, value: impl fmt::Display) {
        self.lines.push((name.to_owned(), value.to_string()));
    }

    fn verdict(&mut self, name: &str, verdict: &Verdict) {
        self.line("  spans sent, acknowledged", format_args!("{}, {}", verdict.sent, verdict.acknowledged));
        self.line("  acknowledged and lost", verdict.lost);
        self.line("  not acknowledged, there all the same", verdict.ambiguous);
        let Verdict { repeated, unexplained, widest, .. } = verdict;
        self.line("  sent twice, without a reason", format_args!("{repeated}, {unexplained}"));
        self.line("  widest in-flight window", format_args!("{widest} ms"));
        self.line("  requests not acknowledged", format_args!("{:?}", verdict.refused));
        self.violations.extend(verdict.violations.iter().map(|violation| format!("{name}: {violation}")));
    }

    pub(crate) fn kills(&mut self, report: &kills::Report, took: Duration) {
        let kills::Report { verdict, during_recovery, under_load, scrapes, most_spilled, drain } = report;
        self.line("kill -9", format_args!("{} in {:.0} s", during_recovery + under_load, took.as_secs_f64()));
        self.line("  under load, during recovery", format_args!("{under_load}, {during_recovery}"));
        self.verdict("kill -9", verdict);
        self.line("  looks at /status", scrapes);
        self.line("  most spans seen in the store", most_spilled);
        self.line("  drain at the end", format_args!("{:.2} s", drain.as_secs_f64()));
    }

    pub(crate) fn terms(&mut self, cycles: u32, report: &terms::Report, took: Duration) {
        let terms::Report { verdict, slowest, scrapes, backlog, drain } = report;
        self.line("SIGTERM, agent down", format_args!("{cycles} in {:.0} s", took.as_secs_f64()));
        self.line(
            "  slowest drain",
            format_args!("{:.2} s of {:.0} s", slowest.as_secs_f64(), terms::DEADLINE.as_secs_f64()),
        );
        self.verdict("SIGTERM", verdict);
        self.line("  looks at /status", scrapes);
        self.line("  backlog, and its drain", format_args!("{backlog} spans, {:.2} s", drain.as_secs_f64()));
    }

    pub(crate) fn outage(&mut self, plan: &outage::Plan, report: &outage::Report) {
        let seconds = plan.outage.as_secs_f64();
        self.line("outage", format_args!("{seconds:.0} s at {} spans/s", plan.rate));
        self.line("  acknowledged meanwhile", format_args!("{:.0} spans/s", report.acknowledged as f64 / seconds));
        self.line("  backlog at its end", format_args!("{} spans", report.backlog));
        let drain = report.drain.as_secs_f64();
        self.line("  drained beside live traffic in", format_args!("{drain:.1} s, {:.0} spans/s", report.drain_rate()));
        let (early, late) = report.growth();
        let most = report.resident.iter().copied().max().unwrap_or(0);
        let figures = format_args!("{:.1}, {:.1}, {:.1} MiB", mib(early), mib(late), mib(most));
        self.line("  resident: first fifth, last tenth, most", figures);
        self.verdict("outage", &report.verdict);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.lines {
            writeln!(f, "{name:<42}{value}")?;
        }
        for violation in &self.violations {
            writeln!(f, "VIOLATION: {violation}")?;
        }
        let end = if self.is_clean() { "nothing acknowledged is lost" } else { "a promise was not kept" };
        writeln!(f, "{end}")
    }
}
