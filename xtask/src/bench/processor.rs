//! The processor time of a server: what a call costs it, whatever else the machine does meanwhile.

use std::{fs, time::Duration};

/// How long a tick of `/proc` is, on every machine that has it.
const TICK: Duration = Duration::from_millis(10);

/// What a process and those it started have used until now. Nothing where the system does not tell.
pub(super) fn time(process: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let own = TICK * ticks(&stat)?;
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    let children = children.unwrap_or_default();
    let times = children.split_whitespace().filter_map(|child| time(child.parse().ok()?));
    Some(own + times.sum::<Duration>())
}

/// User and system time of a line of `/proc/ID/stat`. The program's name may hold spaces and parentheses.
fn ticks(stat: &str) -> Option<u32> {
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut fields = after_name.split(' ').skip(11);
    let mut next = || fields.next()?.parse::<u32>().ok();
    Some(next()? + next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 100 0 0 0 31 11 0 0 20 0 5 0 900 1 2";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("nothing"), None);
    }
}
