//! Threads that own a pipeline each and translate what is queued for their pair.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tracing::{debug, warn};

use super::escape;
use super::mode::{DEBIAN_MODES, Mode, StartApertiumError};
use crate::children::{JobQueue, Pipeline};
use crate::mt::{Translate, TranslateError};
use crate::{EngineFuture, LangPair};

/// How many pipelines there are and how long they may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApertiumSettings {
    /// Where the `.mode` files are.
    pub modes: PathBuf,
    /// Pipelines a pair, at least 1: 12 processes and about 110 MB each, started when first needed.
    pub pipelines: usize,
    /// Longest wait for a clause; longer means the pipeline hangs and is replaced.
    pub clause_timeout: Duration,
    /// Longest wait for the first clause of a fresh pipeline, which loads its data.
    pub start_timeout: Duration,
    /// Pipelines that one clause may cost before it is given up.
    pub attempts: u32,
}

impl Default for ApertiumSettings {
    fn default() -> Self {
        ApertiumSettings {
            modes: DEBIAN_MODES.into(),
            pipelines: 2,
            clause_timeout: Duration::from_secs(2),
            start_timeout: Duration::from_secs(10),
            attempts: 3,
        }
    }
}

/// Counts since the pool started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApertiumStats {
    /// Clauses translated.
    pub translated: u64,
    /// Pipelines started in place of one that died or hung.
    pub restarts: u64,
    /// Clauses waiting.
    pub queued: usize,
}

/// A bounded number of pipelines for every installed pair. Dropping it ends them.
#[derive(Debug)]
pub struct ApertiumPool {
    pairs: BTreeMap<LangPair, Arc<Shared>>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    mode: Mode,
    settings: ApertiumSettings,
    queue: JobQueue<Job>,
    /// The processes of each thread's pipeline.
    pids: Mutex<Vec<Vec<u32>>>,
    translated: AtomicU64,
    restarts: AtomicU64,
}

#[derive(Debug)]
struct Job {
    /// None only starts the pipeline.
    clause: Option<String>,
    reply: oneshot::Sender<Result<String, TranslateError>>,
}

impl ApertiumPool {
    /// Finds the pairs that are installed and checks that every program and file of theirs is there.
    pub fn start(settings: ApertiumSettings) -> Result<ApertiumPool, StartApertiumError> {
        let modes = Mode::discover(&settings.modes)?;
        let mut pool = ApertiumPool {
            pairs: BTreeMap::new(),
            threads: Vec::new(),
        };
        for mode in modes {
            let pipelines = settings.pipelines.max(1);
            let shared = Arc::new(Shared {
                mode,
                settings: settings.clone(),
                queue: JobQueue::new(),
                pids: Mutex::new(vec![Vec::new(); pipelines]),
                translated: AtomicU64::new(0),
                restarts: AtomicU64::new(0),
            });
            pool.pairs.insert(shared.mode.pair, Arc::clone(&shared));
            for index in 0..pipelines {
                let shared = Arc::clone(&shared);
                let name = format!("apertium-{}-{index}", shared.mode.pair);
                let thread = std::thread::Builder::new()
                    .name(name)
                    .spawn(move || {
                        Worker {
                            shared,
                            index,
                            pipeline: None,
                            ever_started: false,
                        }
                        .work()
                    })
                    .map_err(|error| StartApertiumError::NoThread {
                        reason: error.to_string(),
                    })?;
                pool.threads.push(thread);
            }
        }
        Ok(pool)
    }

    /// Starts a pipeline of the pair ahead of its first clause; returns when it is ready.
    pub async fn warm(&self, pair: LangPair) -> Result<(), TranslateError> {
        self.submit(pair, None).await.map(|_| ())
    }

    /// Counts over all pairs.
    pub fn stats(&self) -> ApertiumStats {
        let mut stats = ApertiumStats {
            translated: 0,
            restarts: 0,
            queued: 0,
        };
        for shared in self.pairs.values() {
            stats.translated += shared.translated.load(Ordering::Relaxed);
            stats.restarts += shared.restarts.load(Ordering::Relaxed);
            stats.queued += shared.queue.len();
        }
        stats
    }

    /// The process ids of the running pipelines, a list for each, first program first.
    pub fn pids(&self) -> Vec<Vec<u32>> {
        let lists = self
            .pairs
            .values()
            .flat_map(|shared| shared.pids.lock().clone());
        lists.filter(|pids| !pids.is_empty()).collect()
    }

    fn submit(
        &self,
        pair: LangPair,
        clause: Option<String>,
    ) -> impl Future<Output = Result<String, TranslateError>> + Send + use<> {
        let (reply, answer) = oneshot::channel();
        let queued = match self.pairs.get(&pair) {
            None => Err(TranslateError::UnsupportedPair {
                asked: pair,
                available: self.pairs(),
            }),
            Some(shared) => shared
                .queue
                .push(Job { clause, reply })
                .map_err(|_| TranslateError::ShutDown),
        };
        async move {
            queued?;
            answer.await.unwrap_or(Err(TranslateError::ShutDown))
        }
    }
}

impl Translate for ApertiumPool {
    fn pairs(&self) -> Vec<LangPair> {
        self.pairs.keys().copied().collect()
    }

    fn translate(
        &self,
        pair: LangPair,
        clause: &str,
    ) -> EngineFuture<'_, Result<String, TranslateError>> {
        Box::pin(self.submit(pair, Some(clause.to_owned())))
    }
}

impl Drop for ApertiumPool {
    fn drop(&mut self) {
        for shared in self.pairs.values() {
            shared.queue.close();
        }
        for thread in self.threads.drain(..) {
            // A panic in it has been reported by the panic hook, and its children are dead.
            let _ = thread.join();
        }
    }
}

/// One thread with its pipeline.
struct Worker {
    shared: Arc<Shared>,
    index: usize,
    pipeline: Option<Pipeline>,
    ever_started: bool,
}

impl Worker {
    fn work(mut self) {
        let shared = Arc::clone(&self.shared);
        while let Some(job) = shared.queue.pop() {
            if job.reply.is_closed() {
                continue;
            }
            let result = match &job.clause {
                Some(clause) if clause.trim().is_empty() => Ok(String::new()),
                Some(clause) => self.translate(clause),
                None => self
                    .ready()
                    .map(|_| String::new())
                    .map_err(|reason| TranslateError::Unavailable { reason }),
            };
            // Nobody waits any more when this fails.
            let _ = job.reply.send(result);
        }
        self.end_pipeline();
    }

    fn translate(&mut self, clause: &str) -> Result<String, TranslateError> {
        let attempts = self.shared.settings.attempts.max(1);
        let mut reason = String::new();
        for attempt in 1..=attempts {
            let timeout = self.shared.settings.clause_timeout;
            self.ready()
                .map_err(|reason| TranslateError::Unavailable { reason })?;
            match self.ask(&escape::request(clause), timeout) {
                Ok(translation) => {
                    self.shared.translated.fetch_add(1, Ordering::Relaxed);
                    return Ok(escape::with_first_letter_of(clause, translation));
                }
                Err(failure) => reason = failure,
            }
            self.end_pipeline();
            if self.shared.queue.is_closed() {
                return Err(TranslateError::ShutDown);
            }
            warn!(pair = %self.shared.mode.pair, attempt, reason, "an Apertium pipeline failed; the clause is tried on a fresh one");
        }
        Err(TranslateError::Poison { attempts, reason })
    }

    /// A pipeline that runs, started if need be.
    fn ready(&mut self) -> Result<(), String> {
        if self.pipeline.as_mut().is_some_and(Pipeline::is_alive) {
            return Ok(());
        }
        self.end_pipeline();
        if self.ever_started {
            self.shared.restarts.fetch_add(1, Ordering::Relaxed);
        }
        let pipeline = Pipeline::start(&self.shared.mode.stages)
            .map_err(|error| format!("its programs cannot be started: {error}"))?;
        self.shared.pids.lock()[self.index] = pipeline.pids();
        self.pipeline = Some(pipeline);
        self.ever_started = true;
        // The programs load their data before they read; the first clause would wait for it.
        match self.ask(&escape::request("."), self.shared.settings.start_timeout) {
            Ok(_) => {
                debug!(pair = %self.shared.mode.pair, "an Apertium pipeline is ready");
                Ok(())
            }
            Err(reason) => {
                self.end_pipeline();
                Err(format!(
                    "its programs start and then fail: {reason}; try `echo hello | apertium {}-{}`",
                    self.shared.mode.pair.from.iso639_3(),
                    self.shared.mode.pair.to.iso639_3()
                ))
            }
        }
    }

    fn ask(&mut self, request: &[u8], timeout: Duration) -> Result<String, String> {
        let Some(pipeline) = &mut self.pipeline else {
            return Err("it is not running".into());
        };
        let deadline = Instant::now() + timeout;
        let queue = &self.shared.queue;
        let result = pipeline.ask(request, 0, deadline, &mut |alive| {
            alive && !queue.is_closed()
        });
        let reply = result.map_err(|error| error.to_string())?;
        escape::translation(&reply)
            .ok_or_else(|| "its answer does not end as the question did".into())
    }

    fn end_pipeline(&mut self) {
        self.pipeline = None;
        self.shared.pids.lock()[self.index].clear();
    }
}
