//! HIVE's media plane: RTP in, RTP out.
