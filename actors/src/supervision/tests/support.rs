//! A scripted actor and the stage to run it on.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, Running, WrapFuture};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::supervision::*;

/// Runs a test on a paused clock that jumps ahead when nothing else is to be done.
pub(super) fn in_virtual_time(test: impl Future<Output = ()>) {
    actix::System::new().block_on(async {
        tokio::time::pause();
        test.await;
    });
}

/// Something to block a thread on, and what releases it.
#[allow(
    clippy::disallowed_methods,
    reason = "the one place where a thread is blocked on purpose; one message at most"
)]
pub(super) fn blocker() -> (std::sync::mpsc::Sender<()>, std::sync::mpsc::Receiver<()>) {
    std::sync::mpsc::channel()
}

/// What the scripted actor is told to do.
pub(super) enum Order {
    /// Log a word.
    Say(&'static str),
    /// Panic in the handler.
    Panic,
    /// Panic in a future of actix's context.
    PanicInContextFuture,
    /// Panic in a future linked through the kernel.
    PanicInLinkedFuture,
    /// Wait in `ctx.wait` for what never comes.
    HangAsync,
    /// Owe progress and make none.
    StallWork,
    /// Make no progress for so long, in a protect zone.
    WorkProtected(Duration),
    /// Block the thread until released.
    Block(std::sync::mpsc::Receiver<()>, oneshot::Sender<()>),
    /// The same in a protect zone.
    BlockProtected(std::sync::mpsc::Receiver<()>, oneshot::Sender<()>),
    /// Fail on purpose.
    Fail,
    /// Stop normally.
    Stop,
    /// Hold something that logs when it is dropped, across an await that never ends.
    HoldAcrossAwait(&'static str),
}

impl Message for Order {
    type Result = ();
}

impl Classified for Order {
    fn class(&self) -> MessageClass {
        MessageClass::Control
    }
}

/// What happened, in order, as `id#incarnation what`.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(super) fn push(&self, line: impl Into<String>) {
        self.0.lock().push(line.into());
    }

    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock())
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.0.lock().clone()
    }
}

/// Logs when it is dropped.
pub(super) struct Dropped(pub(super) Log, pub(super) String);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.push(self.1.clone());
    }
}

/// How an actor behaves without being told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Manner {
    #[default]
    Well,
    /// Panics in `started`.
    PanicsInStarted,
    /// Panics in its factory.
    PanicsInFactory,
    /// Panics in `started` of its first life only.
    PanicsInFirstStarted,
    /// Refuses to stop.
    IgnoresStop,
    /// Panics in `Drop`.
    PanicsInDrop,
}

/// A scripted child and the mailbox to order it about with.
pub(super) fn actor(log: &Log, id: &'static str, manner: Manner) -> (ChildSpec, Mailbox<Order>) {
    let (mailbox, inbox) = mailbox::channel(MailboxSpec::new(id));
    let log = log.clone();
    let spec = ChildSpec::worker(id, move |child: ChildContext| {
        assert!(manner != Manner::PanicsInFactory, "broken in the factory");
        Scripted {
            name: format!("{id}#{}", child.incarnation),
            inbox: inbox.clone(),
            log: log.clone(),
            manner,
            child,
        }
    });
    (spec, mailbox)
}

/// A child that behaves.
pub(super) fn good(log: &Log, id: &'static str) -> (ChildSpec, Mailbox<Order>) {
    actor(log, id, Manner::Well)
}

/// Without backoff and with room for any number of restarts, unless a test is about those.
pub(super) fn patient(id: &'static str) -> SupervisorSpec {
    SupervisorSpec::new(id)
        .intensity(u32::MAX, Duration::from_secs(1))
        .backoff(Backoff::NONE)
}

/// Starts the tree and waits until it is up.
pub(super) async fn up(spec: SupervisorSpec) -> (SupervisorHandle, EventStream) {
    let root = start_root(spec, RootOptions::default());
    root.ready().await.expect("the tree comes up");
    let events = root.events();
    (root, events)
}

/// The next event about `path` for which `wanted` holds.
pub(super) async fn until(
    events: &mut EventStream,
    path: &str,
    wanted: impl Fn(&Happening) -> bool,
) -> Arc<SupervisionEvent> {
    loop {
        let event = events.next().await.expect("the tree is alive");
        if event.path.as_str() == path && wanted(&event.what) {
            return event;
        }
    }
}

/// Waits for the next life of `path` to be up.
pub(super) async fn started(events: &mut EventStream, path: &str) -> u64 {
    until(events, path, |what| *what == Happening::Started)
        .await
        .incarnation
}

/// Waits for the end of a life of `path` and says why it ended.
pub(super) async fn stopped(events: &mut EventStream, path: &str) -> ExitReason {
    let event = until(events, path, |what| {
        matches!(what, Happening::Stopped { .. })
    })
    .await;
    match &event.what {
        Happening::Stopped { reason } => reason.clone(),
        other => panic!("{other:?} is not an end"),
    }
}

pub(super) fn path(text: &str) -> ChildPath {
    ChildPath::parse(text)
}

pub(super) struct Scripted {
    child: ChildContext,
    inbox: Inbox<Order>,
    log: Log,
    manner: Manner,
    name: String,
}

impl Scripted {
    fn say(&self, what: &str) {
        self.log.push(format!("{} {what}", self.name));
    }
}

impl Actor for Scripted {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if self.manner == Manner::PanicsInStarted
            || (self.manner == Manner::PanicsInFirstStarted && self.child.incarnation == 1)
        {
            panic!("broken in started");
        }
        self.say("started");
        self.inbox.attach(ctx, &self.child);
    }

    fn stopping(&mut self, _: &mut Self::Context) -> Running {
        self.say("stopping");
        if self.manner == Manner::IgnoresStop {
            Running::Continue
        } else {
            Running::Stop
        }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.say("dropped");
        if self.manner == Manner::PanicsInDrop {
            panic!("broken in drop");
        }
    }
}

impl Handler<Order> for Scripted {
    type Result = ();

    fn handle(&mut self, order: Order, ctx: &mut Self::Context) {
        match order {
            Order::Say(word) => self.say(word),
            Order::Panic => panic!("broken in a handler"),
            Order::PanicInContextFuture => {
                ctx.spawn(PanicFuture);
            }
            Order::PanicInLinkedFuture => self.child.spawn_linked(async {
                tokio::task::yield_now().await;
                panic!("broken in a linked future");
            }),
            Order::HangAsync => {
                ctx.wait(std::future::pending::<()>().into_actor(self));
            }
            Order::StallWork => {
                let work = self.child.working();
                self.child.spawn_linked(async move {
                    let _work = work;
                    std::future::pending::<()>().await;
                });
            }
            Order::WorkProtected(time) => {
                let zone = self.child.protect_zone();
                ctx.wait(
                    async move {
                        tokio::time::sleep(time).await;
                        drop(zone);
                    }
                    .into_actor(self),
                );
            }
            Order::Block(release, blocking) => {
                let _ = blocking.send(());
                let _ = release.recv();
                self.say("unblocked");
            }
            Order::BlockProtected(release, blocking) => {
                let _zone = self.child.protect_zone();
                let _ = blocking.send(());
                let _ = release.recv();
            }
            Order::Fail => self.child.fail("as told"),
            Order::Stop => ctx.stop(),
            Order::HoldAcrossAwait(word) => {
                let held = Dropped(self.log.clone(), format!("{} {word}", self.name));
                ctx.wait(
                    async move {
                        std::future::pending::<()>().await;
                        drop(held);
                    }
                    .into_actor(self),
                );
            }
        }
    }
}

/// An actor future that panics when polled.
struct PanicFuture;

impl<A: Actor> actix::fut::ActorFuture<A> for PanicFuture {
    type Output = ();

    fn poll(
        self: std::pin::Pin<&mut Self>,
        _: &mut A,
        _: &mut A::Context,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<()> {
        panic!("broken in a context future");
    }
}
