//! The text exposition format, read just far enough to ask for a value.

use std::collections::HashMap;

/// One scrape.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// As scraped.
    pub text: String,
    samples: Vec<(String, HashMap<String, String>, f64)>,
}

impl Metrics {
    /// Reads a scrape; a line that is neither comment nor sample fails the test.
    pub fn parse(text: String) -> Self {
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let samples = lines.map(sample).collect();
        Self { text, samples }
    }

    /// The sum of every sample of `name` whose labels hold all of `labels`; 0 when there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let holds = |found: &HashMap<String, String>| {
            labels
                .iter()
                .all(|(label, value)| found.get(*label).is_some_and(|other| other == value))
        };
        let samples = self
            .samples
            .iter()
            .filter(|(other, found, _)| other == name && holds(found));
        samples.map(|(_, _, value)| value).sum()
    }

    /// True when a sample of `name` is there.
    pub fn has(&self, name: &str) -> bool {
        self.samples.iter().any(|(other, ..)| other == name)
    }

    /// How many samples there are in all.
    pub fn count(&self) -> usize {
        self.samples.len()
    }
}

fn sample(line: &str) -> (String, HashMap<String, String>, f64) {
    let (series, value) = line.rsplit_once(' ').expect("a sample line");
    let value = value.parse().expect("a sample's value");
    let Some((name, labels)) = series.split_once('{') else {
        return (series.to_owned(), HashMap::new(), value);
    };
    let mut rest = labels.strip_suffix('}').expect("closed labels");
    let mut found = HashMap::new();
    while let Some((label, after)) = rest.split_once("=\"") {
        let end = after.find('"').expect("a closed label value"); // no value of ours holds a quote
        found.insert(label.trim_start_matches(',').to_owned(), after[..end].to_owned());
        rest = &after[end + 1..];
    }
    (name.to_owned(), found, value)
}
