//! Which simulcast layer is the higher one.
//!
//! The order of an offer does not tell: browsers list the lowest first, LiveKit's Rust core (and with
//! it the SDKs for Python, C++, Unity and others) the highest. So layers are told by the names that
//! LiveKit's clients use, and as offered only where those say nothing.

/// Names of layers, low to high, that clients use together.
const NAMES: [[&str; 3]; 3] = [["q", "h", "f"], ["2", "1", "0"], ["low", "mid", "high"]];

/// The rids of an offer, low to high. Those that are not all of one set of known names keep the offer's
/// order.
pub fn low_to_high(offered: &[Box<str>]) -> Vec<Box<str>> {
    let mut rids = offered.to_vec();
    let place = |names: &[&str; 3], rid: &str| names.iter().position(|name| *name == rid);
    let known = |names: &&[&str; 3]| rids.iter().all(|rid| place(names, rid).is_some());
    if let Some(names) = NAMES.iter().find(known) {
        rids.sort_by_key(|rid| place(names, rid));
    }
    rids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_tell_the_order_and_others_leave_it_to_the_offer() {
        for (offered, layers) in [
            ("q h f", "q h f"),
            ("f h q", "q h f"),
            ("h q", "q h"),
            ("0 1 2", "2 1 0"),
            ("high low", "low high"),
            ("hi lo", "hi lo"),
            ("h x q", "h x q"),
            ("", ""),
        ] {
            let rids: Vec<Box<str>> = offered.split_whitespace().map(Box::from).collect();
            assert_eq!(low_to_high(&rids).join(" "), layers);
        }
    }
}
