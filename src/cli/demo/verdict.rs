//! The end of the demo: truth and measurement side by side, and whether they are equal.

use chainspan_sim::{self as sim, Agent, MEASURED, Progress, Verification, WindowScope};

use super::screen::{Colour, Screen};
use super::totals::{self, ChainTotals, TotalsByChain};
use crate::cli::format::count;
use crate::cli::table::fit;

/// Compares everything, shows the result, returns whether all is equal. `page` is the last Prometheus page.
pub(super) fn compare(
    screen: &Screen,
    progress: &Progress,
    agent: Option<&Agent>,
    page: &str,
    namespace: &str,
) -> anyhow::Result<bool> {
    let report = progress.report();
    let measured = totals::from_scrape(&sim::parse_exposition(page)?, namespace);
    let (truth, differences, arrived, windows, spans) = progress.with_truth(|truth| {
        let arrived = agent.map(|agent| agent.verify(truth));
        let windows =
            agent.map(|agent| sim::check_windows(&agent.metrics(), truth, namespace, MEASURED, WindowScope::Totals));
        (totals::from_truth(truth), truth.compare(page, namespace), arrived, windows, truth.spans())
    });
    screen.write(&side_by_side(screen, &truth, &measured));
    let mut problems: Vec<String> = differences?.iter().map(ToString::to_string).collect();
    if let Some(arrived) = &arrived {
        problems.extend(span_problems(arrived));
    }
    if let Some(windows) = windows {
        problems.extend(windows.problems.into_iter().map(|problem| format!("metrics at the agent: {problem}")));
    }
    if report.ambiguous > 0 {
        problems.push(format!("{} spans got no certain answer and cannot be compared", count(report.ambiguous)));
    }
    if spans == 0 {
        let why = report.last_error.as_deref().unwrap_or("nothing was sent");
        problems.push(format!("no span was acknowledged: {why}"));
    }
    let spans = count(spans);
    let verdict = match (problems.is_empty(), &arrived) {
        (true, Some(_)) => {
            format!("every one of {spans} spans: tagged, delivered, counted — measurement equals ground truth")
        }
        (true, None) => format!("every one of {spans} spans: acknowledged, counted — measurement equals ground truth"),
        (false, _) => format!("{spans} spans acknowledged: measurement and ground truth differ"),
    };
    screen.closing(&verdict, &problems);
    if report.refused > 0 {
        let refused = count(report.refused);
        eprintln!("{refused} spans were refused and not counted: {}", report.last_error.unwrap_or_default());
    }
    Ok(problems.is_empty())
}

/// What is wrong with the spans at the agent, one sentence each.
fn span_problems(arrived: &Verification) -> Vec<String> {
    let mut problems = Vec::new();
    if arrived.missing > 0 {
        problems.push(format!("{} acknowledged spans never reached the agent", count(arrived.missing)));
    }
    if arrived.mistagged > 0 {
        problems.push(format!("{} spans reached the agent with a wrong chain_id", count(arrived.mistagged)));
    }
    problems.extend(arrived.examples.iter().cloned());
    problems
}

/// Truth and measurement of every chain. Two columns share a heading, which a [`Table`](crate::cli::table::Table) cannot
/// express.
fn side_by_side(screen: &Screen, truth: &TotalsByChain, measured: &TotalsByChain) -> String {
    let nothing = ChainTotals::default();
    let mut chains: TotalsByChain = measured.clone();
    chains.extend(truth.clone());
    let pair = |left: &str, right: &str| format!(" {left:>8} {right:>9}");
    let [mut groups, mut heading] = [fit("", 13), fit("CHAIN", 13)];
    for group in ["OPERATIONS", "FAILURES", "NO QUORUM"] {
        groups += &format!(" {group:>18}");
        heading += &pair("truth", "measured");
    }
    let mut text = format!("\n{}\n{}\n", screen.paint(&groups, Colour::DIM), screen.paint(&heading, Colour::DIM));
    for (chain, _) in totals::ordered(&chains) {
        let (want, have) = (truth.get(chain).unwrap_or(&nothing), measured.get(chain).unwrap_or(&nothing));
        let columns = [
            (want.operations, have.operations),
            (want.failures, have.failures),
            (want.quorum_failures, have.quorum_failures),
        ];
        text += &fit(totals::name(chain), 13);
        for (want, have) in columns {
            text += &pair(&count(want), &count(have));
        }
        let equal = columns.iter().all(|(want, have)| want == have);
        text += &if equal { screen.paint("  equal", Colour::GREEN) } else { screen.paint("  DIFFERS", Colour::RED) };
        text.push('\n');
    }
    text
}
