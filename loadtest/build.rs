//! Links Debian's flite, or says which package to install.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=FLITE_LIB_DIR");
    println!("cargo:rerun-if-env-changed=FLITE_INCLUDE_DIR");
    let include =
        std::env::var("FLITE_INCLUDE_DIR").unwrap_or_else(|_| "/usr/include/flite".to_owned());
    let header = std::path::Path::new(&include).join("flite.h");
    println!("cargo:rerun-if-changed={}", header.display());
    if !header.exists() {
        println!(
            "cargo:warning=flite's header {} is missing: install the Debian package flite1-dev \
             (`scripts/setup demo` does), or point FLITE_INCLUDE_DIR and FLITE_LIB_DIR at flite",
            header.display()
        );
        std::process::exit(1);
    }
    if let Ok(directory) = std::env::var("FLITE_LIB_DIR") {
        println!("cargo:rustc-link-search=native={directory}");
    }
    for library in [
        "flite_cmu_us_slt",
        "flite_cmu_us_rms",
        "flite_cmu_us_kal16",
        "flite_cmu_us_awb",
        "flite_usenglish",
        "flite_cmulex",
        "flite",
    ] {
        println!("cargo:rustc-link-lib=dylib={library}");
    }
}
