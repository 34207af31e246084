//! HIVE: a WebRTC SFU and a live interpreter in one service.
fn main() {}
