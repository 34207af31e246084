//! The task that runs one actor.
//!
//! The kernel does not let actix spawn the actor. It polls actix's own context future inside a task
//! of its own, so that a panic is caught with its message, a kill drops the actor wherever it waits,
//! and the end is reported exactly once, whatever the end was (the task's own `Drop` reports too).

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use actix::dev::ContextFut;
use actix::fut::ActorFuture;
use actix::{Actor, ActorContext, AsyncContext, Context};
use futures_util::future::LocalBoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::census::Counted;
use super::context::{ChildContext, LinkedQueue};
use super::exit::{ExitReason, panic_message};
use super::handle::SupervisorHandle;
use super::incarnation::Incarnation;
use super::progress::Progress;

/// Starts an incarnation on the thread it is called on.
pub(crate) type Launch = Arc<dyn Fn(Arc<Incarnation>, SupervisorHandle) + Send + Sync>;

/// Erases the actor's type from its factory.
pub(crate) fn launcher<A, F>(factory: F) -> Launch
where
    A: Actor<Context = Context<A>>,
    F: Fn(ChildContext) -> A + Send + Sync + 'static,
{
    let factory = Arc::new(factory);
    Arc::new(move |incarnation, parent| {
        let task = ActorTask::new(Arc::clone(&factory), incarnation, parent);
        tokio::task::spawn_local(task);
    })
}

struct ActorTask<A: Actor<Context = Context<A>>, F> {
    incarnation: Arc<Incarnation>,
    parent: Option<SupervisorHandle>,
    factory: Arc<F>,
    body: Option<Body<A>>,
    started: bool,
    stop_passed_on: bool,
    ended: bool,
    _counted: Counted,
}

/// What is dropped when the actor ends.
struct Body<A: Actor<Context = Context<A>>> {
    future: ContextFut<A, Context<A>>,
    incoming: LinkedQueue,
    linked: FuturesUnordered<LocalBoxFuture<'static, ()>>,
    _counted: Counted,
}

impl<A: Actor<Context = Context<A>>> Drop for Body<A> {
    fn drop(&mut self) {
        // actix polls a context that is dropped alive, which would run the actor's code once more,
        // after a panic too. A terminated context is only dropped.
        self.future.ctx().terminate();
        let incoming = self.incoming.borrow_mut().take();
        drop(incoming);
    }
}

/// Answers the kernel's pings from inside the actor's context.
struct Heartbeat(Progress);

impl<A: Actor> ActorFuture<A> for Heartbeat {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        _actor: &mut A,
        _ctx: &mut A::Context,
        _task: &mut TaskContext<'_>,
    ) -> Poll<()> {
        self.0.answer();
        Poll::Pending
    }
}

impl<A, F> ActorTask<A, F>
where
    A: Actor<Context = Context<A>>,
    F: Fn(ChildContext) -> A + Send + Sync + 'static,
{
    fn new(factory: Arc<F>, incarnation: Arc<Incarnation>, parent: SupervisorHandle) -> Self {
        ActorTask {
            _counted: parent.census().task(),
            incarnation,
            parent: Some(parent),
            factory,
            body: None,
            started: false,
            stop_passed_on: false,
            ended: false,
        }
    }

    /// One poll of the actor and what is linked to it; the reason when it is over.
    fn advance(&mut self, task: &mut TaskContext<'_>) -> Option<ExitReason> {
        if let Some(parent) = self.parent.take() {
            let census = parent.census().clone();
            let child = ChildContext::new(Arc::clone(&self.incarnation), parent);
            let incoming = child.linked();
            let actor = (self.factory)(child);
            let mut future = Context::new().into_future(actor);
            future
                .ctx()
                .spawn(Heartbeat(self.incarnation.progress().clone()));
            self.body = Some(Body {
                future,
                incoming,
                linked: FuturesUnordered::new(),
                _counted: census.actor(),
            });
        }
        let body = self.body.as_mut()?;
        if self.incarnation.asked_to_stop() && !self.stop_passed_on {
            self.stop_passed_on = true;
            body.future.ctx().stop();
        }
        let over = Pin::new(&mut body.future).poll(task).is_ready();
        if let Some(reason) = self.incarnation.doomed() {
            return Some(reason);
        }
        if over {
            return Some(if self.incarnation.asked_to_stop() {
                ExitReason::Shutdown
            } else {
                ExitReason::Normal
            });
        }
        loop {
            let incoming = body
                .incoming
                .borrow_mut()
                .as_mut()
                .map(std::mem::take)
                .unwrap_or_default();
            let nothing_new = incoming.is_empty();
            body.linked.extend(incoming);
            match body.linked.poll_next_unpin(task) {
                Poll::Ready(Some(())) => {}
                Poll::Ready(None) | Poll::Pending if nothing_new => break,
                Poll::Ready(None) | Poll::Pending => {}
            }
        }
        if let Some(reason) = self.incarnation.doomed() {
            return Some(reason);
        }
        if !self.started {
            self.started = true;
            self.incarnation.report_started();
        }
        None
    }

    /// Drops the actor and reports its end.
    fn end(&mut self, reason: ExitReason) {
        self.ended = true;
        let body = self.body.take();
        let reason = match catch_unwind(AssertUnwindSafe(|| drop(body))) {
            Ok(()) => reason,
            Err(payload) => ExitReason::Panicked(panic_message(payload)),
        };
        self.incarnation.report_end(reason);
    }
}

impl<A, F> Future for ActorTask<A, F>
where
    A: Actor<Context = Context<A>>,
    F: Fn(ChildContext) -> A + Send + Sync + 'static,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(());
        }
        this.incarnation.register(task.waker());
        this.incarnation.set_polling(true);
        let over = this.incarnation.doomed().or_else(|| {
            catch_unwind(AssertUnwindSafe(|| this.advance(task)))
                .unwrap_or_else(|payload| Some(ExitReason::Panicked(panic_message(payload))))
        });
        if let Some(reason) = over {
            this.end(reason);
        }
        this.incarnation.set_polling(false);
        if this.ended {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl<A: Actor<Context = Context<A>>, F> Drop for ActorTask<A, F> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // The thread is ending under the actor.
        let body = self.body.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(body)));
        let reason = self.incarnation.doomed().unwrap_or(ExitReason::ArbiterLost);
        self.incarnation.report_end(reason);
    }
}
