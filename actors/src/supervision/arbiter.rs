//! The threads that actors live on.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use actix::{Arbiter, ArbiterHandle};
use parking_lot::Mutex;

use super::census::{Counted, Counter};
use super::exit::ExitReason;
use super::handle::SupervisorHandle;
use super::incarnation::Incarnation;
use super::runner::Launch;
use super::spec::Placement;

/// The kernel's threads.
pub(crate) struct Arbiters {
    size: usize,
    census: Counter,
    next: AtomicU64,
    pool: Mutex<Vec<Arc<Slot>>>,
}

/// One thread, until it is no longer needed or written off.
pub(crate) struct Slot {
    number: u64,
    thread: ArbiterHandle,
    residents: Mutex<Vec<Weak<Incarnation>>>,
    written_off: AtomicBool,
    tally: Weak<Mutex<Counted>>,
}

impl Arbiters {
    pub(crate) fn new(size: usize, census: Counter) -> Arbiters {
        Arbiters {
            size,
            census,
            next: AtomicU64::new(1),
            pool: Mutex::default(),
        }
    }

    /// A thread to live on; `None` for the kernel's own.
    pub(crate) fn place(&self, placement: Placement) -> io::Result<Option<Arc<Slot>>> {
        match placement {
            Placement::Kernel => Ok(None),
            Placement::Own => self.open().map(Some),
            Placement::Pool if self.size == 0 => Ok(None),
            Placement::Pool => {
                let mut pool = self.pool.lock();
                pool.retain(|slot| slot.thread.alive());
                if pool.len() < self.size {
                    let slot = self.open()?;
                    pool.push(Arc::clone(&slot));
                    return Ok(Some(slot));
                }
                Ok(pool.iter().min_by_key(|slot| slot.load()).cloned())
            }
        }
    }

    fn open(&self) -> io::Result<Arc<Slot>> {
        let arbiter = Arbiter::try_new()?;
        // Dropped by the thread when it ends, which is the only way to know.
        let tally = Arc::new(Mutex::new(self.census.arbiter()));
        let weak = Arc::downgrade(&tally);
        arbiter.spawn(async move {
            let _tally = tally;
            std::future::pending::<()>().await;
        });
        Ok(Arc::new(Slot {
            number: self.next.fetch_add(1, Ordering::Relaxed),
            thread: arbiter.handle(),
            residents: Mutex::default(),
            written_off: AtomicBool::new(false),
            tally: weak,
        }))
    }

    /// Gives a blocked thread up: everybody on it is over. The one whose code blocks it has hung, the
    /// others only lost their thread. How many they were; `None` if it was given up before.
    pub(crate) fn write_off(&self, slot: &Arc<Slot>) -> Option<usize> {
        if slot.written_off.swap(true, Ordering::AcqRel) {
            return None;
        }
        self.pool.lock().retain(|known| !Arc::ptr_eq(known, slot));
        if let Some(tally) = slot.tally.upgrade() {
            *tally.lock() = self.census.abandoned();
        }
        slot.thread.stop();
        let residents = slot.living();
        for resident in &residents {
            resident.report_end(if resident.is_polling() {
                ExitReason::Hung
            } else {
                match resident.doomed() {
                    None | Some(ExitReason::Hung) => ExitReason::ArbiterLost,
                    Some(other) => other,
                }
            });
        }
        Some(residents.len())
    }

    /// Ends the pool's threads.
    pub(crate) fn close(&self) {
        self.pool.lock().clear();
    }
}

impl Slot {
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    fn living(&self) -> Vec<Arc<Incarnation>> {
        let mut residents = self.residents.lock();
        residents.retain(|resident| resident.strong_count() > 0);
        residents
            .iter()
            .filter_map(Weak::upgrade)
            .filter(|resident| !resident.is_over())
            .collect()
    }

    fn load(&self) -> usize {
        self.living().len()
    }

    /// Whether the thread is busy with an actor that said it would take long.
    pub(crate) fn is_busy_with_consent(&self) -> bool {
        self.living()
            .iter()
            .any(|resident| resident.is_polling() && resident.progress().protected())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.thread.stop();
    }
}

/// Starts an incarnation on a thread (`None`: on this one). If the thread ends before it gets to it,
/// that is the incarnation's end.
pub(crate) fn launch_on(
    slot: Option<&Arc<Slot>>,
    launch: Launch,
    incarnation: &Arc<Incarnation>,
    parent: SupervisorHandle,
) {
    let pending = Pending(Some(Arc::clone(incarnation)));
    let job = move || {
        let mut pending = pending;
        if let Some(incarnation) = pending.0.take() {
            launch(incarnation, parent);
        }
    };
    match slot {
        None => job(),
        Some(slot) => {
            {
                let mut residents = slot.residents.lock();
                residents.retain(|resident| resident.upgrade().is_some_and(|r| !r.is_over()));
                residents.push(Arc::downgrade(incarnation));
            }
            slot.thread.spawn_fn(job);
        }
    }
}

struct Pending(Option<Arc<Incarnation>>);

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(incarnation) = self.0.take() {
            incarnation.report_end(ExitReason::ArbiterLost);
        }
    }
}
