//! Figures as text: one row a peer with median, lowest and highest, then the ratios.

use std::fmt::Write as _;

use super::{PeerResult, Report, Sample, ScenarioResult, ratio::ratios};
use crate::{namespace::Isolation, scenario::Measure, statistics::Spread};

/// For the terminal.
pub(crate) fn table(report: &Report) -> String {
    let mut text = String::new();
    for result in &report.scenarios {
        _ = writeln!(text, "\n{}: {}", result.scenario.name, result.scenario.title);
        if let Some(note) = &result.note {
            _ = writeln!(text, "  note: {note}");
        }
        align(&mut text, &rows(result));
        align(&mut text, &ratio_rows(result));
        for (name, why) in &result.left_out {
            _ = writeln!(text, "  left out: {name}: {why}");
        }
    }
    if let Some(line) = growth(report) {
        _ = writeln!(text, "\n{line}");
    }
    for (name, why) in &report.left_out {
        _ = writeln!(text, "left out: {name}: {why}");
    }
    text
}

/// For people who were not there.
pub(crate) fn markdown(report: &Report) -> String {
    let mut text = format!(
        "# Side by side, {}\n\n![CPU per request]({}.svg)\n\n",
        report.date, report.date
    );
    let place = match report.isolation {
        Isolation::Namespace => "a fresh network namespace",
        Isolation::Loopback => "the machine's own loopback (namespaces were denied)",
    };
    _ = writeln!(
        text,
        "{} rounds of {} s that take turns, in {place}; the proxy on one core, load and origin on the others. Median \
         (lowest to highest). CPU: user and system, all threads and processes of the proxy, from \
         `/proc/PID/task/*/schedstat`, over the answers.\n",
        report.rounds, report.seconds
    );
    for (name, value) in report.machine.iter().filter(|(_, value)| !value.is_empty()) {
        _ = writeln!(text, "* {name}: {value}");
    }
    for (name, version) in &report.versions {
        _ = writeln!(text, "* {name}: {version}");
    }
    for (name, why) in &report.left_out {
        _ = writeln!(text, "* left out: {name}: {why}");
    }
    for result in &report.scenarios {
        _ = writeln!(
            text,
            "\n## {}\n\n`{}`\n",
            result.scenario.title, result.scenario.name
        );
        if let Some(note) = &result.note {
            _ = writeln!(text, "Note: {note}.\n");
        }
        pipes(&mut text, &rows(result));
        text.push('\n');
        pipes(&mut text, &ratio_rows(result));
        for (name, why) in &result.left_out {
            _ = writeln!(text, "\nLeft out: {name}: {why}.");
        }
    }
    if let Some(line) = growth(report) {
        _ = writeln!(text, "\n{line}");
    }
    text
}

/// The figures of one round in a line.
pub(super) fn line(sample: &Sample) -> String {
    let figures = COLUMNS.iter().filter_map(|column| {
        let value = (column.figure)(sample)?;
        Some(format!("{} {}", (column.show)(value), column.name))
    });
    figures.collect::<Vec<_>>().join(", ")
}

/// One figure of a sample and how it is shown.
struct Column {
    name: &'static str,
    figure: fn(&Sample) -> Option<f64>,
    show: fn(f64) -> String,
}

const COLUMNS: [Column; 9] = [
    Column {
        name: "CPU us/request",
        figure: |sample| sample.cpu_us_per_request,
        show: short,
    },
    Column {
        name: "requests/s",
        figure: |sample| sample.requests_per_second,
        show: short,
    },
    Column {
        name: "CPU us/MiB",
        figure: |sample| sample.cpu_us_per_mebibyte,
        show: short,
    },
    Column {
        name: "MiB/s",
        figure: |sample| sample.mebibytes_per_second,
        show: short,
    },
    Column {
        name: "p50 us",
        figure: |sample| sample.p50_us,
        show: short,
    },
    Column {
        name: "p99 us",
        figure: |sample| sample.p99_us,
        show: short,
    },
    Column {
        name: "p99.9 us",
        figure: |sample| sample.p999_us,
        show: short,
    },
    Column {
        name: "PSS MiB",
        figure: |sample| sample.pss_bytes,
        show: mebibytes,
    },
    Column {
        name: "B/connection",
        figure: |sample| sample.bytes_per_connection,
        show: short,
    },
];

/// Three digits that say something, none that do not.
fn short(value: f64) -> String {
    match value.abs() {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn mebibytes(bytes: f64) -> String {
    short(bytes / f64::from(1 << 20))
}

/// A head and a row for each peer; columns without any figure are left out.
fn rows(result: &ScenarioResult) -> Vec<Vec<String>> {
    let has = |column: &&Column| {
        result
            .peers
            .iter()
            .any(|peer| peer.spread(column.figure).is_some())
    };
    let columns: Vec<&Column> = COLUMNS.iter().filter(has).collect();
    let names = columns.iter().map(|column| column.name.to_owned());
    let mut rows = vec![["peer".to_owned()].into_iter().chain(names).collect::<Vec<_>>()];
    for peer in &result.peers {
        let mut row = vec![peer.name.clone()];
        match &peer.failure {
            Some(failure) => row.push(format!("FAILED: {}", failure.lines().next().unwrap_or(""))),
            None => row.extend(columns.iter().map(|column| cell(peer, column))),
        }
        rows.push(row);
    }
    // Where nobody has a figure there is still the column of failures.
    let width = columns.len().max(1) + 1;
    rows.iter_mut().for_each(|row| row.resize(width, String::new()));
    rows
}

fn cell(peer: &PeerResult, column: &Column) -> String {
    let Some(Spread { median, min, max }) = peer.spread(column.figure) else {
        return String::new();
    };
    let [median, min, max] = [median, min, max].map(column.show);
    if min == max {
        median
    } else {
        format!("{median} ({min} to {max})")
    }
}

fn ratio_rows(result: &ScenarioResult) -> Vec<Vec<String>> {
    let measure = result.scenario.kind.measure();
    let ratios = ratios(&result.peers, measure);
    if ratios.is_empty() {
        return Vec::new();
    }
    let plain = |ratio: Option<f64>| ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"));
    let named = |ratio: Option<(String, f64)>| {
        ratio.map_or(String::new(), |(name, ratio)| format!("{ratio:.2} ({name})"))
    };
    let head = [
        measure.unit(),
        "beside Envoy",
        "beside HAProxy",
        "beside the best peer",
        "beside the best yardstick",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(ratios.into_iter().map(|ratio| {
        vec![
            ratio.ours,
            plain(ratio.envoy),
            plain(ratio.haproxy),
            named(ratio.best_other),
            named(ratio.best_yardstick),
        ]
    }));
    rows
}

/// What 10,000 routes cost each peer beside 10, where both were measured.
fn growth(report: &Report) -> Option<String> {
    let find = |name: &str| {
        report
            .scenarios
            .iter()
            .find(|result| result.scenario.name == name)
    };
    let (few, many) = (find("routes-10")?, find("routes-10000")?);
    let median = |result: &ScenarioResult, name: &str| {
        let peer = result.peers.iter().find(|peer| peer.name == name)?;
        Some(
            peer.spread(|sample| sample.measured(Measure::CpuMicroseconds))?
                .median,
        )
    };
    let ratios = many.peers.iter().filter_map(|peer| {
        let ratio = median(many, &peer.name)? / median(few, &peer.name)?;
        Some(format!("{} {ratio:.2}", peer.name))
    });
    Some(format!(
        "CPU per request with 10,000 routes beside 10: {}.",
        ratios.collect::<Vec<_>>().join(", ")
    ))
}

fn align(text: &mut String, rows: &[Vec<String>]) {
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter()
                .filter(|row| !row[1].starts_with("FAILED"))
                .map(|row| row[column].len())
                .max()
        })
        .map(Option::unwrap_or_default)
        .collect();
    for row in rows {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        _ = writeln!(text, "  {}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

fn pipes(text: &mut String, rows: &[Vec<String>]) {
    for (index, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        _ = writeln!(text, "| {} |", cells.join(" | "));
        if index == 0 {
            _ = writeln!(text, "|{}", "---|".repeat(row.len()));
        }
    }
}
