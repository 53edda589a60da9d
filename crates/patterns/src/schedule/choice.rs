//! Which of the ticks that are due are enqueued.

use renkei_core::{
    clock::Timestamp,
    schedule::{Due, Missed, SchedulePlan, Tick},
};

/// A tick that is found later than this was missed. Ticks are a second apart at least.
const ON_TIME_SECONDS: u64 = 60;

/// What is done with ticks that are due.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// Oldest first.
    pub(super) enqueued: Vec<Tick>,
    /// Those that are passed over, as far as they were counted.
    pub(super) passed: usize,
    /// There were more of them.
    pub(super) passed_more: bool,
    /// Everything up to here is seen to then.
    pub(super) upto: Option<Timestamp>,
}

/// Looks which ticks are due after a moment, and chooses.
pub(super) fn choose(plan: &SchedulePlan, after: Timestamp, now: Timestamp) -> Choice {
    let cap = match plan.missed {
        Missed::Skip => 0,
        Missed::Once => 1,
        Missed::All(cap) => cap,
    };
    let on_time = ON_TIME_SECONDS as usize + 1;
    of(plan.timetable.due(after, now, cap + on_time), plan.missed, now)
}

fn of(due: Due, missed: Missed, now: Timestamp) -> Choice {
    let upto = due.ticks.last().map(|tick| tick.at);
    let is_late = |tick: &Tick| now.since(tick.at).as_secs() > ON_TIME_SECONDS;
    let mut late = due.ticks;
    let on_time = late.split_off(late.partition_point(is_late));
    let kept = match missed {
        Missed::Skip => 0,
        Missed::Once => usize::from(on_time.is_empty()),
        Missed::All(cap) => cap,
    };
    let enqueued = late.split_off(late.len().saturating_sub(kept));
    Choice {
        passed: late.len(),
        passed_more: due.more,
        enqueued: enqueued.into_iter().chain(on_time).collect(),
        upto,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000);

    /// Ticks so many seconds ago.
    fn due(ago: &[u64]) -> Due {
        let tick = |ago: &u64| Tick { at: Timestamp(NOW.0 - (*ago as i64) * 1000), text: format!("-{ago}") };
        Due { ticks: ago.iter().map(tick).collect(), more: false }
    }

    fn chosen(ago: &[u64], missed: Missed) -> (Vec<String>, usize) {
        let choice = of(due(ago), missed, NOW);
        assert_eq!(choice.upto, due(ago).ticks.last().map(|tick| tick.at));
        (choice.enqueued.into_iter().map(|tick| tick.text).collect(), choice.passed)
    }

    #[test]
    fn what_is_on_time_is_enqueued_whatever_becomes_of_what_was_missed() {
        for missed in [Missed::Skip, Missed::Once, Missed::All(1)] {
            assert_eq!(chosen(&[2, 1, 0], missed), (vec!["-2".into(), "-1".into(), "-0".into()], 0));
            assert_eq!(chosen(&[60], missed), (vec!["-60".into()], 0));
        }
    }

    #[test]
    fn of_what_was_missed_as_much_is_made_up_for_as_the_config_says() {
        let late = [7200, 3600, 61];
        assert_eq!(chosen(&late, Missed::Skip), (vec![], 3));
        assert_eq!(chosen(&late, Missed::Once), (vec!["-61".into()], 2));
        assert_eq!(chosen(&late, Missed::All(2)), (vec!["-3600".into(), "-61".into()], 1));
        assert_eq!(chosen(&late, Missed::All(9)).0.len(), 3);
        // One is due now anyway.
        assert_eq!(chosen(&[3600, 5], Missed::Once), (vec!["-5".into()], 1));
        assert_eq!(chosen(&[3600, 5], Missed::All(9)).0, ["-3600", "-5"]);
    }
}
