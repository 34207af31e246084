//! The way down.

use std::time::Duration;

use tokio::time::Instant;

use super::support::*;
use crate::supervision::*;

#[test]
fn children_stop_in_reverse_start_order_nested_ones_too() {
    in_virtual_time(async {
        let log = Log::default();
        let (a, _a) = good(&log, "a");
        let (b, _b) = good(&log, "b");
        let (c, _c) = good(&log, "c");
        let (d, _d) = good(&log, "d");
        let tree = patient("root")
            .child(a)
            .child(ChildSpec::supervisor(
                "inner",
                patient("").child(b).child(c),
            ))
            .child(d);
        let (root, _) = up(tree).await;
        log.take();
        root.shutdown().await;
        assert_eq!(
            log.take(),
            [
                "d#1 stopping",
                "d#1 dropped",
                "c#1 stopping",
                "c#1 dropped",
                "b#1 stopping",
                "b#1 dropped",
                "a#1 stopping",
                "a#1 dropped"
            ]
        );
        assert_eq!(root.finished().await, ExitReason::Shutdown);
        assert_eq!(root.alive(), Census::default());
    });
}

#[test]
fn a_child_that_ignores_shutdown_is_killed_at_its_deadline() {
    in_virtual_time(async {
        let log = Log::default();
        let (first, _first) = good(&log, "first");
        let (stubborn, _stubborn) = actor(&log, "stubborn", Manner::IgnoresStop);
        let deadline = Duration::from_secs(3);
        let tree = patient("root")
            .child(first)
            .child(stubborn.shutdown(Shutdown::Timeout(deadline)));
        let (root, mut events) = up(tree).await;
        log.take();
        let begun = Instant::now();
        root.shutdown().await;
        let took = Instant::now() - begun;
        assert!(took >= deadline && took < deadline * 2, "{took:?}");
        until(&mut events, "root/stubborn", |what| {
            *what == Happening::ShutDownOverran { deadline }
        })
        .await;
        assert_eq!(
            log.take(),
            [
                "stubborn#1 stopping",
                "stubborn#1 dropped",
                "first#1 stopping",
                "first#1 dropped"
            ],
            "those before it wait for it"
        );
        assert_eq!(root.alive(), Census::default());
    });
}

#[test]
fn a_child_to_be_killed_is_not_asked() {
    in_virtual_time(async {
        let log = Log::default();
        let (spec, _mailbox) = good(&log, "a");
        let (root, _) = up(patient("root").child(spec.shutdown(Shutdown::Kill))).await;
        root.shutdown().await;
        assert_eq!(log.take(), ["a#1 started", "a#1 dropped"]);
    });
}

#[test]
fn a_shutdown_during_a_backoff_does_not_wait_for_it() {
    in_virtual_time(async {
        let log = Log::default();
        for strategy in [Strategy::OneForOne, Strategy::OneForAll] {
            let (spec, mailbox) = good(&log, "a");
            let (other, _other) = good(&log, "other");
            let hour = Backoff {
                initial: Duration::from_secs(3600),
                factor: 1.0,
                max: Duration::from_secs(3600),
                jitter: 0.0,
            };
            let tree = patient("root").strategy(strategy).backoff(hour);
            let (root, mut events) = up(tree.child(spec).child(other)).await;
            mailbox.send(Order::Panic).expect("there is room");
            stopped(&mut events, "root/a").await;
            let begun = Instant::now();
            root.shutdown().await;
            assert!(Instant::now() - begun < Duration::from_secs(1));
            assert_eq!(root.alive(), Census::default());
        }
    });
}
