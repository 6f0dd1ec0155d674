//! Ours beside the others, by medians: below one is better.

use super::PeerResult;
use crate::{peers::Side, scenario::Measure};

/// One of ours beside Envoy, HAProxy, the best of the others and the best yardstick; nothing where either failed.
#[derive(Debug, PartialEq)]
pub(crate) struct Ratios {
    pub(crate) ours: String,
    pub(crate) envoy: Option<f64>,
    pub(crate) haproxy: Option<f64>,
    /// With the name of the best.
    pub(crate) best_other: Option<(String, f64)>,
    /// With the name of the best.
    pub(crate) best_yardstick: Option<(String, f64)>,
}

/// Of each of our peers that has a figure.
pub(crate) fn ratios(peers: &[PeerResult], measure: Measure) -> Vec<Ratios> {
    let median = |peer: &PeerResult| {
        peer.spread(|sample| sample.measured(measure))
            .map(|spread| spread.median)
    };
    let named = |name: &str| peers.iter().find(|peer| peer.name == name).and_then(median);
    let best = |side: Side| {
        let of_side = peers.iter().filter(|peer| peer.side == side);
        let figures = of_side.filter_map(|peer| Some((peer.name.clone(), median(peer)?)));
        figures.min_by(|a, b| a.1.total_cmp(&b.1))
    };
    let (envoy, haproxy) = (named("envoy"), named("haproxy"));
    let (other, yardstick) = (best(Side::Theirs), best(Side::Yardstick));
    let ours = peers.iter().filter(|peer| peer.side == Side::Ours);
    ours.filter_map(|peer| {
        let own = median(peer)?;
        let beside = |(name, figure): &(String, f64)| (name.clone(), own / figure);
        Some(Ratios {
            ours: peer.name.clone(),
            envoy: envoy.map(|figure| own / figure),
            haproxy: haproxy.map(|figure| own / figure),
            best_other: other.as_ref().map(beside),
            best_yardstick: yardstick.as_ref().map(beside),
        })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Sample;

    fn peer(name: &str, side: Side, figures: &[f64]) -> PeerResult {
        let sample = |figure: &f64| Sample {
            cpu_us_per_request: Some(*figure),
            ..Sample::default()
        };
        PeerResult {
            name: name.to_owned(),
            side,
            failure: None,
            samples: figures.iter().map(sample).collect(),
        }
    }

    #[test]
    fn ours_stand_beside_the_best_of_each_kind_by_medians() {
        let mut peers = vec![
            peer("sluice-uring", Side::Ours, &[9.0, 10.0, 50.0]),
            peer("envoy", Side::Theirs, &[40.0]),
            peer("haproxy", Side::Theirs, &[20.0]),
            peer("nginx", Side::Theirs, &[16.0]),
            peer("yardstick-monoio", Side::Yardstick, &[8.0]),
            peer("yardstick-tokio-uring", Side::Yardstick, &[9.0]),
        ];
        let found = ratios(&peers, Measure::CpuMicroseconds);
        assert_eq!((found[0].envoy, found[0].haproxy), (Some(0.25), Some(0.5)));
        assert_eq!(found[0].best_other, Some(("nginx".to_owned(), 0.625)));
        assert_eq!(
            found[0].best_yardstick,
            Some(("yardstick-monoio".to_owned(), 1.25))
        );

        peers[3].failure = Some("wrong answers".to_owned());
        let found = ratios(&peers, Measure::CpuMicroseconds);
        assert_eq!(found[0].best_other, Some(("haproxy".to_owned(), 0.5)));
    }
}
