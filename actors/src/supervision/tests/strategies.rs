//! Who restarts with whom, when, and how soon.

use std::time::Duration;

use tokio::time::Instant;

use super::support::*;
use crate::supervision::*;

async fn three(strategy: Strategy) -> (SupervisorHandle, EventStream, Vec<Mailbox<Order>>, Log) {
    let log = Log::default();
    let mut spec = patient("root").strategy(strategy);
    let mut mailboxes = Vec::new();
    for id in ["a", "b", "c"] {
        let (child, mailbox) = good(&log, id);
        spec = spec.child(child);
        mailboxes.push(mailbox);
    }
    let (root, events) = up(spec).await;
    assert_eq!(log.take(), ["a#1 started", "b#1 started", "c#1 started"]);
    (root, events, mailboxes, log)
}

#[test]
fn one_for_one_restarts_the_failed_child_only() {
    in_virtual_time(async {
        let (root, mut events, mailboxes, log) = three(Strategy::OneForOne).await;
        mailboxes[1].send(Order::Panic).expect("there is room");
        started(&mut events, "root/b").await;
        assert_eq!(log.take(), ["b#1 dropped", "b#2 started"]);
        root.shutdown().await;
    });
}

#[test]
fn rest_for_one_restarts_exactly_the_later_ones_in_order() {
    in_virtual_time(async {
        let (root, mut events, mailboxes, log) = three(Strategy::RestForOne).await;
        mailboxes[1].send(Order::Panic).expect("there is room");
        started(&mut events, "root/c").await;
        assert_eq!(
            log.take(),
            [
                "b#1 dropped",
                "c#1 stopping",
                "c#1 dropped",
                "b#2 started",
                "c#2 started"
            ]
        );
        root.shutdown().await;
    });
}

#[test]
fn one_for_all_stops_the_others_in_reverse_and_starts_all_in_order() {
    in_virtual_time(async {
        let (root, mut events, mailboxes, log) = three(Strategy::OneForAll).await;
        mailboxes[1].send(Order::Panic).expect("there is room");
        started(&mut events, "root/c").await;
        assert_eq!(
            log.take(),
            [
                "b#1 dropped",
                "c#1 stopping",
                "c#1 dropped",
                "a#1 stopping",
                "a#1 dropped",
                "a#2 started",
                "b#2 started",
                "c#2 started"
            ]
        );
        root.shutdown().await;
    });
}

#[test]
fn a_failure_during_a_group_restart_widens_it() {
    in_virtual_time(async {
        let (root, mut events, mailboxes, log) = three(Strategy::RestForOne).await;
        // Both fail before the supervisor has looked at either.
        mailboxes[2].send(Order::Panic).expect("there is room");
        mailboxes[0].send(Order::Panic).expect("there is room");
        started(&mut events, "root/c").await;
        let lines = log.take();
        let starts: Vec<_> = lines
            .iter()
            .filter(|line| line.contains("started"))
            .collect();
        assert_eq!(starts, ["a#2 started", "b#2 started", "c#2 started"]);
        let tree = root.whole_tree();
        assert!(
            tree.walk()
                .iter()
                .all(|node| node.state == NodeState::Running)
        );
        root.shutdown().await;
    });
}

#[test]
fn later_children_of_a_group_wait_until_the_earlier_ones_are_up() {
    in_virtual_time(async {
        let log = Log::default();
        let (first, _first) = actor(&log, "first", Manner::PanicsInFirstStarted);
        let (second, _second) = good(&log, "second");
        let spec = patient("root")
            .strategy(Strategy::RestForOne)
            .child(first)
            .child(second);
        let (root, _) = up(spec).await;
        assert_eq!(
            log.take(),
            ["first#1 dropped", "first#2 started", "second#1 started"]
        );
        root.shutdown().await;
    });
}

#[test]
fn a_permanent_child_is_restarted_after_a_normal_end() {
    in_virtual_time(async {
        let log = Log::default();
        let (spec, mailbox) = good(&log, "a");
        let (root, mut events) = up(patient("root").child(spec)).await;
        mailbox.send(Order::Stop).expect("there is room");
        assert_eq!(stopped(&mut events, "root/a").await, ExitReason::Normal);
        assert_eq!(started(&mut events, "root/a").await, 2);
        root.shutdown().await;
    });
}

#[test]
fn a_transient_child_is_restarted_after_a_failure_but_not_after_a_normal_end() {
    in_virtual_time(async {
        let log = Log::default();
        let (spec, mailbox) = good(&log, "a");
        let spec = spec.restart(Restart::Transient);
        let (root, mut events) = up(patient("root").child(spec)).await;
        mailbox.send(Order::Fail).expect("there is room");
        assert_eq!(
            stopped(&mut events, "root/a").await,
            ExitReason::Failed("as told".into())
        );
        assert_eq!(started(&mut events, "root/a").await, 2);
        mailbox.send(Order::Stop).expect("there is room");
        stopped(&mut events, "root/a").await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(events.try_next().is_none(), "nothing more happens");
        let child = root
            .snapshot(&path("root/a"))
            .expect("it stays in the tree");
        assert_eq!(child.state, NodeState::Stopped);
        root.shutdown().await;
    });
}

#[test]
fn a_temporary_child_is_never_restarted_and_is_forgotten() {
    in_virtual_time(async {
        let log = Log::default();
        let (spec, mailbox) = good(&log, "a");
        let spec = spec.restart(Restart::Temporary);
        let (root, mut events) = up(patient("root").child(spec)).await;
        mailbox.send(Order::Panic).expect("there is room");
        stopped(&mut events, "root/a").await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(events.try_next().is_none(), "nothing more happens");
        assert!(root.snapshot(&path("root/a")).is_none());
        assert_eq!(mailbox.send(Order::Panic), Err(SendError::Closed));
        root.shutdown().await;
    });
}

#[test]
fn backoff_grows_with_failures_in_a_row_and_resets_after_a_calm_time() {
    in_virtual_time(async {
        let log = Log::default();
        let (spec, mailbox) = good(&log, "a");
        let backoff = Backoff {
            initial: Duration::from_millis(100),
            factor: 2.0,
            max: Duration::from_secs(2),
            jitter: 0.0,
        };
        let (root, mut events) = up(patient("root").backoff(backoff).child(spec)).await;
        let mut waits = Vec::new();
        let mut fail = async |calm: Duration| {
            tokio::time::sleep(calm).await;
            mailbox.send(Order::Panic).expect("there is room");
            stopped(&mut events, "root/a").await;
            let down = Instant::now();
            started(&mut events, "root/a").await;
            waits.push((Instant::now() - down).as_millis());
        };
        for _ in 0..7 {
            fail(Duration::ZERO).await;
        }
        fail(Duration::from_millis(1_990)).await;
        fail(Duration::from_secs(3)).await;
        fail(Duration::ZERO).await;
        // tokio's timers have a resolution of one millisecond.
        let expected = [100, 200, 400, 800, 1600, 2000, 2000, 2000, 100, 200];
        assert_eq!(waits.len(), expected.len());
        for (wait, expected) in waits.iter().zip(expected) {
            assert!((expected..=expected + 2).contains(wait), "{waits:?}");
        }
        root.shutdown().await;
    });
}
