//! Real threads, random kills.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::support::*;
use crate::supervision::*;

struct Count;

impl actix::Message for Count {
    type Result = ();
}

impl Classified for Count {
    fn class(&self) -> MessageClass {
        MessageClass::Word
    }
}

struct Counter {
    child: ChildContext,
    inbox: Inbox<Count>,
    handled: Arc<AtomicUsize>,
}

impl actix::Actor for Counter {
    type Context = actix::Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.inbox.attach(ctx, &self.child);
    }
}

impl actix::Handler<Count> for Counter {
    type Result = ();

    fn handle(&mut self, _: Count, _: &mut Self::Context) {
        self.handled.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn kills_at_any_moment_on_any_thread_lose_and_double_no_message() {
    const ACTORS: usize = 12;
    const MESSAGES: usize = 20_000;
    actix::System::new().block_on(async {
        let handled = Arc::new(AtomicUsize::new(0));
        let mut spec = patient("root");
        let mut mailboxes = Vec::new();
        for n in 0..ACTORS {
            let (mailbox, inbox) = mailbox::channel(MailboxSpec::new("count"));
            mailboxes.push(mailbox);
            let handled = Arc::clone(&handled);
            spec = spec.child(ChildSpec::worker(n.to_string(), move |child| Counter {
                child,
                inbox: inbox.clone(),
                handled: Arc::clone(&handled),
            }));
        }
        let root = start_root(
            spec,
            RootOptions {
                arbiters: 3,
                ..RootOptions::default()
            },
        );
        root.ready().await.expect("the tree comes up");
        let mut rng = StdRng::seed_from_u64(11);
        let mut kills = 0;
        for _ in 0..MESSAGES {
            let target = rng.random_range(0..ACTORS);
            mailboxes[target].deliver(Count).await.expect("it is read");
            // The kernel lives on this thread too.
            tokio::task::yield_now().await;
            if rng.random_bool(0.05) {
                let victim = path("root").join(&rng.random_range(0..ACTORS).to_string());
                kills += usize::from(root.kill(&victim).is_ok());
            }
        }
        while handled.load(Ordering::Relaxed) < MESSAGES {
            tokio::task::yield_now().await;
        }
        assert!(kills > 100, "{kills}");
        root.shutdown().await;
        assert_eq!(handled.load(Ordering::Relaxed), MESSAGES);
        while root.alive() != Census::default() {
            tokio::task::yield_now().await;
        }
    });
}
