//! What the kernel promises, one promise a test, in virtual time.

mod escalation;
mod support;
