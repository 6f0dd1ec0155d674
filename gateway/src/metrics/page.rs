//! Families of one page of metrics, line by line.
//!
//! Owns the encoding of labels and values. Refuses to know any metric by name.
//!
//! prometheus-client writes OpenMetrics, whose `# TYPE` lines leave out `_total` and `_info`. Prometheus' own text
//! format 0.0.4, which every scraper and `promtool check metrics` read, names the sample itself. So families are
//! described under their full name and their samples written by the encoder of gauges, which adds no suffix.

use std::fmt;

use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeGaugeValue, NoLabelSet},
    metrics::MetricType,
};

use super::{BUCKET_MICROSECONDS, Counter, Gauge, Histogram, PerWorker, registry::Table};

/// Label names and values.
pub(super) type Labels<'a> = Vec<(&'static str, &'a str)>;

/// Writes one family after the other.
pub(super) struct Page<'a>(pub(super) DescriptorEncoder<'a>);

impl Page<'_> {
    pub(super) fn counters<'l>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (Labels<'l>, u64)>,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Counter, rows)
    }

    pub(super) fn gauges<'l>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (Labels<'l>, i64)>,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Gauge, rows)
    }

    fn family<'l, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        rows: impl IntoIterator<Item = (Labels<'l>, V)>,
    ) -> fmt::Result {
        let mut rows = rows.into_iter().peekable();
        if rows.peek().is_none() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in rows {
            if labels.is_empty() {
                family.encode_gauge(&value)?;
            } else {
                family.encode_family(&labels)?.encode_gauge(&value)?;
            }
        }
        Ok(())
    }

    pub(super) fn histograms<'l>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (Labels<'l>, Spread)>,
    ) -> fmt::Result {
        let mut rows = rows.into_iter().peekable();
        if rows.peek().is_none() {
            return Ok(());
        }
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, Spread { buckets, nanoseconds }) in rows {
            let count = buckets.iter().map(|(_, count)| count).sum();
            family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
                seconds(nanoseconds),
                count,
                &buckets,
                None,
            )?;
        }
        Ok(())
    }
}

/// A histogram, summed over the workers.
pub(super) struct Spread {
    /// Upper bounds in seconds, and how many were above the bound before.
    buckets: Vec<(f64, u64)>,
    nanoseconds: u64,
}

impl Spread {
    pub(super) fn of<T>(series: &PerWorker<T>, pick: impl Fn(&T) -> &Histogram) -> Self {
        let count = |index: usize| sum(series, |metrics| &pick(metrics).buckets[index]);
        Self {
            buckets: (0..=BUCKET_MICROSECONDS.len())
                .map(|index| (bound_seconds(index), count(index)))
                .collect(),
            nanoseconds: sum(series, |metrics| &pick(metrics).sum_nanoseconds),
        }
    }
}

/// Histograms of a table whose only label is a name.
pub(super) fn spreads<'t, T: Default>(
    table: &'t Table<1, T>,
    label: &'static str,
    pick: fn(&T) -> &Histogram,
) -> impl Iterator<Item = (Labels<'t>, Spread)> {
    table
        .iter()
        .map(move |([name], series)| (vec![(label, name.as_str())], Spread::of(series, pick)))
}

/// Rows of a table whose only label is a name.
pub(super) fn by_name<'t, T: Default>(
    table: &'t Table<1, T>,
    label: &'static str,
    pick: fn(&T) -> &Counter,
) -> impl Iterator<Item = (Labels<'t>, u64)> {
    table
        .iter()
        .map(move |([name], series)| (vec![(label, name.as_str())], sum(series, pick)))
}

pub(super) fn levels<'t, T: Default>(
    table: &'t Table<1, T>,
    label: &'static str,
    pick: fn(&T) -> &Gauge,
) -> impl Iterator<Item = (Labels<'t>, i64)> {
    table.iter().map(move |([name], series)| {
        (
            vec![(label, name.as_str())],
            series.iter().map(|worker| pick(worker).get()).sum(),
        )
    })
}

pub(super) fn sum<T>(series: &PerWorker<T>, pick: impl Fn(&T) -> &Counter) -> u64 {
    series.iter().map(|worker| pick(worker).get()).sum()
}

fn bound_seconds(index: usize) -> f64 {
    BUCKET_MICROSECONDS
        .get(index)
        .map_or(f64::INFINITY, |&microseconds| seconds(microseconds * 1_000))
}

/// Whole microseconds are enough: a sum of nanoseconds in a float would show noise in its last digits.
fn seconds(nanoseconds: u64) -> f64 {
    (nanoseconds / 1_000) as f64 / 1e6
}
