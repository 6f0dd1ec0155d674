//! The chart: CPU per request of every peer in every scenario that measures it, as horizontal bars.

use plotters::{
    prelude::{DrawingBackend, IntoDrawingArea, Rectangle, SVGBackend, Text},
    style::{BLACK, Color, IntoFont, RGBColor, WHITE},
};

use super::{PeerResult, Report};
use crate::{error::BenchError, peers::Side, scenario::Measure};

/// Each scenario has its own scale, as a mebibyte costs a hundred times what 64 bytes do.
pub(super) fn svg(report: &Report) -> Result<String, BenchError> {
    let mut text = String::new();
    let lines = lines(report);
    let height = TOP + (lines.len() as i32 + 1) * LINE;
    {
        let backend = SVGBackend::with_string(&mut text, (WIDTH as u32, height as u32));
        draw(backend, &lines).map_err(|error| BenchError::Form {
            what: "a chart",
            text: error,
        })?;
    }
    Ok(text)
}

/// One line of the chart.
enum Line {
    Heading(String),
    Bar {
        name: String,
        side: Side,
        label: String,
        /// Of the longest bar of its scenario.
        share: f64,
    },
}

fn lines(report: &Report) -> Vec<Line> {
    let mut lines = Vec::new();
    for result in &report.scenarios {
        if result.scenario.kind.measure() != Measure::CpuMicroseconds {
            continue;
        }
        let spread = |peer: &PeerResult| peer.spread(|sample| sample.measured(Measure::CpuMicroseconds));
        let longest = result
            .peers
            .iter()
            .filter_map(spread)
            .map(|spread| spread.median)
            .fold(0.0, f64::max);
        lines.push(Line::Heading(result.scenario.title.to_owned()));
        lines.extend(result.peers.iter().filter_map(|peer| {
            let spread = spread(peer)?;
            Some(Line::Bar {
                name: peer.name.clone(),
                side: peer.side,
                label: format!("{:.1} ({:.1} to {:.1})", spread.median, spread.min, spread.max),
                share: spread.median / longest,
            })
        }));
    }
    lines
}

fn draw<Backend: DrawingBackend>(backend: Backend, lines: &[Line]) -> Result<(), String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let area = backend.into_drawing_area();
    area.fill(&WHITE).map_err(|error| told(&error))?;
    let title = ("sans-serif", 16).into_font().color(&BLACK);
    let plain = ("sans-serif", 12).into_font().color(&BLACK);
    let write = |words: &str, place: (i32, i32), style: &plotters::style::TextStyle<'_>| {
        area.draw(&Text::new(words.to_owned(), place, style.clone()))
            .map_err(|error| told(&error))
    };
    write(
        "CPU microseconds per request: median (lowest to highest)",
        (MARGIN, MARGIN),
        &title,
    )?;
    for (index, line) in lines.iter().enumerate() {
        let top = TOP + index as i32 * LINE;
        match line {
            Line::Heading(words) => write(words, (MARGIN, top + 2), &title)?,
            Line::Bar {
                name,
                side,
                label,
                share,
            } => {
                write(name, (2 * MARGIN, top + 3), &plain)?;
                let end = BARS + (f64::from(BAR_MAX) * share) as i32;
                let bar = Rectangle::new([(BARS, top + 2), (end, top + LINE - 3)], colour(*side).filled());
                area.draw(&bar).map_err(|error| told(&error))?;
                write(label, (end + MARGIN / 2, top + 3), &plain)?;
            }
        }
    }
    area.present().map_err(|error| told(&error))
}

fn colour(side: Side) -> RGBColor {
    match side {
        Side::Ours => RGBColor(0x1f, 0x77, 0xb4),
        Side::Theirs => RGBColor(0x9a, 0x9a, 0x9a),
        Side::Yardstick => RGBColor(0xd8, 0xd8, 0xd8),
    }
}

/// In pixels.
const WIDTH: i32 = 900;
const LINE: i32 = 20;
const MARGIN: i32 = 12;
const TOP: i32 = 44;
/// Where bars begin, and how long the longest is.
const BARS: i32 = 190;
const BAR_MAX: i32 = 500;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        namespace::Isolation,
        report::{Sample, ScenarioResult, markdown, table},
        scenario::SCENARIOS,
    };

    #[test]
    fn a_report_is_shown_in_every_form() {
        let sample = Sample {
            cpu_us_per_request: Some(12.5),
            requests_per_second: Some(70_000.0),
            ..Sample::default()
        };
        let peer = |name: &str, side, failure: Option<&str>| PeerResult {
            name: name.to_owned(),
            side,
            failure: failure.map(str::to_owned),
            samples: vec![sample.clone()],
        };
        let report = Report {
            date: "2026-01-31".to_owned(),
            machine: BTreeMap::new(),
            isolation: Isolation::Namespace,
            rounds: 1,
            seconds: 1,
            versions: BTreeMap::new(),
            left_out: BTreeMap::from([("envoy".to_owned(), "not here".to_owned())]),
            scenarios: vec![
                ScenarioResult {
                    scenario: SCENARIOS[0],
                    peers: vec![
                        peer("sluice-uring", Side::Ours, None),
                        peer("haproxy", Side::Theirs, None),
                        peer("nginx", Side::Theirs, Some("wrong answers: 3")),
                        peer("yardstick-monoio", Side::Yardstick, None),
                    ],
                    left_out: BTreeMap::from([("yardstick-none".to_owned(), "it has no routes")]),
                    note: Some("fewer connections".to_owned()),
                },
                ScenarioResult {
                    scenario: SCENARIOS[1],
                    peers: vec![peer("envoy", Side::Theirs, Some("nobody answered"))],
                    left_out: BTreeMap::new(),
                    note: None,
                },
            ],
        };
        let chart = svg(&report).unwrap();
        assert!(chart.starts_with("<svg") && chart.contains("sluice-uring") && !chart.contains("nginx"));
        for text in [table(&report), markdown(&report)] {
            for words in [
                "12.5",
                "FAILED: wrong answers: 3",
                "FAILED: nobody answered",
                "1.00 (haproxy)",
                "1.00 (yardstick-monoio)",
                "eft out: yardstick-none: it has no routes",
                "ote: fewer connections",
                "left out: envoy: not here",
            ] {
                assert!(text.contains(words), "{words} in {text}");
            }
        }
    }
}
