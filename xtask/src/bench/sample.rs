//! What a round showed.

use std::time::Duration;

/// One round of one side, or the median of several.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// What was done in the round; of several rounds, in all.
    pub(super) calls: usize,
    pub(super) per_second: f64,
    pub(super) median: Duration,
    pub(super) slowest_hundredth: Duration,
}

impl Sample {
    /// Of all latencies of a round that took `time`.
    pub(super) fn of(mut latencies: Vec<Duration>, time: Duration) -> Sample {
        let calls = latencies.len();
        let per_second = calls as f64 / time.as_secs_f64();
        let middle = median(&mut latencies);
        let slowest_hundredth = latencies.get(latencies.len() * 99 / 100).copied().unwrap_or_default();
        Sample { calls, per_second, median: middle, slowest_hundredth }
    }

    /// Each figure's own median, and all calls.
    pub(super) fn median(samples: &[Sample]) -> Sample {
        let durations =
            |pick: fn(&Sample) -> Duration| median(&mut samples.iter().map(pick).collect::<Vec<_>>());
        Sample {
            calls: samples.iter().map(|sample| sample.calls).sum(),
            per_second: median(&mut samples.iter().map(|sample| sample.per_second).collect::<Vec<_>>()),
            median: durations(|sample| sample.median),
            slowest_hundredth: durations(|sample| sample.slowest_hundredth),
        }
    }
}

/// How often the first is the second, round by round: what disturbs a round disturbs both of its sides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ratio {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Ratio {
    /// Of calls a second.
    pub(super) fn of(ours: &[Sample], theirs: &[Sample]) -> Ratio {
        let rounds = ours.iter().zip(theirs);
        let mut ratios: Vec<f64> = rounds.map(|(ours, theirs)| ours.per_second / theirs.per_second).collect();
        let median = median(&mut ratios);
        // Sorted by the search for the middle.
        let [least, most] = [ratios.first(), ratios.last()].map(|ratio| ratio.copied().unwrap_or_default());
        Ratio { median, least, most }
    }
}

/// The middle one; of nothing, zero. Sorts the values.
pub(super) fn median<T: Copy + PartialOrd + Default>(values: &mut [T]) -> T {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(per_second: f64) -> Sample {
        Sample { calls: 0, per_second, median: Duration::ZERO, slowest_hundredth: Duration::ZERO }
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let ratio = Ratio::of(&[10.0, 20.0, 30.0].map(sample), &[10.0, 10.0, 60.0].map(sample));
        assert_eq!((ratio.least, ratio.median, ratio.most), (0.5, 1.0, 2.0));
    }

    #[test]
    fn a_round_is_its_middle_and_its_slowest() {
        let latencies = (1..=200).rev().map(Duration::from_millis).collect();
        let sample = Sample::of(latencies, Duration::from_secs(2));
        assert_eq!((sample.per_second, sample.median.as_millis()), (100.0, 101));
        assert_eq!(sample.slowest_hundredth.as_millis(), 199);
        assert_eq!((sample.calls, Sample::median(&[sample, sample]).calls), (200, 400));
    }
}
