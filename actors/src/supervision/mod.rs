//! The supervision kernel.
//!
//! # The problems it solves
//!
//! An actor system runs for months in front of input nobody foresaw. What goes wrong, and who deals with
//! it:
//!
//! - **An actor panics and nobody hears of it.** With bare actix a panic ends the actor for good and its
//!   senders get errors. Here every actor runs inside a task of the kernel which catches the panic
//!   (in the factory, in `started`, in a handler, in a future, in `Drop`), drops the actor and reports
//!   the message to its [supervisor](SupervisorSpec), which starts a new one.
//! - **A restarted actor keeps the state that broke it.** Here a child is a *factory*
//!   ([`ChildSpec::worker`]). Each life is a new value; what should survive is kept outside on purpose.
//! - **An actor hangs.** It waits for what never comes, or blocks its thread. Every child with
//!   [`ChildSpec::hang_after`] is pinged from inside its own context ([`Progress`]). One that waits is
//!   dropped where it waits. One that blocks its thread cannot be; its thread is written off, the
//!   innocent actors on it move to another ([`ExitReason::ArbiterLost`]), and should it wake up later,
//!   its [`Fence`] says that it no longer counts.
//! - **A restart does not help.** Restarts back off exponentially ([`Backoff`]); more than
//!   [`Intensity`] allows and the supervisor stops what it has and fails itself, so that a larger part
//!   of the system starts afresh ([`Happening::Escalated`]), up to the root.
//! - **One failure makes others wrong.** [`Strategy`] says who restarts with whom, in start order, and
//!   who stops in reverse, each by its own deadline ([`Shutdown`]).
//! - **Memory grows until the process dies.** An `actix::Addr` has one capacity *a clone* and `do_send`
//!   ignores it. A [`Mailbox`] has one bound a class of message whatever the number of senders, and a
//!   policy for when it is reached: old audio gives way; words and orders wait, and a reader that lets
//!   them wait past the deadline is failed. A message sent while its reader is down is read by the next
//!   life.
//! - **Nobody knows what happened.** All of it is told on one bounded stream ([`EventStream`]) that never
//!   slows the kernel; metrics, logs and dashboards are subscribers. [`Tree`] is the state at one moment.
//!
//! The words and their meanings are those of Erlang/OTP's `supervisor`, with three differences. A child
//! of the supervisor's own spec that fails at its first start is retried under the intensity like any
//! other failure, instead of failing the supervisor's start. Restarts back off. A request to restart
//! ([`SupervisorHandle::restart_child`]) and the loss of a thread to a neighbour do not count towards
//! the intensity.
//!
//! # A child
//!
//! ```
//! use std::time::Duration;
//!
//! use actix::{Actor, Context, Handler, Message};
//! use hive_actors::supervision::*;
//!
//! struct Add(u32);
//! impl Message for Add {
//!     type Result = ();
//! }
//! impl Classified for Add {
//!     fn class(&self) -> MessageClass {
//!         MessageClass::Control
//!     }
//! }
//!
//! struct Sum {
//!     child: ChildContext,
//!     inbox: Inbox<Add>,
//!     total: u32,
//! }
//!
//! impl Actor for Sum {
//!     type Context = Context<Self>;
//!     fn started(&mut self, ctx: &mut Self::Context) {
//!         self.inbox.attach(ctx, &self.child);
//!     }
//! }
//!
//! impl Handler<Add> for Sum {
//!     type Result = ();
//!     fn handle(&mut self, Add(n): Add, _: &mut Self::Context) {
//!         self.total += n;
//!         if self.total > 10 {
//!             self.child.fail("the sum is too large");
//!         }
//!     }
//! }
//!
//! actix::System::new().block_on(async {
//!     let (mailbox, inbox) = mailbox::channel(MailboxSpec::new("sum"));
//!     let sum = ChildSpec::worker("sum", move |child| Sum {
//!         child,
//!         inbox: inbox.clone(),
//!         total: 0,
//!     })
//!     .hang_after(Duration::from_secs(2));
//!     let root = start_root(SupervisorSpec::new("root").child(sum), RootOptions::default());
//!     root.ready().await.unwrap();
//!     let mut events = root.events();
//!     mailbox.deliver(Add(11)).await.unwrap();
//!     let event = events.next().await.unwrap();
//!     assert!(matches!(event.what, Happening::Stopped { .. }));
//!     root.shutdown().await;
//! });
//! ```

mod arbiter;
mod backoff;
mod census;
mod context;
mod event;
mod exit;
mod handle;
mod incarnation;
mod intensity;
mod kernel;
pub mod mailbox;
mod millis;
mod path;
mod progress;
mod root;
mod runner;
mod spec;
mod supervisor;
#[cfg(test)]
mod tests;
mod tree;

pub use backoff::Backoff;
pub use census::Census;
pub use context::{ChildContext, Fence};
pub use event::{EventStream, Happening, SupervisionEvent};
pub use exit::ExitReason;
pub use handle::{ChildError, KillError, StartChildError, SupervisorHandle};
pub use intensity::Intensity;
pub use mailbox::{
    ClassFigures, Classified, Inbox, InboxStream, Mailbox, MailboxFigures, MailboxSpec,
    MessageClass, Overflow, SendError,
};
pub use path::ChildPath;
pub use progress::{Progress, ProtectZone, Working};
pub use root::{RootOptions, start_root};
pub use spec::{ChildSpec, Placement, Restart, Shutdown, Strategy, SupervisorSpec};
pub use tree::{NodeKind, NodeState, Tree};
