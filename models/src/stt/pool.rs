//! Decoders made ahead of need, because one takes half a second and 100 MB.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tracing::{debug, warn};

use super::SpeechToText;
use super::pocketsphinx::{CreateDecoderError, Decoder, Model};

/// Why no decoder was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckoutError {
    /// A decoder was needed and could not be made.
    #[error(transparent)]
    Create(#[from] CreateDecoderError),
    /// The pool was dropped while the caller waited.
    #[error("the pool of speech recognisers has been shut down")]
    ShutDown,
}

/// The pool at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStats {
    /// Decoders that exist or are being made.
    pub live: usize,
    /// Decoders ready to be given.
    pub idle: usize,
    /// Callers waiting.
    pub waiting: usize,
}

/// A bounded pool of decoders. Dropping it lets those given out live until they are dropped.
#[derive(Debug)]
pub struct DecoderPool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    model: Model,
    warm: usize,
    max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Decoder>,
    waiting: VecDeque<oneshot::Sender<Result<Decoder, CreateDecoderError>>>,
    /// Decoders that exist or are being made.
    live: usize,
    /// Those being made.
    making: usize,
    closed: bool,
}

impl DecoderPool {
    /// A pool that makes `warm` decoders at once, in the background, and never has more than `max`
    /// (at least 1) of them.
    pub fn new(model: Model, warm: usize, max: usize) -> DecoderPool {
        let max = max.max(1);
        let shared = Arc::new(Shared {
            model,
            warm: warm.min(max),
            max,
            state: Mutex::default(),
        });
        shared.replenish();
        DecoderPool { shared }
    }

    /// A decoder; waits for one to be made or, when `max` are out, to be returned. First come, first
    /// served; dropping the future gives up the place.
    pub async fn checkout(&self) -> Result<PooledDecoder, CheckoutError> {
        let receiver = {
            let mut state = self.shared.state.lock();
            if let Some(decoder) = state.idle.pop() {
                return Ok(PooledDecoder::new(decoder, &self.shared));
            }
            let (sender, receiver) = oneshot::channel();
            state.waiting.push_back(sender);
            receiver
        };
        self.shared.replenish();
        // A decoder handed to a future that is dropped before it looks is freed with the channel, and
        // its place in the pool with it.
        let mut handed = Handed {
            receiver,
            shared: Some(&self.shared),
        };
        let result = (&mut handed.receiver).await;
        handed.shared = None;
        match result {
            Ok(Ok(decoder)) => Ok(PooledDecoder::new(decoder, &self.shared)),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(CheckoutError::ShutDown),
        }
    }

    /// A decoder if one is ready now.
    pub fn try_checkout(&self) -> Option<PooledDecoder> {
        let decoder = self.shared.state.lock().idle.pop()?;
        Some(PooledDecoder::new(decoder, &self.shared))
    }

    /// The pool now.
    pub fn stats(&self) -> PoolStats {
        let state = self.shared.state.lock();
        let waiting = state
            .waiting
            .iter()
            .filter(|sender| !sender.is_closed())
            .count();
        PoolStats {
            live: state.live,
            idle: state.idle.len(),
            waiting,
        }
    }
}

impl Drop for DecoderPool {
    fn drop(&mut self) {
        let (idle, waiting) = {
            let mut state = self.shared.state.lock();
            state.closed = true;
            state.live -= state.idle.len();
            (
                std::mem::take(&mut state.idle),
                std::mem::take(&mut state.waiting),
            )
        };
        drop((idle, waiting));
    }
}

/// A place in the queue that returns what it was handed if nobody takes it.
struct Handed<'a> {
    receiver: oneshot::Receiver<Result<Decoder, CreateDecoderError>>,
    shared: Option<&'a Arc<Shared>>,
}

impl Drop for Handed<'_> {
    fn drop(&mut self) {
        if let Some(shared) = self.shared {
            self.receiver.close();
            if let Ok(Ok(decoder)) = self.receiver.try_recv() {
                shared.give(decoder);
            }
        }
    }
}

impl Shared {
    /// Starts making as many decoders as are wanted and allowed.
    fn replenish(self: &Arc<Self>) {
        let missing = {
            let mut state = self.state.lock();
            state.waiting.retain(|sender| !sender.is_closed());
            if state.closed {
                return;
            }
            let for_waiting = state.waiting.len().saturating_sub(state.making);
            let for_warmth = self.warm.saturating_sub(state.live);
            let missing = for_waiting
                .max(for_warmth)
                .min(self.max.saturating_sub(state.live));
            state.making += missing;
            state.live += missing;
            missing
        };
        if missing == 0 {
            return;
        }
        let shared = Arc::clone(self);
        let spawned = std::thread::Builder::new()
            .name("decoder-maker".into())
            .spawn(move || {
                for _ in 0..missing {
                    shared.make();
                }
            });
        if let Err(error) = spawned {
            let error = CreateDecoderError::NoThread {
                reason: error.to_string(),
            };
            self.state.lock().making -= missing;
            for _ in 0..missing {
                self.failed(error.clone());
            }
        }
    }

    fn make(self: &Arc<Self>) {
        {
            let mut state = self.state.lock();
            if state.closed {
                state.making -= 1;
                state.live -= 1;
                return;
            }
        }
        let made = Decoder::new(&self.model);
        self.state.lock().making -= 1;
        match made {
            Ok(decoder) => {
                debug!("a speech decoder is ready");
                self.give(decoder);
            }
            Err(error) => {
                warn!(%error, "a speech decoder cannot be made");
                self.failed(error);
            }
        }
    }

    /// Hands a decoder to whoever waits longest, or keeps it.
    fn give(&self, mut decoder: Decoder) {
        let mut state = self.state.lock();
        while let Some(sender) = state.waiting.pop_front() {
            match sender.send(Ok(decoder)) {
                Ok(()) => return,
                Err(Ok(returned)) => decoder = returned,
                Err(Err(_)) => return,
            }
        }
        if state.closed {
            state.live -= 1;
        } else {
            state.idle.push(decoder);
        }
    }

    fn failed(&self, error: CreateDecoderError) {
        let mut state = self.state.lock();
        state.live -= 1;
        if let Some(sender) = state.waiting.pop_front() {
            // A caller that has gone needs no error.
            let _ = sender.send(Err(error));
        }
    }
}

/// A decoder on loan. Dropping it abandons an open utterance and returns it to the pool; one whose
/// engine failed is replaced by a fresh one.
#[derive(Debug)]
pub struct PooledDecoder {
    decoder: Option<Decoder>,
    shared: Arc<Shared>,
}

impl PooledDecoder {
    fn new(decoder: Decoder, shared: &Arc<Shared>) -> Self {
        PooledDecoder {
            decoder: Some(decoder),
            shared: Arc::clone(shared),
        }
    }
}

impl Deref for PooledDecoder {
    type Target = Decoder;

    fn deref(&self) -> &Decoder {
        self.decoder
            .as_ref()
            .expect("the decoder is taken only when the loan is dropped")
    }
}

impl DerefMut for PooledDecoder {
    fn deref_mut(&mut self) -> &mut Decoder {
        self.decoder
            .as_mut()
            .expect("the decoder is taken only when the loan is dropped")
    }
}

impl Drop for PooledDecoder {
    fn drop(&mut self) {
        let Some(mut decoder) = self.decoder.take() else {
            return;
        };
        // A panic may have left the engine half-way through a call.
        if !decoder.has_failed() && !std::thread::panicking() {
            decoder.abandon();
        }
        if decoder.has_failed() || std::thread::panicking() {
            drop(decoder);
            self.shared.state.lock().live -= 1;
            self.shared.replenish();
        } else {
            self.shared.give(decoder);
        }
    }
}
