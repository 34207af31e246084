//! A subscriber whose link is cut from 3 Mbit/s to 300 kbit/s is shown a lower layer without a gap, and the top one
//! again once the link is back.

use std::path::Path;

use hive_loadtest::squeeze::{SqueezeOptions, run};

/// How fast it goes down a layer, and for how long nothing was shown on this machine, is in the table that this
/// prints and in that of `make simulcast`; here it only has to happen, and without a gap in the camera's own time.
#[tokio::test(flavor = "multi_thread")]
async fn a_squeezed_subscriber_goes_down_and_comes_back() {
    let out = std::env::temp_dir().join(format!("hive-squeezed-link-{}", std::process::id()));
    let options = SqueezeOptions {
        rate: 3_000_000,
        squeezed: 300_000,
        before: 6,
        during: 8,
        after: 15,
        queue: 300.0,
        delay: 25.0,
        jitter: 2.0,
        loss: 0.0,
        seed: 1,
        check: false,
        report: None,
        out: out.clone(),
        server: Some(env!("CARGO_BIN_EXE_hive").into()),
        assets: Path::new(env!("CARGO_MANIFEST_DIR")).join(".deps"),
        server_log: "warn".to_owned(),
    };
    let report = run(&options).await.expect("a report");
    let figures = &report.figures;
    assert_eq!(figures.layer_at_cut, Some(2), "{figures:?}");
    assert!(figures.lower_after_s.is_some(), "{figures:?}");
    assert!(figures.longest_gap_s <= 1.0, "{figures:?}");
    assert!(figures.back_after_s.is_some(), "{figures:?}");
    assert!(!figures.faults.any(), "{figures:?}");
    let _ = std::fs::remove_dir_all(out);
}
