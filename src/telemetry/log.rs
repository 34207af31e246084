//! Structured logs on standard error: sentences with key-value fields.

use std::io;

use tracing_subscriber::{EnvFilter, filter::ParseError, fmt, prelude::*, util::TryInitError};

use crate::config::{Log, LogFormat};

/// Logging did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartLogError {
    /// `log.level` is no filter.
    #[error("`log.level`: {0}; write error, warn, info, debug or trace")]
    Level(#[from] ParseError),
    /// There already is a log.
    #[error("the log was started twice: {0}")]
    Twice(#[from] TryInitError),
}

/// Starts the process's log.
///
/// # Errors
/// See [`StartLogError`].
pub fn start(log: &Log) -> Result<(), StartLogError> {
    let mut filter = EnvFilter::try_new(&log.level)?;
    if !log.level.contains("actix") {
        // It announces every socket as if that were news; what matters of it is said here.
        filter = filter.add_directive("actix_server=warn".parse()?);
    }
    if !log.level.contains("turn") {
        // They tell what each TURN client does; what matters of it is counted.
        for library in [
            "turn_server_proto",
            "stun_proto",
            "turn_types",
            "stun_types",
        ] {
            filter = filter.add_directive(format!("{library}=error").parse()?);
        }
    }
    let registry = tracing_subscriber::registry().with(filter);
    match log.format {
        LogFormat::Text => {
            let colours = io::IsTerminal::is_terminal(&io::stderr());
            registry
                .with(fmt::layer().with_writer(io::stderr).with_ansi(colours))
                .try_init()?;
        }
        LogFormat::Json => {
            registry
                .with(
                    fmt::layer()
                        .json()
                        .flatten_event(true)
                        .with_writer(io::stderr),
                )
                .try_init()?;
        }
    }
    Ok(())
}
