//! The demo from the first word to the report.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::score::report::Section;
use crate::score::table;
use crate::server::{HiveProcess, ServerSettings, StartServerError};
use crate::speech::align::{AlignError, Aligner};
use crate::speech::file::ReadSpeechError;
use crate::speech::flite::FliteError;
use crate::speech::librivox::LibrivoxError;
use crate::speech::{Meeting, dialogue, file, librivox};

use super::meeting_run::{MeetingError, MeetingPlan, hold};
use super::options::DemoOptions;

/// Why the demo did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The dialogue could not be spoken.
    #[error(transparent)]
    Dialogue(#[from] FliteError),
    /// The speech of `--wav` could not be read.
    #[error(transparent)]
    File(#[from] ReadSpeechError),
    /// The human clips could not be read.
    #[error(transparent)]
    Librivox(#[from] LibrivoxError),
    /// The aligner is not there.
    #[error(transparent)]
    Aligner(#[from] AlignError),
    /// The server is not there.
    #[error(transparent)]
    Server(#[from] StartServerError),
    /// A meeting did not take place.
    #[error("{source}; the server's log is {}", log.display())]
    Meeting {
        /// Why.
        source: MeetingError,
        /// Where to look further.
        log: PathBuf,
    },
    /// The report could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// What goes into `report.json`: the figures of the main speech at the top, the human clips' in a
/// section of their own.
#[derive(Debug, Serialize)]
struct Report<'a> {
    /// Of the dialogue, or of `--wav`.
    #[serde(flatten)]
    main: &'a Section,
    librivox: Option<&'a Section>,
    options: &'a DemoOptions,
}

/// Run the demo. Progress and tables go to standard output.
///
/// # Errors
///
/// See [`DemoError`]; each says what to do.
pub async fn run(options: &DemoOptions) -> Result<(), DemoError> {
    let out = &options.out;
    let librivox_out = out.join("librivox");
    for directory in [out, &librivox_out] {
        std::fs::create_dir_all(directory).map_err(|source| DemoError::Write {
            path: directory.clone(),
            source,
        })?;
    }
    let (main, title) = main_speech(options)?;
    let clips = human_speech(options)?;

    let link = options.link();
    println!(
        "Starting the server. Links: {:.1} % loss, {} ms delay, ±{} ms jitter each way, seed {}.",
        link.loss * 100.0,
        link.delay_ms,
        link.jitter_ms,
        link.seed
    );
    let server = HiveProcess::start(&ServerSettings {
        binary: options.server.clone(),
        assets: absolute(&options.assets),
        directory: out.join("server"),
        chaos: options.chaos,
        decoders: main.tracks.len().max(1),
        max_peers: 100,
        log_level: options.server_log.clone(),
    })
    .await?;

    let failed = |log: &Path| {
        let log = log.to_owned();
        move |source| DemoError::Meeting { source, log }
    };
    announce(&title, &main, options.chaos);
    let plan = MeetingPlan {
        room: "demo",
        meeting: &main,
        link,
        chaos: options.chaos,
        out,
    };
    let figures = hold(&server, &plan).await.map_err(failed(server.log()))?;
    let human = match &clips {
        None => None,
        Some(clips) => {
            announce("Human readings (LibriVox)", clips, options.chaos);
            let plan = MeetingPlan {
                room: "librivox",
                meeting: clips,
                link: link.reseeded(1000),
                chaos: options.chaos,
                out: &librivox_out,
            };
            Some(hold(&server, &plan).await.map_err(failed(server.log()))?)
        }
    };
    if let Some(status) = server.stop().await
        && !status.success()
    {
        println!("The server did not stop in order: {status}.");
    }

    println!();
    print!(
        "{}",
        table::render(&title, &table::rows(&figures, options.wav.is_none()))
    );
    if let Some(human) = &human {
        println!();
        print!(
            "{}",
            table::render("Human readings (LibriVox)", &table::rows(human, false))
        );
    }
    let report = Report {
        main: &figures,
        librivox: human.as_ref(),
        options,
    };
    let path = options.report_path();
    let write = |source| DemoError::Write {
        path: path.clone(),
        source,
    };
    let json = serde_json::to_string_pretty(&report).map_err(|e| write(e.into()))?;
    std::fs::write(&path, json + "\n").map_err(write)?;
    println!(
        "\nThe report is {}; hear {}.",
        path.display(),
        out.join("translated.wav").display()
    );
    Ok(())
}

/// The speech whose figures the report has at the top, and what to call it.
fn main_speech(options: &DemoOptions) -> Result<(Meeting, String), DemoError> {
    if let (Some(wav), Some(text)) = (&options.wav, &options.text) {
        println!("Aligning {} with its text.", wav.display());
        let aligner = Aligner::new(&options.assets)?;
        let meeting = file::meeting(wav, text, &aligner, options.seed)?;
        return Ok((meeting, wav.display().to_string()));
    }
    println!("Speaking the dialogue with {} voices.", options.speakers);
    let meeting = dialogue::meeting(usize::from(options.speakers), options.seed)?;
    Ok((meeting, "Dialogue (flite)".to_owned()))
}

fn human_speech(options: &DemoOptions) -> Result<Option<Meeting>, DemoError> {
    if options.no_librivox || options.wav.is_some() {
        return Ok(None);
    }
    println!("Aligning the LibriVox clips with their transcripts.");
    let aligner = Aligner::new(&options.assets)?;
    let directory = Path::new(librivox::DIRECTORY);
    Ok(Some(librivox::meeting(directory, &aligner, options.seed)?))
}

fn announce(title: &str, meeting: &Meeting, chaos: bool) {
    let names = meeting
        .tracks
        .iter()
        .map(|track| track.identity.as_str())
        .collect::<Vec<_>>();
    println!(
        "\n{title}: {:.0} s, {}.{}\n",
        meeting.seconds(),
        names.join(", "),
        if chaos {
            " A stage is killed every two seconds."
        } else {
            ""
        }
    );
}

/// The server may run elsewhere: give it a path that holds.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
