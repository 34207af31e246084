//! The threads of a device and what they share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::queue::AnyQueue;
use crate::settings::DeviceSettings;

/// What the threads of all incarnations share.
pub(crate) struct Shared {
    settings: DeviceSettings,
    queues: Mutex<Vec<Arc<dyn AnyQueue>>>,
    work: Condvar,
    #[cfg(test)]
    inline: bool,
}

impl Shared {
    pub(crate) fn new(settings: DeviceSettings) -> Self {
        Shared {
            settings,
            queues: Mutex::new(Vec::new()),
            work: Condvar::new(),
            #[cfg(test)]
            inline: false,
        }
    }

    #[cfg(test)]
    pub(crate) fn inline(settings: DeviceSettings) -> Self {
        Shared {
            inline: true,
            ..Shared::new(settings)
        }
    }

    #[cfg(test)]
    pub(crate) fn is_inline(&self) -> bool {
        self.inline
    }

    pub(crate) fn add(&self, queue: Arc<dyn AnyQueue>) {
        self.queues.lock().push(queue);
    }

    /// Something new waits.
    pub(crate) fn rouse(&self) {
        // The lock makes sure that no thread is between its look at the queues and its sleep.
        drop(self.queues.lock());
        self.work.notify_one();
    }

    pub(crate) fn rouse_all(&self) {
        drop(self.queues.lock());
        self.work.notify_all();
    }

    /// Compute threads to run.
    pub(crate) fn threads(&self) -> usize {
        match self.settings.threads {
            0 => std::thread::available_parallelism().map_or(2, usize::from),
            threads => threads,
        }
    }

    /// Takes up batches until told to stop.
    pub(crate) fn serve(&self, stop: &AtomicBool) {
        let mut queues = self.queues.lock();
        while !stop.load(Ordering::Acquire) {
            let now = Instant::now();
            let mut due: Option<(Instant, Arc<dyn AnyQueue>)> = None;
            let mut wake: Option<Instant> = None;
            for queue in queues.iter() {
                let Some(next) = queue.next() else { continue };
                match next.start {
                    Some(start) if start > now => wake = Some(wake.map_or(start, |w| w.min(start))),
                    _ if due
                        .as_ref()
                        .is_none_or(|(deadline, _)| next.deadline < *deadline) =>
                    {
                        due = Some((next.deadline, queue.clone()));
                    }
                    _ => {}
                }
            }
            match (due, wake) {
                (Some((_, queue)), _) => {
                    let room = self.settings.resident_cap.max(1);
                    parking_lot::MutexGuard::unlocked(&mut queues, || {
                        queue.run_batch();
                        self.evict(room, None);
                    });
                }
                (None, Some(at)) => drop(self.work.wait_until(&mut queues, at)),
                (None, None) => self.work.wait(&mut queues),
            }
        }
    }

    /// Unloads models unused for the settings' `ttl`.
    pub(crate) fn evict_idle(&self) {
        self.evict(usize::MAX, Some(self.settings.ttl));
    }

    /// Unloads the models used longest ago beyond `cap`, and those unused for `ttl`.
    fn evict(&self, cap: usize, ttl: Option<Duration>) {
        let queues: Vec<_> = self.queues.lock().clone();
        let mut loaded: Vec<_> = queues
            .iter()
            .filter_map(|q| q.used().map(|used| (used, q)))
            .collect();
        loaded.sort_by_key(|(used, _)| std::cmp::Reverse(*used));
        for (i, (used, queue)) in loaded.iter().enumerate() {
            if i >= cap || ttl.is_some_and(|ttl| used.elapsed() >= ttl) {
                queue.unload();
            }
        }
    }
}

/// One incarnation's threads; they end after their batch when this is dropped.
pub(crate) struct Crew {
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
}

impl Crew {
    /// Starts the threads.
    pub(crate) fn start(shared: Arc<Shared>) -> std::io::Result<Crew> {
        let crew = Crew {
            shared: shared.clone(),
            stop: Arc::default(),
        };
        for i in 0..shared.threads() {
            let (shared, stop) = (shared.clone(), crew.stop.clone());
            std::thread::Builder::new()
                .name(format!("cpu-{i}"))
                .spawn(move || shared.serve(&stop))?;
        }
        Ok(crew)
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.shared.rouse_all();
    }
}
