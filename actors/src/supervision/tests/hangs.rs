//! An actor that makes no progress is found and replaced, and only that one.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::support::*;
use crate::supervision::*;

const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn an_actor_that_waits_for_what_never_comes_is_dropped_and_replaced() {
    in_virtual_time(async {
        let log = Log::default();
        let (spec, mailbox) = good(&log, "a");
        let (other, _other) = good(&log, "other");
        let tree = patient("root")
            .child(spec.hang_after(LIMIT))
            .child(other.hang_after(LIMIT));
        let (root, mut events) = up(tree).await;
        let begun = Instant::now();
        mailbox.send(Order::HangAsync).expect("there is room");
        mailbox.send(Order::Say("hello")).expect("there is room");
        until(&mut events, "root/a", |what| *what == Happening::Hung).await;
        let found_after = Instant::now() - begun;
        assert!(
            found_after >= LIMIT && found_after <= LIMIT.mul_f64(1.51),
            "{found_after:?}"
        );
        assert_eq!(stopped(&mut events, "root/a").await, ExitReason::Hung);
        assert_eq!(started(&mut events, "root/a").await, 2);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let lines = log.lines();
        assert_eq!(
            lines,
            [
                "a#1 started",
                "other#1 started",
                "a#1 dropped",
                "a#2 started",
                "a#2 hello"
            ],
            "idle actors are not hung, and what waited in the mailbox was kept"
        );
        root.shutdown().await;
        assert_eq!(root.alive(), Census::default());
    });
}

#[test]
fn work_beside_the_context_that_stalls_is_a_hang() {
    in_virtual_time(async {
        let log = Log::default();
        let (spec, mailbox) = good(&log, "a");
        let (root, mut events) = up(patient("root").child(spec.hang_after(LIMIT))).await;
        mailbox.send(Order::StallWork).expect("there is room");
        assert_eq!(stopped(&mut events, "root/a").await, ExitReason::Hung);
        root.shutdown().await;
        assert_eq!(root.alive(), Census::default());
    });
}

#[test]
fn long_work_in_a_protect_zone_is_not_a_hang() {
    in_virtual_time(async {
        let log = Log::default();
        let (spec, mailbox) = good(&log, "a");
        let (root, mut events) = up(patient("root").child(spec.hang_after(LIMIT))).await;
        mailbox
            .send(Order::WorkProtected(LIMIT * 10))
            .expect("there is room");
        tokio::time::sleep(LIMIT * 20).await;
        assert!(events.try_next().is_none(), "nothing happened");
        mailbox.send(Order::HangAsync).expect("there is room");
        assert_eq!(stopped(&mut events, "root/a").await, ExitReason::Hung);
        root.shutdown().await;
    });
}

/// Blocks a real thread, so the clock runs until the block is known and jumps only from there to its
/// discovery; nothing depends on how long anything takes.
#[test]
fn a_blocked_thread_is_written_off_and_its_innocent_actors_move_to_another() {
    actix::System::new().block_on(async {
        let log = Log::default();
        let (culprit, orders) = good(&log, "culprit");
        let (innocent, innocent_orders) = good(&log, "innocent");
        // The innocent's own supervisor would escalate at the first failure that counts.
        let strict = SupervisorSpec::new("").intensity(0, LIMIT).child(innocent);
        let tree = patient("root")
            .child(culprit.hang_after(LIMIT))
            .child(ChildSpec::supervisor("strict", strict));
        let root = start_root(
            tree,
            RootOptions {
                arbiters: 1,
                ..RootOptions::default()
            },
        );
        root.ready().await.expect("the tree comes up");
        assert_eq!(root.alive().arbiters, 1);
        let mut events = root.events();

        let (release, released) = blocker();
        let (blocking, blocked) = oneshot::channel();
        orders
            .send(Order::Block(released, blocking))
            .expect("there is room");
        blocked.await.expect("the handler has the thread");
        // With nothing else to do, a paused clock jumps from timer to timer.
        tokio::time::pause();
        let lost = until(&mut events, "root/culprit", |what| {
            matches!(what, Happening::ArbiterLost { .. })
        })
        .await;
        tokio::time::resume();
        assert!(matches!(
            lost.what,
            Happening::ArbiterLost { actors: 2, .. }
        ));
        let mut ends = Vec::new();
        let mut starts = 0;
        while starts < 2 {
            let event = events.next().await.expect("the tree is alive");
            match &event.what {
                Happening::Stopped { reason } => {
                    ends.push((event.path.to_string(), reason.clone()))
                }
                Happening::Started if event.path.as_str() != "root/strict" => {
                    assert_eq!(event.incarnation, 2);
                    starts += 1;
                }
                _ => {}
            }
        }
        ends.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(
            ends,
            [
                ("root/culprit".into(), ExitReason::Hung),
                ("root/strict/innocent".into(), ExitReason::ArbiterLost)
            ]
        );
        assert_eq!(root.alive().abandoned, 1, "the thread is blocked still");

        innocent_orders
            .send(Order::Say("alive"))
            .expect("there is room");
        while !log.lines().contains(&"innocent#2 alive".to_owned()) {
            tokio::task::yield_now().await;
        }
        assert!(!log.lines().contains(&"culprit#1 unblocked".to_owned()));

        // Let go, the zombie finishes its handler, is dropped, and its thread ends.
        release.send(()).expect("the zombie waits for it");
        while root.alive().abandoned > 0 || root.alive().actors > 2 {
            tokio::task::yield_now().await;
        }
        let lines = log.lines();
        assert!(lines.contains(&"culprit#1 dropped".to_owned()), "{lines:?}");
        assert!(
            lines.contains(&"innocent#1 dropped".to_owned()),
            "{lines:?}"
        );
        root.shutdown().await;
        while root.alive() != Census::default() {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_watch_that_was_held_up_itself_accuses_nobody() {
    in_virtual_time(async {
        let log = Log::default();
        let (spec, mailbox) = good(&log, "a");
        let (root, mut events) = up(patient("root").child(spec.hang_after(LIMIT))).await;
        for _ in 0..10 {
            // As when the machine sleeps, or the kernel's thread is not scheduled.
            tokio::time::advance(LIMIT * 3).await;
        }
        mailbox.send(Order::Say("alive")).expect("there is room");
        tokio::time::sleep(LIMIT * 3).await;
        assert!(events.try_next().is_none(), "nothing happened");
        assert_eq!(log.take(), ["a#1 started", "a#1 alive"]);
        root.shutdown().await;
    });
}

/// As above, a real thread is blocked, and the clock jumps only while it is.
#[test]
fn a_shutdown_gets_past_a_blocked_thread() {
    actix::System::new().block_on(async {
        let log = Log::default();
        let (culprit, orders) = good(&log, "culprit");
        let (innocent, _innocent) = good(&log, "innocent");
        let root = start_root(
            patient("root").child(innocent).child(culprit),
            RootOptions {
                arbiters: 1,
                ..RootOptions::default()
            },
        );
        root.ready().await.expect("the tree comes up");
        let (release, released) = blocker();
        let (blocking, blocked) = oneshot::channel();
        orders
            .send(Order::Block(released, blocking))
            .expect("there is room");
        blocked.await.expect("the handler has the thread");
        tokio::time::pause();
        root.shutdown().await;
        tokio::time::resume();
        assert_eq!(root.alive().abandoned, 1);
        assert_eq!(root.alive().actors, 2, "the thread holds them still");
        release.send(()).expect("the zombie waits for it");
        while root.alive() != Census::default() {
            tokio::task::yield_now().await;
        }
    });
}

/// As above; here the one that blocks has said that it would.
#[test]
fn a_thread_that_is_busy_in_a_protect_zone_is_not_written_off() {
    actix::System::new().block_on(async {
        let log = Log::default();
        let (busy, orders) = good(&log, "busy");
        let (neighbour, _neighbour) = good(&log, "neighbour");
        let tree = patient("root")
            .child(busy.hang_after(LIMIT))
            .child(neighbour.hang_after(LIMIT));
        let root = start_root(
            tree,
            RootOptions {
                arbiters: 1,
                ..RootOptions::default()
            },
        );
        root.ready().await.expect("the tree comes up");
        let mut events = root.events();
        let (release, released) = blocker();
        let (blocking, blocked) = oneshot::channel();
        orders
            .send(Order::BlockProtected(released, blocking))
            .expect("there is room");
        blocked.await.expect("the handler has the thread");
        tokio::time::pause();
        tokio::time::sleep(LIMIT * 100).await;
        tokio::time::resume();
        assert!(events.try_next().is_none(), "nothing happened");
        release.send(()).expect("it waits for it");
        orders.send(Order::Stop).expect("there is room");
        assert_eq!(stopped(&mut events, "root/busy").await, ExitReason::Normal);
        assert_eq!(root.alive().abandoned, 0);
        root.shutdown().await;
    });
}

#[test]
fn a_life_that_was_given_up_knows_that_it_no_longer_counts() {
    in_virtual_time(async {
        let (root, mut events) = up(patient("root")).await;
        let (give, mut fences) = tokio::sync::mpsc::channel(2);
        struct Idle;
        impl actix::Actor for Idle {
            type Context = actix::Context<Self>;
        }
        let spec = ChildSpec::worker("a", move |child: ChildContext| {
            give.try_send(child.fence()).expect("there is room");
            Idle
        });
        root.start_child(spec).await.expect("it starts");
        let first = fences.recv().await.expect("the first life's");
        assert!(first.is_current());
        root.kill(&path("root/a")).expect("it lives");
        assert!(!first.is_current(), "from the moment it is killed");
        stopped(&mut events, "root/a").await;
        let second = fences.recv().await.expect("the second life's");
        assert!(!first.is_current() && second.is_current());
        root.shutdown().await;
    });
}
