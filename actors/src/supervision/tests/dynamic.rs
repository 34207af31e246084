//! Children that are added, stopped and restarted by request.

use super::support::*;
use crate::supervision::*;

#[test]
fn a_child_can_be_added_and_stopped_and_added_again() {
    in_virtual_time(async {
        let log = Log::default();
        let (root, _) = up(patient("root")).await;
        let (spec, mailbox) = good(&log, "a");
        assert_eq!(root.start_child(spec.clone()).await, Ok(path("root/a")));
        assert_eq!(
            root.start_child(spec.clone()).await,
            Err(StartChildError::AlreadyPresent(path("root/a")))
        );
        mailbox.send(Order::Say("hello")).expect("there is room");
        tokio::task::yield_now().await;
        assert_eq!(root.terminate_child("a").await, Ok(()));
        assert_eq!(
            root.terminate_child("a").await,
            Err(ChildError::Unknown(path("root/a")))
        );
        assert_eq!(root.start_child(spec).await, Ok(path("root/a")));
        root.shutdown().await;
        let (late, _late) = good(&log, "late");
        assert_eq!(
            root.start_child(late).await,
            Err(StartChildError::NotRunning(path("root")))
        );
    });
}

#[test]
fn a_child_whose_first_start_fails_is_an_error_and_is_forgotten() {
    in_virtual_time(async {
        let log = Log::default();
        let (root, _) = up(patient("root")).await;
        let (spec, mailbox) = actor(&log, "a", Manner::PanicsInStarted);
        assert!(matches!(
            root.start_child(spec).await,
            Err(StartChildError::Failed { .. })
        ));
        assert!(mailbox.is_closed());
        assert!(root.whole_tree().children.is_empty());
        root.shutdown().await;
    });
}

#[test]
fn a_child_of_the_spec_that_was_stopped_stays_in_the_tree_and_can_be_restarted() {
    in_virtual_time(async {
        let log = Log::default();
        let (spec, _mailbox) = good(&log, "a");
        let (root, mut events) = up(patient("root").child(spec)).await;
        root.terminate_child("a").await.expect("it is known");
        let state = |root: &SupervisorHandle| root.snapshot(&path("root/a")).map(|a| a.state);
        assert_eq!(state(&root), Some(NodeState::Stopped));
        root.restart_child("a", "by hand")
            .await
            .expect("it is known");
        assert_eq!(started(&mut events, "root/a").await, 2);
        assert_eq!(state(&root), Some(NodeState::Running));
        root.shutdown().await;
    });
}

#[test]
fn a_requested_restart_takes_the_later_ones_along_and_does_not_count() {
    in_virtual_time(async {
        let log = Log::default();
        let (a, _a) = good(&log, "a");
        let (b, _b) = good(&log, "b");
        let tree = SupervisorSpec::new("root")
            .strategy(Strategy::RestForOne)
            .intensity(0, std::time::Duration::from_secs(1))
            .child(a)
            .child(b);
        let (root, mut events) = up(tree).await;
        for life in 2..10 {
            root.restart_child("a", "new settings")
                .await
                .expect("it is known");
            assert_eq!(started(&mut events, "root/b").await, life);
        }
        assert_eq!(root.whole_tree().children[0].restarts, 8);
        root.shutdown().await;
    });
}

#[test]
fn an_actor_starts_siblings_through_its_own_supervisor() {
    in_virtual_time(async {
        struct Host(ChildContext, ChildSpec);
        impl actix::Actor for Host {
            type Context = actix::Context<Self>;
            fn started(&mut self, _: &mut Self::Context) {
                let (supervisor, guest) = (self.0.supervisor().clone(), self.1.clone());
                self.0.spawn_linked(async move {
                    supervisor.start_child(guest).await.expect("it starts");
                });
            }
        }
        let log = Log::default();
        let (guest, _guest) = good(&log, "guest");
        let spec = ChildSpec::worker("host", move |child| Host(child, guest.clone()));
        let (root, mut events) = up(patient("root")).await;
        root.start_child(spec).await.expect("it starts");
        started(&mut events, "root/guest").await;
        root.shutdown().await;
        assert_eq!(root.alive(), Census::default());
    });
}
