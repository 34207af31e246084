use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::threads::Crew;
use super::*;

#[derive(Default)]
struct Recorder {
    batches: Mutex<Vec<Vec<u32>>>,
}

struct Doubler(Arc<Recorder>);

impl Model for Doubler {
    type Request = u32;
    type Response = u32;

    fn run(&self, batch: Vec<u32>) -> Vec<u32> {
        assert!(!batch.contains(&13), "unlucky");
        self.0.batches.lock().push(batch.clone());
        batch.into_iter().map(|n| n * 2).collect()
    }
}

fn spec(recorder: &Arc<Recorder>, batch_max: usize) -> QueueSpec<Doubler> {
    let recorder = recorder.clone();
    QueueSpec {
        name: "doubler",
        load: Box::new(move || Ok(Doubler(recorder.clone()))),
        batch_max,
        batch_wait: Duration::ZERO,
    }
}

fn device() -> Device {
    Device::new(DeviceSettings {
        threads: 1,
        ..DeviceSettings::default()
    })
}

#[tokio::test]
async fn what_waits_is_answered_in_one_batch_the_most_urgent_first() {
    let (device, recorder) = (device(), Arc::default());
    let queue = device.queue(spec(&recorder, 8));
    let now = Instant::now();
    let asked = [3, 1, 2].map(|n| queue.run(n, now + Duration::from_secs(u64::from(n))));
    let mut asked = Box::pin(futures_util::future::join_all(asked));
    assert!(
        futures_util::poll!(&mut asked).is_pending(),
        "there are no threads yet"
    );
    let _crew = Crew::start(device.shared().clone()).expect("a thread starts");
    let answers: Vec<u32> = asked
        .await
        .into_iter()
        .map(|a| a.expect("answered").response)
        .collect();
    assert_eq!(answers, [6, 2, 4]);
    assert_eq!(*recorder.batches.lock(), [[1, 2, 3]]);
}

#[tokio::test]
async fn a_request_whose_stage_has_died_costs_nothing() {
    let (device, recorder) = (device(), Arc::default());
    let queue = device.queue(spec(&recorder, 1));
    let now = Instant::now();
    let mut dead = Box::pin(queue.run(1, now));
    assert!(futures_util::poll!(&mut dead).is_pending());
    drop(dead);
    let _crew = Crew::start(device.shared().clone()).expect("a thread starts");
    assert_eq!(queue.run(2, now).await.expect("answered").response, 4);
    assert_eq!(*recorder.batches.lock(), [[2]]);
}

#[tokio::test]
async fn a_panicking_batch_fails_its_requests_only_and_the_model_is_loaded_afresh() {
    let (device, recorder) = (device(), Arc::<Recorder>::default());
    let loads = Arc::new(AtomicUsize::new(0));
    let queue = {
        let (recorder, loads) = (recorder.clone(), loads.clone());
        device.queue(QueueSpec {
            load: Box::new(move || {
                loads.fetch_add(1, Ordering::Relaxed);
                Ok(Doubler(recorder.clone()))
            }),
            ..spec(&Arc::default(), 1)
        })
    };
    let _crew = Crew::start(device.shared().clone()).expect("a thread starts");
    let now = Instant::now();
    let failed = queue.run(13, now).await.expect_err("13 panics");
    assert_eq!(failed, DeviceError::Failed { model: "doubler" });
    assert_eq!(queue.run(4, now).await.expect("answered").response, 8);
    assert_eq!(loads.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn requests_survive_a_restart_of_the_threads() {
    let (device, recorder) = (device(), Arc::default());
    let queue = device.queue(spec(&recorder, 1));
    drop(Crew::start(device.shared().clone()).expect("a thread starts"));
    let mut asked = Box::pin(queue.run(5, Instant::now()));
    let _ = futures_util::poll!(&mut asked);
    let _crew = Crew::start(device.shared().clone()).expect("a thread starts");
    assert_eq!(asked.await.expect("answered").response, 10);
}

#[tokio::test]
async fn a_model_that_cannot_be_loaded_says_why() {
    let device = device();
    let queue: ModelQueue<Doubler> = device.queue(QueueSpec {
        name: "missing",
        load: Box::new(|| Err("no such file".into())),
        batch_max: 1,
        batch_wait: Duration::ZERO,
    });
    let _crew = Crew::start(device.shared().clone()).expect("a thread starts");
    let error = queue
        .run(1, Instant::now())
        .await
        .expect_err("it cannot be loaded");
    assert!(error.to_string().contains("no such file"), "{error}");
}

#[tokio::test]
async fn the_model_used_longest_ago_gives_way() {
    let settings = DeviceSettings {
        threads: 1,
        resident_cap: 1,
        ..DeviceSettings::default()
    };
    let (device, recorder) = (Device::new(settings), Arc::default());
    let (first, second) = (
        device.queue(spec(&recorder, 1)),
        device.queue(spec(&recorder, 1)),
    );
    first.load().expect("loads");
    let crew = Crew::start(device.shared().clone()).expect("a thread starts");
    second.run(1, Instant::now()).await.expect("answered");
    // The answer is sent before the eviction; a second answer comes after it.
    second.run(1, Instant::now()).await.expect("answered");
    drop(crew);
    assert!(first.queue.used().is_none(), "unloaded");
    assert!(second.queue.used().is_some(), "still loaded");
}
