//! The server's counters.

use crate::server::Server;

/// The value of a counter by its name and labels as `/metrics` writes them; of a name alone, the sum over all labels.
pub(crate) fn counted(server: &Server, name: &str) -> f64 {
    let metrics = server.request("GET", "/metrics").send().body;
    metrics
        .lines()
        .filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with([' ', '{']))
        })
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}
