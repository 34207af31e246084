//! Reading the file and laying the environment over it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde_norway::Value;

use super::{
    Complaint, Config,
    env::{self, Override},
};

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {error}; name another one with --config", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The text is no YAML.
    #[error("{origin} is not valid YAML: {error}")]
    Syntax {
        /// The file.
        origin: String,
        /// The parser's words, with line and column.
        error: serde_norway::Error,
    },
    /// A key is unknown or its value has the wrong shape.
    #[error("{origin}: `{path}`: {reason} (every key is explained in config/hive.yaml)")]
    Key {
        /// The file or the environment variable.
        origin: String,
        /// Where in the configuration, dotted.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// An environment variable has the prefix but names nothing.
    #[error(
        "environment variable {name}: {reason}; a variable is HIVE__SECTION__KEY, like HIVE__HTTP__BIND"
    )]
    Variable {
        /// The variable.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// Values that cannot work together.
    #[error("the configuration cannot work:{}", list(.0))]
    Invalid(Vec<Complaint>),
}

fn list(complaints: &[Complaint]) -> String {
    complaints
        .iter()
        .map(|complaint| format!("\n  {complaint}"))
        .collect()
}

/// Reads `path` (no path: an empty file) under the given environment.
///
/// # Errors
/// See [`LoadConfigError`]; the first problem of shape, or every problem of sense.
pub fn load(
    path: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, LoadConfigError> {
    let (origin, text) = match path {
        None => ("the defaults".to_owned(), String::new()),
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|error| LoadConfigError::Read {
                path: path.to_owned(),
                error,
            })?;
            (path.display().to_string(), text)
        }
    };
    let config = parse(&origin, &text, environment)?;
    let complaints = config.complaints();
    if complaints.is_empty() {
        Ok(config)
    } else {
        Err(LoadConfigError::Invalid(complaints))
    }
}

/// Parses YAML under the given environment; checks shapes, not sense. `origin` names the text in errors.
///
/// # Errors
/// [`LoadConfigError`]'s `Syntax`, `Key` and `Variable`.
pub fn parse(
    origin: &str,
    text: &str,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, LoadConfigError> {
    let mut tree: Value =
        serde_norway::from_str(text).map_err(|error| LoadConfigError::Syntax {
            origin: origin.to_owned(),
            error,
        })?;
    if tree.is_null() {
        tree = Value::Mapping(serde_norway::Mapping::new());
    }
    let mut config = typed(&tree).map_err(|Mistake { path, reason }| LoadConfigError::Key {
        origin: origin.to_owned(),
        path,
        reason,
    })?;
    for overriding in env::overrides(environment)? {
        (tree, config) = apply(tree, &overriding)?;
    }
    Ok(config)
}

/// Lays one variable over the tree. `123` may be meant as a number or as a string: the type that the key
/// has decides, so the number is tried first, then the text.
fn apply(tree: Value, overriding: &Override) -> Result<(Value, Config), LoadConfigError> {
    let mut first = None;
    for value in overriding.readings() {
        let mut candidate = tree.clone();
        overriding.lay(&mut candidate, value)?;
        match typed(&candidate) {
            Ok(config) => return Ok((candidate, config)),
            Err(mistake) => {
                first.get_or_insert(mistake);
            }
        }
    }
    let Mistake { path, reason } = first.expect("a variable has at least one reading");
    Err(LoadConfigError::Key {
        origin: format!("environment variable {}", overriding.name),
        path,
        reason,
    })
}

struct Mistake {
    path: String,
    reason: String,
}

fn typed(tree: &Value) -> Result<Config, Mistake> {
    serde_path_to_error::deserialize(tree).map_err(|error| {
        let path = error.path().to_string();
        // Serde quotes what it found, and here that is a secret.
        let holds = |secrets: &[&str]| secrets.iter().any(|secret| path.starts_with(secret));
        let reason = if holds(&["turn.shared_secret", "turn.external"]) {
            "it has the wrong shape (its value is not shown)".to_owned()
        } else if holds(&["auth.keys", "auth.service_keys"]) {
            "it has the wrong shape (its value is not shown); `hive keys` prints how it looks"
                .to_owned()
        } else {
            error.inner().to_string()
        };
        Mistake { path, reason }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str, variables: &[(&str, &str)]) -> Result<Config, LoadConfigError> {
        parse(
            "hive.yaml",
            text,
            variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        )
    }

    fn message(text: &str, variables: &[(&str, &str)]) -> String {
        with(text, variables)
            .expect_err("must be refused")
            .to_string()
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(with("", &[]).expect("empty"), Config::default());
        assert_eq!(
            with("# only a remark\n", &[]).expect("remark"),
            Config::default()
        );
    }

    #[test]
    fn an_unknown_key_is_named_with_its_path() {
        let message = message("http:\n  rate:\n    bursst: 3\n", &[]);
        assert!(
            message.contains("hive.yaml: `http.rate.bursst`"),
            "{message}"
        );
        assert!(message.contains("expected one of"), "{message}");
        assert!(super::super::Config::default().http.rate.burst > 0);
    }

    #[test]
    fn a_malformed_value_is_named_with_its_path() {
        let message = message("http:\n  bind: 'not an address'\n", &[]);
        assert!(message.contains("`http.bind`"), "{message}");
        let message = self::message("media:\n  idle_timeout: 30\n", &[]);
        assert!(message.contains("`media.idle_timeout`"), "{message}");
    }

    #[test]
    fn broken_yaml_is_named_with_its_line() {
        let message = message("http:\n  bind: [\n", &[]);
        assert!(
            message.contains("hive.yaml is not valid YAML") && message.contains("line"),
            "{message}"
        );
    }

    #[test]
    fn a_key_given_twice_is_refused() {
        let message = message("log: {level: info}\nlog: {level: debug}\n", &[]);
        assert!(message.contains("duplicate"), "{message}");
    }

    #[test]
    fn the_environment_overrides_the_file_with_the_keys_type() {
        let config = with(
            "http: {workers: 7}\n",
            &[
                ("HIVE__HTTP__WORKERS", "3"),
                ("HIVE__HTTP__RATE__BURST", "11"),
                ("HIVE__LOG__FORMAT", "json"),
                ("HIVE__CHAOS__ENABLED", "true"),
                ("HIVE__MEDIA__ADVERTISE", "[192.0.2.1, '2001:db8::1']"),
                (
                    "HIVE__AUTH__KEYS__HIVEKEY",
                    "12345678901234567890123456789012",
                ),
                ("HIVE__AUTH__SERVICE_KEYS", "['abc']"),
                ("PATH", "/bin"),
            ],
        )
        .expect("all are right");
        assert_eq!(config.http.workers, 3);
        assert_eq!(config.http.rate.burst, 11);
        assert_eq!(config.log.format, super::super::LogFormat::Json);
        assert!(config.chaos.enabled);
        assert_eq!(config.media.advertise.len(), 2);
        assert_eq!(
            config.auth.keys["hivekey"].expose(),
            "12345678901234567890123456789012"
        );
        assert_eq!(config.auth.service_keys[0].expose(), "abc");
    }

    #[test]
    fn a_wrong_variable_is_named() {
        let message = message("", &[("HIVE__HTTP__WORKERS", "many")]);
        assert!(
            message.contains("environment variable HIVE__HTTP__WORKERS"),
            "{message}"
        );
        assert!(message.contains("`http.workers`"), "{message}");
        let message = self::message("", &[("HIVE__HTPP__BIND", "0.0.0.0:1")]);
        assert!(
            message.contains("HIVE__HTPP__BIND") && message.contains("`htpp`"),
            "{message}"
        );
        let message = self::message("", &[("HIVE__HTTP", "")]);
        assert!(message.contains("HIVE__HTTP"), "{message}");
        let message = self::message("", &[("HIVE__HTTP____BIND", "x")]);
        assert!(message.contains("HIVE__HTTP____BIND"), "{message}");
    }

    #[test]
    fn a_refused_secret_is_not_quoted() {
        let message = message("", &[("HIVE__AUTH__KEYS", "swordfish")]);
        assert!(!message.contains("swordfish"), "{message}");
        let message = self::message("turn: {external: swordfish}\n", &[]);
        assert!(message.contains("`turn.external`"), "{message}");
        assert!(!message.contains("swordfish"), "{message}");
    }

    #[test]
    fn the_file_that_ships_holds_the_defaults() {
        let text = include_str!("../../config/hive.yaml");
        assert_eq!(
            with(text, &[]).expect("config/hive.yaml"),
            Config::default()
        );
    }

    #[test]
    fn the_file_that_ships_explains_every_key() {
        let text = include_str!("../../config/hive.yaml");
        let shipped: Value = serde_norway::from_str(text).expect("config/hive.yaml");
        let known = serde_norway::to_value(Config::default()).expect("serialises");
        assert_eq!(
            paths(&shipped),
            paths(&known),
            "a key is missing in config/hive.yaml"
        );
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let is_key = !line.trim_start().starts_with('#') && line.contains(':');
            if is_key {
                let above = number
                    .checked_sub(1)
                    .map_or("", |above| lines[above].trim_start());
                assert!(
                    above.starts_with('#'),
                    "line {}: `{line}` has no explanation above it",
                    number + 1
                );
            }
        }
    }

    fn paths(tree: &Value) -> Vec<String> {
        fn walk(prefix: &str, tree: &Value, into: &mut Vec<String>) {
            match tree {
                Value::Mapping(mapping) if !mapping.is_empty() => {
                    for (key, value) in mapping {
                        walk(
                            &format!("{prefix}.{}", key.as_str().unwrap_or("?")),
                            value,
                            into,
                        );
                    }
                }
                _ => into.push(prefix.to_owned()),
            }
        }
        let mut found = Vec::new();
        walk("", tree, &mut found);
        found.sort();
        found
    }
}
