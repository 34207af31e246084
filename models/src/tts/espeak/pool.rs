//! Threads that speak what is queued, each with a child process standing by.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tracing::warn;

use super::SAMPLE_RATE;
use super::voices::{self, StartEspeakError};
use crate::Lang;
use crate::children::{JobQueue, Pipeline, Wait, wait_readable};
use crate::tts::onset::Onset;
use crate::tts::{SpeechRequest, SpeechStream, Synthesise, SynthesiseError, wav};

/// Bytes read at once: 93 ms of speech.
const READ_BYTES: usize = 4096;

/// Chunks that wait for a slow reader before the thread does: 47 s of speech and more.
const CHUNKS: usize = 512;

/// How long a thread waits before it offers a chunk again to a reader with [`CHUNKS`] unread.
const SLOW_READER: Duration = Duration::from_millis(20);

/// How many children there are and how they speak.
#[derive(Debug, Clone, PartialEq)]
pub struct EspeakSettings {
    /// Clauses spoken at the same time, at least 1.
    pub children: usize,
    /// Words a minute unless the request says otherwise; eSpeak NG's range is 80…450.
    pub rate: u16,
    /// Voices for languages that shall not have eSpeak NG's own choice: `es` → `es-419`.
    pub voices: BTreeMap<Lang, String>,
    /// Longest wait for the next samples; longer means the child hangs and is replaced.
    pub timeout: Duration,
    /// Children that one clause may cost before it is given up.
    pub attempts: u32,
}

impl Default for EspeakSettings {
    fn default() -> Self {
        EspeakSettings {
            children: 2,
            rate: 175,
            voices: BTreeMap::new(),
            timeout: Duration::from_secs(5),
            attempts: 3,
        }
    }
}

/// Counts since the pool started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EspeakStats {
    /// Clauses spoken to the end.
    pub spoken: u64,
    /// Children that died or hung with a clause.
    pub restarts: u64,
    /// Clauses waiting.
    pub queued: usize,
}

/// A bounded number of eSpeak NG processes. Dropping it ends them.
#[derive(Debug)]
pub struct EspeakPool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    settings: EspeakSettings,
    voices: BTreeMap<Lang, String>,
    queue: JobQueue<Job>,
    /// The process of each thread.
    pids: Mutex<Vec<Option<u32>>>,
    spoken: AtomicU64,
    restarts: AtomicU64,
}

#[derive(Debug)]
struct Job {
    text: String,
    manner: Manner,
    chunks: mpsc::Sender<Result<Vec<f32>, SynthesiseError>>,
}

/// What a child is started with, and cannot change.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Manner {
    voice: String,
    rate: u16,
}

impl EspeakPool {
    /// Finds the voices and checks those asked for. Blocks for some 10 ms.
    pub fn start(settings: EspeakSettings) -> Result<EspeakPool, StartEspeakError> {
        let voices = voices::discover(&settings.voices)?;
        let children = settings.children.max(1);
        let shared = Arc::new(Shared {
            settings,
            voices,
            queue: JobQueue::new(),
            pids: Mutex::new(vec![None; children]),
            spoken: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
        });
        let mut pool = EspeakPool {
            shared: Arc::clone(&shared),
            threads: Vec::new(),
        };
        for index in 0..children {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new()
                .name(format!("espeak-{index}"))
                .spawn(move || {
                    Worker {
                        shared,
                        index,
                        standby: None,
                    }
                    .work()
                })
                .map_err(|error| StartEspeakError::NoThread {
                    reason: error.to_string(),
                })?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// Counts so far.
    pub fn stats(&self) -> EspeakStats {
        EspeakStats {
            spoken: self.shared.spoken.load(Ordering::Relaxed),
            restarts: self.shared.restarts.load(Ordering::Relaxed),
            queued: self.shared.queue.len(),
        }
    }

    /// Process ids of the children that speak or stand by.
    pub fn pids(&self) -> Vec<u32> {
        self.shared.pids.lock().iter().flatten().copied().collect()
    }
}

impl Synthesise for EspeakPool {
    fn languages(&self) -> Vec<Lang> {
        self.shared.voices.keys().copied().collect()
    }

    fn synthesise(&self, request: SpeechRequest) -> SpeechStream {
        let (chunks, receiver) = mpsc::channel(CHUNKS);
        let stream = SpeechStream {
            chunks: receiver,
            sample_rate: SAMPLE_RATE,
        };
        let refuse = |error| {
            // The channel is empty and its reader is here.
            let _ = chunks.try_send(Err(error));
        };
        let Some(voice) = self.shared.voices.get(&request.lang) else {
            refuse(SynthesiseError::UnsupportedLanguage {
                asked: request.lang,
                available: self.languages(),
            });
            return stream;
        };
        let text = plain(&request.text);
        if !text.chars().any(char::is_alphanumeric) {
            return stream;
        }
        let rate = request
            .rate
            .unwrap_or(self.shared.settings.rate)
            .clamp(80, 450);
        let manner = Manner {
            voice: voice.clone(),
            rate,
        };
        if let Err(job) = self.shared.queue.push(Job {
            text,
            manner,
            chunks: chunks.clone(),
        }) {
            drop(job);
            refuse(SynthesiseError::ShutDown);
        }
        stream
    }
}

impl Drop for EspeakPool {
    fn drop(&mut self) {
        self.shared.queue.close();
        for thread in self.threads.drain(..) {
            // A panic in it has been reported by the panic hook, and its child is dead.
            let _ = thread.join();
        }
    }
}

/// One line of text in which nothing is a command to eSpeak NG: `[[…]]` would be phonemes.
fn plain(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    text.replace("[[", "[ [")
        .replace("[[", "[ [")
        .trim()
        .to_owned()
}

/// One thread with a child that waits for text.
struct Worker {
    shared: Arc<Shared>,
    index: usize,
    standby: Option<(Manner, Pipeline)>,
}

/// How a child's part in a clause ended.
enum Outcome {
    Spoken,
    /// Nobody listens any more.
    Cancelled,
    Failed(String),
}

impl Worker {
    fn work(mut self) {
        let shared = Arc::clone(&self.shared);
        while let Some(job) = shared.queue.pop() {
            if job.chunks.is_closed() {
                continue;
            }
            self.speak(&job);
            let manner = job.manner.clone();
            // The stream ends here; what follows must not delay its reader.
            drop(job);
            if let Ok(child) = self.start(&manner) {
                self.standby = Some((manner, child));
            }
        }
    }

    fn speak(&mut self, job: &Job) {
        let attempts = self.shared.settings.attempts.max(1);
        let mut sent = 0;
        let mut reason = String::new();
        for attempt in 1..=attempts {
            let mut standby = self
                .standby
                .take()
                .filter(|(manner, _)| *manner == job.manner);
            let alive = standby.as_mut().is_some_and(|(_, child)| child.is_alive());
            let child = match standby {
                Some((_, child)) if alive => Ok(child),
                _ => self.start(&job.manner),
            };
            let outcome = match child {
                Ok(mut child) => self.hear(job, &mut child, &mut sent),
                Err(error) => {
                    let reason = format!("espeak-ng cannot be started: {error}");
                    self.send(job, Err(SynthesiseError::Unavailable { reason }));
                    return;
                }
            };
            self.shared.pids.lock()[self.index] = None;
            match outcome {
                Outcome::Spoken => {
                    self.shared.spoken.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Outcome::Cancelled => return,
                Outcome::Failed(failure) => reason = failure,
            }
            self.shared.restarts.fetch_add(1, Ordering::Relaxed);
            warn!(
                attempt,
                reason, "espeak-ng failed; the clause is spoken again from where it stopped"
            );
        }
        self.send(job, Err(SynthesiseError::Poison { attempts, reason }));
    }

    fn start(&self, manner: &Manner) -> std::io::Result<Pipeline> {
        let rate = manner.rate.to_string();
        // -z: no pause after the last sentence; -b 1: the text is UTF-8.
        let arguments = [
            "espeak-ng",
            "-v",
            &manner.voice,
            "-s",
            &rate,
            "-z",
            "-b",
            "1",
            "--stdout",
            "--stdin",
        ];
        let child = Pipeline::start(&[arguments.to_vec()])?;
        self.shared.pids.lock()[self.index] = child.pids().first().copied();
        Ok(child)
    }

    /// Gives the child the clause and the reader its samples, without the first `sent`, which an
    /// earlier child has given: the same text always has the same samples.
    fn hear(&self, job: &Job, child: &mut Pipeline, sent: &mut usize) -> Outcome {
        let Some(mut stdin) = child.stdin.take() else {
            return Outcome::Failed("it has no input".into());
        };
        if let Err(error) = stdin.write_all(job.text.as_bytes()) {
            return Outcome::Failed(format!("it does not take the text: {error}"));
        }
        drop(stdin);

        let mut header = None;
        let mut onset = Onset::default();
        let mut bytes = Vec::new();
        let mut heard = 0;
        let mut buffer = [0; READ_BYTES];
        loop {
            let deadline = Instant::now() + self.shared.settings.timeout;
            let mut go_on = || !job.chunks.is_closed() && !self.shared.queue.is_closed();
            match wait_readable(&child.stdout, deadline, &mut go_on) {
                Ok(Wait::Ready) => {}
                Ok(Wait::TimedOut) => return Outcome::Failed("it gave no samples in time".into()),
                Ok(Wait::Abandoned) => return Outcome::Cancelled,
                Err(error) => return Outcome::Failed(error.to_string()),
            }
            match child.stdout.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => bytes.extend_from_slice(&buffer[..count]),
                Err(error) => return Outcome::Failed(error.to_string()),
            }
            if header.is_none() {
                match wav::header(&bytes) {
                    Ok(None) => continue,
                    Ok(Some(found)) if found.sample_rate == SAMPLE_RATE => {
                        bytes.drain(..found.length);
                        header = Some(found);
                    }
                    Ok(Some(found)) => {
                        return Outcome::Failed(format!(
                            "its voice has {} samples a second",
                            found.sample_rate
                        ));
                    }
                    Err(reason) => return Outcome::Failed(reason),
                }
            }
            let mut samples = wav::drain_samples(&mut bytes);
            onset.trim(&mut samples);
            let repeated = (*sent - heard).min(samples.len());
            heard += samples.len();
            samples.drain(..repeated);
            *sent = heard.max(*sent);
            if !samples.is_empty() && !self.send(job, Ok(samples)) {
                return Outcome::Cancelled;
            }
        }
        match child.finish() {
            Ok(true) => Outcome::Spoken,
            Ok(false) => Outcome::Failed("it was killed or failed".into()),
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }

    /// Whether the reader took it. Waits for a slow one, but not past the end of the pool.
    #[allow(
        clippy::disallowed_methods,
        reason = "the thread is the child's own and has nothing else to do; tokio's channel has no \
                  blocking send that also ends with the pool"
    )]
    fn send(&self, job: &Job, mut chunk: Result<Vec<f32>, SynthesiseError>) -> bool {
        loop {
            chunk = match job.chunks.try_send(chunk) {
                Ok(()) => return true,
                Err(TrySendError::Closed(_)) => return false,
                Err(TrySendError::Full(chunk)) => chunk,
            };
            if self.shared.queue.is_closed() {
                return false;
            }
            std::thread::sleep(SLOW_READER);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_a_command() {
        assert_eq!(plain("a\u{1b}[[x]]\0\n"), "a [ [x]]");
        assert_eq!(plain("[[[[["), "[ [ [ [ [");
    }
}
