//! Every dependency keeps to `deny.toml`: its licence is allowed, it comes from the registry, and
//! it is not banned. The same policy that `cargo deny check` reads, checked without the network.

use std::collections::BTreeSet;
use std::process::Command;

use serde::Deserialize;

#[derive(Deserialize)]
struct Policy {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    license_file: Option<String>,
    /// `None` for members of this workspace.
    source: Option<String>,
}

fn policy() -> Policy {
    toml::from_str(include_str!("../deny.toml")).expect("deny.toml is valid")
}

fn dependencies() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version=1",
            "--locked",
            "--offline",
            "--all-features",
        ])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Metadata = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let dependencies: Vec<_> = metadata
        .packages
        .into_iter()
        .filter(|package| package.source.is_some())
        .collect();
    assert!(
        dependencies.len() > 100,
        "only {} dependencies seen",
        dependencies.len()
    );
    dependencies
}

/// Whether a crate's SPDX expression can be met with allowed licences alone. `/` is the old
/// spelling of `OR`.
fn allowed(expression: &str, allow: &BTreeSet<String>) -> bool {
    let expression = expression.replace('/', " OR ");
    let parsed = spdx::Expression::parse_mode(&expression, spdx::ParseMode::LAX);
    parsed
        .is_ok_and(|parsed| parsed.evaluate(|requirement| allow.contains(&requirement.to_string())))
}

#[test]
fn every_licence_is_on_the_allow_list() {
    let allow: BTreeSet<String> = policy().licenses.allow.into_iter().collect();
    let refused: Vec<String> = dependencies()
        .into_iter()
        .filter_map(|package| {
            let Package {
                name,
                version,
                license,
                license_file,
                ..
            } = package;
            match license {
                Some(expression) if allowed(&expression, &allow) => None,
                Some(expression) => Some(format!("{name} {version}: {expression}")),
                None => Some(format!(
                    "{name} {version}: no SPDX licence ({license_file:?})"
                )),
            }
        })
        .collect();
    assert!(
        refused.is_empty(),
        "not allowed by deny.toml:\n{}",
        refused.join("\n")
    );
}

#[test]
fn a_copyleft_licence_would_be_refused() {
    let allow: BTreeSet<String> = policy().licenses.allow.into_iter().collect();
    assert!(allowed("MIT OR GPL-3.0-only", &allow));
    assert!(!allowed("GPL-3.0-only", &allow));
    assert!(!allowed("MIT AND AGPL-3.0-or-later", &allow));
}

#[test]
fn every_crate_comes_from_the_registry_and_none_is_banned() {
    let bans = policy().bans.deny;
    for package in dependencies() {
        let source = package.source.unwrap_or_default();
        assert!(
            source.starts_with("registry+"),
            "{} comes from {source}",
            package.name
        );
        if let Some(ban) = bans.iter().find(|ban| ban.name == package.name) {
            panic!("{} is banned by deny.toml: {}", ban.name, ban.reason);
        }
    }
}
