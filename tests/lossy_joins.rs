//! Everybody who joins over a bad link gets in.

#![allow(clippy::unwrap_used)]

mod meeting;

use hive_loadtest::link::LinkSettings;
use hive_loadtest::peer::Listener;
use meeting::{LINK, serve};
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread")]
async fn everybody_connects_at_ten_percent_loss() {
    let server = serve("lossy-joins", 1).await;
    let mut joining = JoinSet::new();
    for n in 0..30 {
        let signalling = server.signalling();
        let link = LinkSettings { loss: 0.1, ..LINK }.reseeded(n);
        joining.spawn(async move {
            let identity = format!("listener-{n}");
            // Fails after 20 s without a connection.
            Listener::join(&signalling, "room", &identity, None, 1, link).await
        });
    }
    let joined = joining.join_all().await;
    let refused = joined.iter().filter_map(|it| it.as_ref().err());
    assert_eq!(
        refused.map(ToString::to_string).collect::<Vec<_>>(),
        Vec::<String>::new()
    );
}
