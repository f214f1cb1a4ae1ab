use super::*;
use crate::figure;

fn report(wharf: f64) -> Report {
    let launch = figure::sample(Comparison::Difference, 200.0, wharf, Some(15.0));
    let rate = Figure {
        name: "calls",
        unit: Unit::CallsPerSecond,
        direct: Some(30_000.0),
        ..figure::sample(Comparison::Ratio, 20_000.0, 10_000.0, None)
    };
    Report {
        began: "2026-01-02T03:04:05Z".parse().unwrap(),
        machine: Machine {
            cores: 2,
            model: "Processor".to_owned(),
            kernel: "6.1".to_owned(),
            memory: 3 << 29,
            busy_percent: 4.4,
        },
        browser: "Chrome/1".to_owned(),
        wharf: "wharf 0".to_owned(),
        figures: vec![launch, rate],
    }
}

#[test]
fn the_table_is_aligned_and_names_its_machine() {
    let expected = "\
2026-01-02 03:04 UTC  wharf 0, Chrome/1
2 cores of Processor, 1.5 GiB, Linux 6.1, 4 % busy before the run

figure  unit      n  direct  limit  Wharf  compared    target  verdict
----------------------------------------------------------------------
launch  ms       20       -  200.0  210.0     +10.0  <= +15.0  met
calls   calls/s  20   30000  20000  10000   0.500 x         -  -
";
    assert_eq!(report(210.0).table(false), expected);
}

#[test]
fn a_miss_is_told_in_words_and_colour_changes_no_column() {
    let report = report(216.0);
    let plain = report.table(false);
    assert!(plain.contains("<= +15.0  MISSED\n"), "{plain}");
    assert!(!plain.contains('\u{1b}'), "{plain}");

    let coloured = report.table(true);
    assert!(coloured.contains(RED) && !coloured.contains(GREEN), "{coloured}");
    assert_eq!(coloured.replace(RED, "").replace(PLAIN, ""), plain);
}

#[test]
fn a_busy_machine_is_warned_of() {
    let mut report = report(210.0);
    assert!(!report.table(false).contains("repeat"));
    report.machine.busy_percent = 60.0;
    assert!(report.table(false).contains("repeat this when it is idle"));
}

#[test]
fn one_miss_is_enough() {
    assert!(!report(215.0).misses());
    assert!(report(216.0).misses());
}

#[test]
fn the_json_holds_what_the_table_rounds() {
    let json: serde_json::Value = serde_json::from_str(&report(216.25).json().unwrap()).unwrap();
    assert_eq!(json["machine"]["memory"], 3 << 29);
    assert_eq!(json["began"], "2026-01-02T03:04:05+00:00");
    let expected = serde_json::json!({
        "figure": "launch", "unit": "ms", "samples": 20, "direct": null, "limit": 200.0, "wharf": 216.25,
        "comparison": "difference", "compared": 16.25, "atMost": 15.0, "verdict": "missed",
    });
    assert_eq!(json["figures"][0], expected);
    assert_eq!(json["figures"][1]["verdict"], "none");
}
