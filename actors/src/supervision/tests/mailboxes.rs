//! Mailboxes outlive their readers, stay within their bounds, and answer for it.

use std::time::Duration;

use tokio::time::Instant;

use super::support::*;
use crate::supervision::*;

struct Tick(MessageClass, u32);

impl Classified for Tick {
    fn class(&self) -> MessageClass {
        self.0
    }
}

fn ticks(audio: usize, word: usize) -> (Mailbox<Tick>, Inbox<Tick>) {
    let wait = Overflow::Wait {
        deadline: Duration::from_secs(2),
    };
    mailbox::channel(
        MailboxSpec::new("ticks")
            .class(MessageClass::Audio, audio, Overflow::DropOldest)
            .class(MessageClass::Word, word, wait),
    )
}

#[test]
fn a_mailbox_stays_within_its_bound_with_a_thousand_cloned_senders() {
    in_virtual_time(async {
        let (mailbox, inbox) = ticks(10, 20);
        let mut waiting = Vec::new();
        for n in 0..1000 {
            let (audio, word) = (mailbox.clone(), mailbox.clone());
            audio
                .send(Tick(MessageClass::Audio, n))
                .expect("audio always goes in");
            waiting.push(tokio::task::spawn_local(async move {
                word.deliver(Tick(MessageClass::Word, n)).await
            }));
            tokio::task::yield_now().await;
            assert!(inbox.depth() <= 30);
        }
        assert_eq!(inbox.depth(), 30);
        assert_eq!(inbox.drops(), 990);
        assert_eq!(mailbox.senders(), 981, "those who wait and the first");
        let mut delivered = 0;
        for task in waiting {
            match task.await.expect("no sender panics") {
                Ok(()) => delivered += 1,
                Err(error) => assert_eq!(error, SendError::Deadline),
            }
        }
        assert_eq!(delivered, 20, "nobody reads");
        assert_eq!(mailbox.senders(), 1);
        assert_eq!(inbox.depth(), 30);
        let figures = inbox.figures();
        assert_eq!(figures.capacity, 10 + 20 + 64);
        assert_eq!(figures.classes[0].dropped, 990);
        assert_eq!(figures.classes[1].expired, 980);
    });
}

#[test]
fn a_message_enqueued_during_a_restart_is_delivered_to_the_next_life() {
    in_virtual_time(async {
        let log = Log::default();
        let (spec, mailbox) = good(&log, "a");
        let minute = Backoff {
            initial: Duration::from_secs(60),
            factor: 1.0,
            max: Duration::from_secs(60),
            jitter: 0.0,
        };
        let (root, mut events) = up(patient("root").backoff(minute).child(spec)).await;
        mailbox.send(Order::Panic).expect("there is room");
        mailbox.send(Order::Say("before")).expect("there is room");
        stopped(&mut events, "root/a").await;
        mailbox.send(Order::Say("during")).expect("there is room");
        started(&mut events, "root/a").await;
        mailbox.send(Order::Say("after")).expect("there is room");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(
            log.take(),
            [
                "a#1 started",
                "a#1 dropped",
                "a#2 started",
                "a#2 before",
                "a#2 during",
                "a#2 after"
            ]
        );
        root.shutdown().await;
        drop(root);
        assert_eq!(
            mailbox.send(Order::Stop),
            Err(SendError::Closed),
            "the factory, and the inbox with it, is gone"
        );
    });
}

#[test]
fn a_reader_that_lets_a_sender_wait_past_the_deadline_is_failed() {
    in_virtual_time(async {
        let log = Log::default();
        let (spec, mailbox) = good(&log, "a");
        let (root, mut events) = up(patient("root").child(spec)).await;
        mailbox.send(Order::HangAsync).expect("there is room");
        tokio::task::yield_now().await;
        while mailbox.send(Order::Say("fill")).is_ok() {}
        let begun = Instant::now();
        assert_eq!(
            mailbox.deliver(Order::Say("late")).await,
            Err(SendError::Deadline)
        );
        let waited = Instant::now() - begun;
        assert!(waited >= Duration::from_secs(2) && waited < Duration::from_secs(3));
        until(&mut events, "root/a", |what| {
            matches!(
                what,
                Happening::MailboxFull {
                    class: MessageClass::Control,
                    deadline_passed: true,
                    ..
                }
            )
        })
        .await;
        let ExitReason::Failed(why) = stopped(&mut events, "root/a").await else {
            panic!("the reader is failed");
        };
        assert!(
            why.contains("mailbox a had no room for a control message within 2s"),
            "{why}"
        );
        assert_eq!(started(&mut events, "root/a").await, 2);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(mailbox.depth(), 0, "the next life has read them all");
        let fills = log.take().iter().filter(|l| *l == "a#2 fill").count();
        assert_eq!(fills, 64);
        root.shutdown().await;
    });
}

#[test]
fn messages_of_all_classes_are_read_in_the_order_they_were_sent() {
    in_virtual_time(async {
        let (mailbox, inbox) = ticks(2, 4);
        let (give, mut read) = tokio::sync::mpsc::channel(16);
        let spec = ChildSpec::worker("reader", move |child: ChildContext| {
            let (inbox, give) = (inbox.clone(), give.clone());
            Reader { child, inbox, give }
        });
        for (class, n) in [
            (MessageClass::Audio, 0),
            (MessageClass::Word, 1),
            (MessageClass::Audio, 2),
            (MessageClass::Control, 3),
            (MessageClass::Audio, 4),
            (MessageClass::Word, 5),
        ] {
            mailbox.send(Tick(class, n)).expect("there is room");
        }
        let (root, mut events) = up(patient("root").child(spec)).await;
        let mut order = Vec::new();
        for _ in 0..5 {
            order.push(read.recv().await.expect("five are left"));
        }
        assert_eq!(order, [1, 2, 3, 4, 5], "audio 0 gave way to audio 4");
        let reader = root.snapshot(&path("root/reader")).expect("it is there");
        assert_eq!(reader.mailboxes.len(), 1);
        assert_eq!(reader.mailboxes[0].dropped, 1);
        // An overload of audio is one event, however many messages it drops.
        for n in 0..1000 {
            mailbox
                .send(Tick(MessageClass::Audio, n))
                .expect("audio always goes in");
        }
        until(&mut events, "root/reader", |what| {
            matches!(
                what,
                Happening::MailboxFull {
                    deadline_passed: false,
                    ..
                }
            )
        })
        .await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(events.try_next().is_none());
        root.shutdown().await;
    });
}

struct Reader {
    child: ChildContext,
    inbox: Inbox<Tick>,
    give: tokio::sync::mpsc::Sender<u32>,
}

impl actix::Actor for Reader {
    type Context = actix::Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.inbox.attach(ctx, &self.child);
    }
}

impl actix::Message for Tick {
    type Result = ();
}

impl actix::Handler<Tick> for Reader {
    type Result = ();

    fn handle(&mut self, tick: Tick, _: &mut Self::Context) {
        // Nobody listens once the test has read what it wants.
        let _ = self.give.try_send(tick.1);
    }
}
