//! What every store does.

pub(crate) mod batches;
pub(crate) mod cells;
pub(crate) mod jobs;
pub(crate) mod keys;
pub(crate) mod leases;
pub(crate) mod log;
pub(crate) mod upkeep;

/// A test for each trial on one member.
macro_rules! suite {
    ($member:ident, $start:expr; $($module:ident: $($trial:ident),+;)+) => {
        mod $member {
            use super::*;
            $($(
                #[tokio::test(flavor = "multi_thread")]
                async fn $trial() {
                    let stage = $crate::member::Stage::new($start.await).await;
                    $crate::trials::$module::$trial(&stage).await;
                    stage.sound().await;
                }
            )+)+
        }
    };
}

/// All trials on all members.
macro_rules! all {
    ($($member:ident: $start:expr),+ $(,)?) => {
        $($crate::trials::suite! { $member, $start;
            batches:
                all_or_nothing, refused_neighbours, one_batch_at_a_time, nothing_is_done_at_once, too_much_is_refused,
                a_repeat_is_recognised, many_producers;
            log:
                versions_and_positions, expected_versions, event_ids, one_order_for_all, streams_by_name, trimmed, forgotten;
            jobs:
                order_of_claims, delayed, expires, unique_keys, joined, unique_across_a_finish, bounded, kept_when_done, pages,
                large_payloads;
            leases:
                fenced, lost_after_the_end, attempts_count_at_the_claim, retried, released, buried_and_replayed, discarded,
                rescheduled, history, next_moment, clock_jumps;
            keys:
                in_order_one_at_a_time, a_retry_holds_its_key, a_dead_head_blocks, a_dead_head_is_skipped, a_held_one_is_removed,
                replay_behind_the_head, an_expired_head_lets_go;
            cells:
                compared_and_set, a_version_never_comes_back, expired_is_absent, scans, scan_pages;
            upkeep:
                reopened, two_processes, hints, closed, pruned, retention_leaves_a_gap, purged, counted;
        })+
    };
}

pub(crate) use {all, suite};
