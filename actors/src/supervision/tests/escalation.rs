//! When restarting does not help.

use std::time::Duration;

use super::support::*;
use crate::supervision::*;

#[test]
fn a_crash_loop_escalates_and_does_not_starve_its_siblings() {
    in_virtual_time(async {
        let log = Log::default();
        let (looping, _looping) = actor(&log, "looping", Manner::PanicsInStarted);
        let (sibling, orders) = good(&log, "sibling");
        let (aunt, aunt_orders) = good(&log, "aunt");
        let inner = SupervisorSpec::new("")
            .intensity(1000, Duration::from_secs(3600))
            .backoff(Backoff::NONE)
            .child(looping)
            .child(sibling.hang_after(Duration::from_millis(100)));
        let tree = patient("root")
            .child(aunt)
            .child(ChildSpec::supervisor("inner", inner));
        let root = start_root(
            tree,
            RootOptions {
                event_capacity: 16_384,
                ..RootOptions::default()
            },
        );
        let mut events = root.events();
        let mut ends = 0;
        let mut answered_at = Vec::new();
        // All through the crash loop the sibling is asked and must answer.
        loop {
            let event = events.next().await.expect("the tree is alive");
            match &event.what {
                Happening::Stopped { .. } if event.path.as_str() == "root/inner/looping" => {
                    ends += 1;
                    if ends % 100 == 0 && ends < 1000 {
                        orders.send(Order::Say("answer")).expect("there is room");
                        aunt_orders
                            .send(Order::Say("answer"))
                            .expect("there is room");
                    }
                }
                Happening::Escalated { reason } => {
                    assert_eq!(*reason, ExitReason::Panicked("broken in started".into()));
                    break;
                }
                Happening::Hung => panic!("the sibling starved"),
                _ => {}
            }
            if log
                .lines()
                .iter()
                .filter(|l| *l == "sibling#1 answer")
                .count()
                > answered_at.len()
            {
                answered_at.push(ends);
            }
        }
        assert_eq!(ends, 1001, "the restarts allowed and the one too many");
        assert_eq!(answered_at.len(), 9, "{answered_at:?}");
        let reason = stopped(&mut events, "root/inner").await;
        assert_eq!(
            reason,
            ExitReason::Escalated("root/inner/looping panicked: broken in started".into())
        );
        let restarted = until(&mut events, "root/inner", |what| {
            matches!(what, Happening::Restarted { .. })
        })
        .await;
        assert_eq!(restarted.incarnation, 2, "the parent starts it afresh");
        let aunt = root.snapshot(&path("root/aunt")).expect("it is there");
        assert_eq!(
            aunt.incarnation, 1,
            "the escalation stops at the first supervisor that copes"
        );
        let answers = log.take().iter().filter(|l| *l == "aunt#1 answer").count();
        assert_eq!(answers, 9);
        root.shutdown().await;
        assert_eq!(root.alive(), Census::default());
    });
}

#[test]
fn an_escalation_nobody_copes_with_ends_the_root_and_says_why() {
    in_virtual_time(async {
        let log = Log::default();
        let (leaf, orders) = good(&log, "leaf");
        let (other, _other) = good(&log, "other");
        let never = |id| SupervisorSpec::new(id).intensity(0, Duration::from_secs(1));
        let tree = never("root")
            .child(other)
            .child(ChildSpec::supervisor("inner", never("").child(leaf)));
        let (root, _) = up(tree).await;
        orders.send(Order::Panic).expect("there is room");
        let ExitReason::Escalated(why) = root.finished().await else {
            panic!("the root ends by escalation");
        };
        assert!(
            why.contains("root/inner/leaf panicked: broken in a handler"),
            "{why}"
        );
        assert!(log.lines().contains(&"other#1 stopping".to_owned()));
        assert_eq!(root.alive(), Census::default());
        assert_eq!(root.ready().await, Err(ExitReason::Escalated(why)));
        root.shutdown().await;
    });
}

#[test]
fn failures_spread_over_more_than_the_window_do_not_escalate() {
    in_virtual_time(async {
        let log = Log::default();
        let (spec, mailbox) = good(&log, "a");
        let tree = SupervisorSpec::new("root")
            .intensity(2, Duration::from_secs(10))
            .backoff(Backoff::NONE)
            .child(spec);
        let (root, mut events) = up(tree).await;
        for life in 2..22 {
            tokio::time::sleep(Duration::from_secs(6)).await;
            mailbox.send(Order::Panic).expect("there is room");
            assert_eq!(started(&mut events, "root/a").await, life);
        }
        root.shutdown().await;
    });
}

#[test]
fn a_killed_supervisor_dies_with_its_children_and_comes_back_with_its_spec() {
    in_virtual_time(async {
        let log = Log::default();
        let (leaf, _leaf) = actor(&log, "leaf", Manner::IgnoresStop);
        let (extra, _extra) = good(&log, "extra");
        let tree = patient("root").child(ChildSpec::supervisor("inner", patient("").child(leaf)));
        let (root, mut events) = up(tree).await;
        let inner = root.supervisor(&path("root/inner"));
        inner.start_child(extra).await.expect("it starts");
        log.take();
        root.kill(&path("root/inner")).expect("it lives");
        assert_eq!(stopped(&mut events, "root/inner").await, ExitReason::Killed);
        started(&mut events, "root/inner").await;
        assert_eq!(
            log.take(),
            ["extra#1 dropped", "leaf#1 dropped", "leaf#2 started"],
            "nobody is asked"
        );
        let inner = inner.tree().expect("it is back");
        assert_eq!(inner.children.len(), 1, "what was added later is gone");
        assert_eq!(inner.incarnation, 2);
        root.shutdown().await;
        assert_eq!(root.alive(), Census::default());
    });
}
