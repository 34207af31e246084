//! The future that asynchronous engines return.

use std::future::Future;
use std::pin::Pin;

/// A boxed future, so that engine traits can be used as trait objects.
pub type EngineFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
