//! The reading end of a mailbox.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll};

use actix::dev::MessageResponse;
use actix::fut::ActorFuture;
use actix::{Actor, AsyncContext, Context, Handler, SpawnHandle};
use futures_util::Stream;

use super::super::context::ChildContext;
use super::queue::{Shared, Taken};
use super::{Classified, Gauge, MailboxFigures};

/// Messages handled in one go before other futures of the thread get their turn.
const BATCH: usize = 32;

/// The reading end. Keep a clone in the child's factory; each incarnation attaches in `started` and
/// goes on where the one before stopped. The mailbox closes when the last clone is dropped.
pub struct Inbox<M> {
    shared: Arc<Shared<M>>,
}

impl<M: Classified + Send + 'static> Inbox<M> {
    pub(super) fn new(shared: Arc<Shared<M>>) -> Self {
        shared.inboxes.fetch_add(1, Ordering::Relaxed);
        Inbox { shared }
    }

    /// Handles every message of the mailbox with this actor's `Handler<M>`, from now until the
    /// incarnation ends or another one attaches. Call it in `started`. While the actor waits in
    /// `ctx.wait` nothing is taken out, so the mailbox's bound is what holds senders back.
    pub fn attach<A>(&self, ctx: &mut Context<A>, child: &ChildContext) -> SpawnHandle
    where
        A: Actor<Context = Context<A>> + Handler<M>,
        M: actix::Message,
    {
        ctx.spawn(Pump {
            messages: self.stream(child),
        })
    }

    /// The messages as a stream, for `add_stream` or a future of one's own. It ends when another
    /// incarnation attaches, this one is over, or all senders are gone.
    pub fn stream(&self, child: &ChildContext) -> InboxStream<M> {
        let incarnation = child.incarnation_record();
        let gauge: Arc<dyn Gauge> = Arc::clone(&self.shared) as Arc<dyn Gauge>;
        incarnation.node().adopt_mailbox(&gauge);
        InboxStream {
            lease: self.shared.lease(incarnation, child.bus()),
            inbox: self.clone(),
        }
    }

    /// Messages waiting, all classes together.
    pub fn depth(&self) -> usize {
        self.shared.depth()
    }

    /// Messages dropped since the mailbox was made.
    pub fn drops(&self) -> u64 {
        self.figures().dropped
    }

    /// Depth, bounds and drops at this moment.
    pub fn figures(&self) -> MailboxFigures {
        self.shared.figures()
    }
}

impl<M> Clone for Inbox<M> {
    fn clone(&self) -> Self {
        self.shared.inboxes.fetch_add(1, Ordering::Relaxed);
        Inbox {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<M> Drop for Inbox<M> {
    fn drop(&mut self) {
        if self.shared.inboxes.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.close();
        }
    }
}

impl<M> fmt::Debug for Inbox<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inbox({})", self.shared.spec.name)
    }
}

/// See [`Inbox::stream`].
pub struct InboxStream<M> {
    inbox: Inbox<M>,
    lease: u64,
}

impl<M: Classified + Send + 'static> Stream for InboxStream<M> {
    type Item = M;

    fn poll_next(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<M>> {
        match self.inbox.shared.take(self.lease, task.waker()) {
            Taken::Message(message) => Poll::Ready(Some(message)),
            Taken::Empty => Poll::Pending,
            Taken::Over => Poll::Ready(None),
        }
    }
}

impl<M> Drop for InboxStream<M> {
    fn drop(&mut self) {
        self.inbox.shared.release(self.lease);
    }
}

impl<M> fmt::Debug for InboxStream<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InboxStream({})", self.inbox.shared.spec.name)
    }
}

/// Moves messages from the mailbox to the actor's handler, inside the actor's context.
struct Pump<M> {
    messages: InboxStream<M>,
}

impl<A, M> ActorFuture<A> for Pump<M>
where
    A: Actor<Context = Context<A>> + Handler<M>,
    M: actix::Message + Classified + Send + 'static,
{
    type Output = ();

    fn poll(
        mut self: Pin<&mut Self>,
        actor: &mut A,
        ctx: &mut Context<A>,
        task: &mut TaskContext<'_>,
    ) -> Poll<()> {
        for _ in 0..BATCH {
            match Pin::new(&mut self.messages).poll_next(task) {
                Poll::Ready(Some(message)) => {
                    actor.handle(message, ctx).handle(ctx, None);
                    if ctx.waiting() {
                        // The context polls this again once it no longer waits.
                        return Poll::Pending;
                    }
                }
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        task.waker().wake_by_ref();
        Poll::Pending
    }
}
