//! What the kernel promises, one promise a test, in virtual time.

mod chaos;
mod dynamic;
mod escalation;
mod hangs;
mod leaks;
mod mailboxes;
mod panics;
mod shutdown;
mod strategies;
mod support;
