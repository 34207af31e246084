//! A panic anywhere ends one life, is told with its message, and is answered by the next life.

use super::support::*;
use crate::supervision::*;

async fn survives(order: Order, message: &str) {
    let log = Log::default();
    let (spec, mailbox) = good(&log, "a");
    let (root, mut events) = up(patient("root").child(spec)).await;
    mailbox.send(order).expect("there is room");
    assert_eq!(
        stopped(&mut events, "root/a").await,
        ExitReason::Panicked(message.into())
    );
    assert_eq!(started(&mut events, "root/a").await, 2);
    mailbox.send(Order::Say("hello")).expect("there is room");
    mailbox.send(Order::Stop).expect("there is room");
    assert_eq!(stopped(&mut events, "root/a").await, ExitReason::Normal);
    let lines = log.lines();
    assert_eq!(
        lines[..4],
        ["a#1 started", "a#1 dropped", "a#2 started", "a#2 hello"],
        "the panicked actor is dropped without being run again, and before the next starts"
    );
    let child = root.snapshot(&path("root/a")).expect("it is in the tree");
    assert_eq!(child.last_error, Some(format!("panicked: {message}")));
    root.shutdown().await;
    assert_eq!(root.alive(), Census::default());
}

#[test]
fn a_panic_in_a_handler_ends_one_life() {
    in_virtual_time(survives(Order::Panic, "broken in a handler"));
}

#[test]
fn a_panic_in_a_future_of_the_context_ends_one_life() {
    in_virtual_time(survives(
        Order::PanicInContextFuture,
        "broken in a context future",
    ));
}

#[test]
fn a_panic_in_a_linked_future_ends_one_life() {
    in_virtual_time(survives(
        Order::PanicInLinkedFuture,
        "broken in a linked future",
    ));
}

#[test]
fn a_panic_in_started_ends_one_life() {
    in_virtual_time(async {
        let log = Log::default();
        let (spec, mailbox) = actor(&log, "a", Manner::PanicsInFirstStarted);
        mailbox.send(Order::Say("hello")).expect("there is room");
        let root = start_root(patient("root").child(spec), RootOptions::default());
        let mut events = root.events();
        assert_eq!(
            stopped(&mut events, "root/a").await,
            ExitReason::Panicked("broken in started".into())
        );
        assert_eq!(started(&mut events, "root/a").await, 2);
        root.shutdown().await;
        assert_eq!(
            log.lines()[..3],
            ["a#1 dropped", "a#2 started", "a#2 hello"]
        );
        assert_eq!(root.alive(), Census::default());
    });
}

#[test]
fn a_panic_in_the_factory_is_a_failed_start() {
    in_virtual_time(async {
        let log = Log::default();
        let (spec, _mailbox) = actor(&log, "a", Manner::PanicsInFactory);
        let (root, _) = up(patient("root")).await;
        let error = root.start_child(spec).await.expect_err("it cannot start");
        assert_eq!(
            error,
            StartChildError::Failed {
                path: path("root/a"),
                reason: ExitReason::Panicked("broken in the factory".into()),
            }
        );
        assert!(root.snapshot(&path("root/a")).is_none(), "it is forgotten");
        root.shutdown().await;
        assert_eq!(root.alive(), Census::default());
    });
}

#[test]
fn a_panic_in_drop_is_caught_too() {
    in_virtual_time(async {
        let log = Log::default();
        let (spec, mailbox) = actor(&log, "a", Manner::PanicsInDrop);
        let (root, mut events) = up(patient("root").child(spec)).await;
        mailbox.send(Order::Stop).expect("there is room");
        assert_eq!(
            stopped(&mut events, "root/a").await,
            ExitReason::Panicked("broken in drop".into())
        );
        assert_eq!(started(&mut events, "root/a").await, 2);
        root.shutdown().await;
        assert_eq!(root.alive(), Census::default());
    });
}

#[test]
fn a_panic_in_a_childs_child_restarts_that_one_only() {
    in_virtual_time(async {
        let log = Log::default();
        let (leaf, orders) = good(&log, "leaf");
        let (other, _other) = good(&log, "other");
        let (aunt, _aunt) = good(&log, "aunt");
        let inner = patient("").child(leaf).child(other);
        let tree = patient("root")
            .child(aunt)
            .child(ChildSpec::supervisor("inner", inner));
        let (root, mut events) = up(tree).await;
        orders.send(Order::Panic).expect("there is room");
        assert_eq!(started(&mut events, "root/inner/leaf").await, 2);
        let tree = root.whole_tree();
        let incarnation = |at: &str| tree.find(&path(at)).map(|node| node.incarnation);
        assert_eq!(incarnation("root/inner/leaf"), Some(2));
        assert_eq!(incarnation("root/inner/other"), Some(1));
        assert_eq!(incarnation("root/inner"), Some(1));
        assert_eq!(incarnation("root/aunt"), Some(1));
        root.shutdown().await;
        assert_eq!(root.alive(), Census::default());
    });
}

#[test]
fn a_kill_drops_the_actor_and_what_it_waits_for_in_mid_await() {
    in_virtual_time(async {
        let log = Log::default();
        let (spec, mailbox) = good(&log, "a");
        let (root, mut events) = up(patient("root").child(spec)).await;
        mailbox
            .send(Order::HoldAcrossAwait("let go"))
            .expect("there is room");
        tokio::task::yield_now().await;
        root.kill(&path("root/a")).expect("it lives");
        assert_eq!(stopped(&mut events, "root/a").await, ExitReason::Killed);
        let lines = log.take();
        assert!(lines.contains(&"a#1 dropped".to_owned()), "{lines:?}");
        assert!(lines.contains(&"a#1 let go".to_owned()), "{lines:?}");
        assert!(!lines.contains(&"a#1 stopping".to_owned()), "{lines:?}");
        started(&mut events, "root/a").await;
        assert_eq!(
            root.kill(&path("root/nobody")),
            Err(KillError::Unknown(path("root/nobody")))
        );
        root.shutdown().await;
        assert_eq!(root.alive(), Census::default());
    });
}
