//! Simulated lossy WebRTC peers, the demo and the reports of HIVE.
