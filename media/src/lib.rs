//! HIVE's media plane: RTP in, RTP out.

pub mod audio;
