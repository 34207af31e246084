//! Links the PocketSphinx static library that `scripts/setup` builds.

use std::env;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=POCKETSPHINX_DIR");

    let directory = env::var_os("POCKETSPHINX_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../.deps/pocketsphinx"),
        PathBuf::from,
    );
    let library = directory.join("lib/libpocketsphinx.a");
    println!("cargo::rerun-if-changed={}", library.display());
    if !library.is_file() {
        println!(
            "cargo::error=PocketSphinx is not at {}: run `scripts/setup build` in the repository, or set \
             POCKETSPHINX_DIR to the prefix where PocketSphinx 5.1.1 is installed as a static library",
            library.display()
        );
        return;
    }
    println!(
        "cargo::rustc-link-search=native={}",
        directory.join("lib").display()
    );
    println!("cargo::rustc-link-lib=static=pocketsphinx");
    println!("cargo::rustc-link-lib=m");
}
