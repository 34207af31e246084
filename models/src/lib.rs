//! HIVE's engines: samples in, words out; words in, samples out.
