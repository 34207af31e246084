//! `hive-loadtest`: the demo, the forwarding benchmark, and their speech by itself.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use hive_loadtest::audio::wav;
use hive_loadtest::demo::{self, DemoOptions};
use hive_loadtest::forward::{self, ForwardOptions};
use hive_loadtest::speech::{CLIP_RATE, dialogue};
use hive_loadtest::squeeze::{self, SqueezeOptions};
use tracing_subscriber::EnvFilter;

/// Simulated lossy WebRTC peers against HIVE.
///
/// Each command starts `hive serve` as a process of its own, joins peers to it over real HTTP, ICE,
/// DTLS and SRTP, and prints what it measured against the targets of docs/slo.md. RUST_LOG shows
/// more of what the peers do.
#[derive(Parser)]
#[command(name = "hive-loadtest", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Speech goes into a room in English over a bad link and comes out in Spanish.
    ///
    /// Plays a scripted dialogue of several flite voices, then human LibriVox readings; prints
    /// captions live in both languages, then a table of every figure against its target. Writes
    /// translated.wav, floor.wav, captions.en.vtt, captions.es.vtt and report.json.
    Demo(Box<DemoOptions>),
    /// Forwarded packets per CPU-second, delivery, latency and memory a peer.
    ///
    /// --case audio is rooms of one speaker each; crowd is 500 listeners and 10 speakers in one room, over WHEP
    /// or, with --protocol livekit, as LiveKit's participants; video is cameras in three layers over LiveKit's
    /// signalling.
    Forward(ForwardOptions),
    /// Simulcast video to a subscriber whose link is cut and comes back.
    ///
    /// A publisher sends a microphone and a synthetic VP8 camera in three layers of 150 kbit/s, 500
    /// kbit/s and 1.7 Mbit/s over LiveKit signalling; a subscriber behind the link model receives them,
    /// with transport-wide feedback, NACK and PLI. Prints how fast it goes down a layer after the cut, the
    /// longest frozen picture, how fast the top layer is back, and what became of the microphone meanwhile.
    Simulcast(SqueezeOptions),
    /// Write the dialogue as WAV files, one a speaker, with its words and their times as JSON.
    Speech(SpeechOptions),
}

#[derive(Args)]
struct SpeechOptions {
    /// Speakers in the dialogue.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=4))]
    speakers: u8,
    /// Seed of the room tone.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Directory for the files.
    #[arg(long, default_value = "demo-out/speech", value_name = "DIR")]
    out: PathBuf,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hive-loadtest: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    match cli.command {
        Command::Demo(options) => runtime.block_on(demo::run(&options))?,
        Command::Forward(options) => runtime.block_on(forward::run(&options))?,
        Command::Simulcast(options) => runtime.block_on(squeeze::run(&options)).map(drop)?,
        Command::Speech(options) => speech(&options)?,
    }
    Ok(())
}

fn speech(options: &SpeechOptions) -> Result<(), Box<dyn std::error::Error>> {
    std::fs::create_dir_all(&options.out)?;
    let meeting = dialogue::meeting(usize::from(options.speakers), options.seed)?;
    for track in &meeting.tracks {
        let file = |extension| options.out.join(format!("{}.{extension}", track.identity));
        wav::write_mono(&file("wav"), CLIP_RATE, &track.pcm)?;
        let words = track.words.iter().map(
            |word| serde_json::json!({"text": word.text, "start": word.start, "end": word.end}),
        );
        let words = serde_json::Value::Array(words.collect());
        std::fs::write(file("json"), format!("{words:#}\n"))?;
        println!("{}", file("wav").display());
    }
    Ok(())
}
