//! The command line.

mod check;
mod keys;
mod serve;
mod token;

use std::{env, io::Write, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Config, LoadConfigError};

/// A WebRTC SFU and a live interpreter in one service.
///
/// People in a room speak their own language; everybody hears the floor, or the floor in their language,
/// with captions.
///
/// Get going:
///
///   hive keys > hive.yaml
///   hive check --config hive.yaml
///   hive serve --config hive.yaml
///   hive token --config hive.yaml --room demo --identity ann
#[derive(Debug, Parser)]
#[command(name = "hive", version, verbatim_doc_comment)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server until SIGTERM or SIGINT.
    ///
    /// Signalling (WHIP, WHEP), events, tokens, health and metrics are on http.bind (TCP), RTP is on media.bind
    /// (UDP). At a first signal sessions are ended and requests answered, for at most http.shutdown_timeout; a
    /// second one ends everything at once. Logs go to standard error.
    Serve(Source),
    /// Say whether the server can run here: configuration, engines, ports.
    ///
    /// Prints one line per thing, and for each that is wrong what to do about it. Exits with 1 if anything is.
    Check(Source),
    /// Make an API key with its secret, and a service key.
    ///
    /// Prints them as the YAML that goes into the configuration; by itself it is a whole configuration. Each
    /// call makes new ones; nothing is stored.
    Keys,
    /// Make a token, signed with the first API key of the configuration.
    ///
    /// With --room and --identity it is for one participant of one room; with --room-create, --room-list or
    /// --room-admin for a server that manages rooms. Prints the token alone, so that it can be used in a script.
    /// Send it as `Authorization: Bearer TOKEN`.
    Token(token::TokenArgs),
}

/// Where the configuration is.
#[derive(Clone, Debug, Args)]
struct Source {
    /// YAML file with the configuration; config/hive.yaml explains every key. Without it everything has its
    /// default. HIVE__SECTION__KEY in the environment overrides either.
    #[arg(short, long, value_name = "FILE", env = "HIVE_CONFIG")]
    config: Option<PathBuf>,
}

impl Source {
    fn load(&self) -> Result<Config, LoadConfigError> {
        // A variable that is not UTF-8 cannot be one of ours, whose values are YAML.
        let environment = env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        config::load(self.config.as_deref(), environment)
    }
}

/// Runs the program on the process's arguments. Exit codes: 0 it went well, 1 it did not, 2 wrong usage.
pub fn run() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Serve(source) => serve::run(&source).map_err(|error| error.to_string()),
        Command::Check(source) => return check::run(&source),
        Command::Keys => print(&keys::make().to_yaml()),
        Command::Token(args) => token::make(&args)
            .map_err(|error| error.to_string())
            .and_then(|token| print(&token)),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let _ = writeln!(std::io::stderr(), "hive: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Prints what a command makes; a reader that went away is no panic.
fn print(text: &str) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", text.trim_end())
        .map_err(|error| format!("cannot write to standard output: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound_and_every_argument_explained() {
        Cli::command().debug_assert();
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{} {}",
                    command.get_name(),
                    argument.get_id()
                );
            }
        }
    }
}
