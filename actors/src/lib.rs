//! HIVE's supervision kernel, rooms, participants, pipeline stages and devices.

pub mod supervision;
