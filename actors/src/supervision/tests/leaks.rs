//! Nothing is left behind.

use super::support::*;
use crate::supervision::*;

#[test]
fn nothing_is_leaked_after_ten_thousand_restarts() {
    in_virtual_time(async {
        let log = Log::default();
        let (spec, mailbox) = good(&log, "a");
        let (other, _other) = good(&log, "other");
        let inner = patient("")
            .strategy(Strategy::RestForOne)
            .child(spec.hang_after(std::time::Duration::from_secs(3600)))
            .child(other);
        let (root, mut events) =
            up(patient("root").child(ChildSpec::supervisor("inner", inner))).await;
        let before = root.alive();
        assert_eq!(
            before,
            Census {
                actors: 2,
                tasks: 2,
                supervisors: 2,
                arbiters: 0,
                abandoned: 0
            }
        );
        let senders = mailbox.senders();
        for restart in 0..10_000 {
            match restart % 4 {
                0 => root.kill(&path("root/inner/a")).expect("it lives"),
                1 => mailbox
                    .send(Order::HoldAcrossAwait("x"))
                    .and_then(|()| mailbox.send(Order::Stop))
                    .expect("there is room"),
                2 => mailbox.send(Order::Fail).expect("there is room"),
                _ => mailbox
                    .send(Order::StallWork)
                    .and_then(|()| mailbox.send(Order::Fail))
                    .expect("there is room"),
            }
            if restart % 4 == 1 {
                tokio::task::yield_now().await;
                root.kill(&path("root/inner/a")).expect("it lives");
            }
            started(&mut events, "root/inner/other").await;
            log.take();
        }
        assert_eq!(root.alive(), before);
        assert_eq!(mailbox.senders(), senders);
        let tree = root.whole_tree();
        assert_eq!(tree.walk().len(), 4);
        let a = tree.find(&path("root/inner/a")).expect("it is there");
        assert!(a.restarts >= 10_000, "{}", a.restarts);
        assert_eq!(a.mailboxes.len(), 1);
        root.shutdown().await;
        assert_eq!(root.alive(), Census::default());
        let probe = std::sync::Arc::downgrade(&root.kernel_for_test());
        drop((root, events));
        tokio::task::yield_now().await;
        assert!(probe.upgrade().is_none(), "not even the kernel itself");
    });
}

#[test]
fn threads_of_their_own_end_with_their_actors() {
    actix::System::new().block_on(async {
        let log = Log::default();
        let (spec, mailbox) = good(&log, "a");
        let (root, mut events) = up(patient("root").child(spec.arbiter(Placement::Own))).await;
        for _ in 0..50 {
            mailbox.send(Order::Panic).expect("there is room");
            started(&mut events, "root/a").await;
        }
        while root.alive().arbiters > 1 {
            tokio::task::yield_now().await;
        }
        root.shutdown().await;
        while root.alive() != Census::default() {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn children_that_come_and_go_are_forgotten() {
    in_virtual_time(async {
        let log = Log::default();
        let (root, _) = up(patient("root")).await;
        for _ in 0..1000 {
            let (spec, mailbox) = good(&log, "guest");
            root.start_child(spec.restart(Restart::Transient))
                .await
                .expect("it starts");
            mailbox.send(Order::Stop).expect("there is room");
            while root.snapshot(&path("root/guest")).is_some() {
                tokio::task::yield_now().await;
            }
            assert_eq!(mailbox.send(Order::Stop), Err(SendError::Closed));
        }
        assert_eq!(root.alive().tasks, 0);
        assert_eq!(root.whole_tree().walk().len(), 1);
        root.shutdown().await;
    });
}
