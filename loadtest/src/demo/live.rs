//! Captions on the terminal while they happen.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::time::Instant;

use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::peer::events::{Caption, CaptionKind, Event, ReceivedEvent};

/// Longest volatile line, characters.
const WIDTH: usize = 100;

/// Print captions as they come: settled lines for good, the latest words still open on a line that
/// changes, if the terminal can do that.
pub(super) fn show(
    mut events: broadcast::Receiver<ReceivedEvent>,
    clock: Clock,
    start: Instant,
) -> JoinHandle<()> {
    let began = clock.seconds(start);
    tokio::spawn(async move {
        let mut screen = Screen::new(std::io::stdout().is_terminal());
        loop {
            match events.recv().await {
                Ok(event) => {
                    if let Event::Caption(caption) = &event.envelope.event {
                        screen.caption(caption, clock.seconds(event.at) - began);
                    }
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    })
}

struct Screen {
    terminal: bool,
    /// Committed words of utterances still open.
    open: HashMap<String, Vec<String>>,
}

impl Screen {
    fn new(terminal: bool) -> Self {
        Self {
            terminal,
            open: HashMap::new(),
        }
    }

    fn caption(&mut self, caption: &Caption, at: f64) {
        let key = caption.clause.as_ref().unwrap_or(&caption.utterance);
        let words = || caption.words.iter().map(|word| word.text.clone());
        match caption.kind {
            CaptionKind::Final => {
                self.open.remove(key);
                let text = match &caption.text {
                    Some(text) => text.clone(),
                    None => words().collect::<Vec<_>>().join(" "),
                };
                self.settled(at, caption, &text);
            }
            CaptionKind::Committed => {
                self.open.entry(key.clone()).or_default().extend(words());
            }
            CaptionKind::Partial => {
                let committed = self.open.get(key).cloned().unwrap_or_default();
                let settled = committed.into_iter().take(caption.from);
                let text = settled.chain(words()).collect::<Vec<_>>().join(" ");
                self.volatile(at, caption, &text);
            }
        }
    }

    fn settled(&self, at: f64, caption: &Caption, text: &str) {
        if text.is_empty() {
            return;
        }
        let line = line(at, caption, text);
        let (clear, colour, reset) = match (self.terminal, caption.translated) {
            (false, _) => ("", "", ""),
            (true, true) => ("\r\x1b[K", "\x1b[33m", "\x1b[0m"),
            (true, false) => ("\r\x1b[K", "", ""),
        };
        // A closed pipe ends the show, not the measurement.
        let _ = writeln!(std::io::stdout(), "{clear}{colour}{line}{reset}");
    }

    fn volatile(&self, at: f64, caption: &Caption, text: &str) {
        if !self.terminal {
            return;
        }
        let line = line(at, caption, text);
        let skipped = line.chars().count().saturating_sub(WIDTH);
        let tail = line.chars().skip(skipped).collect::<String>();
        let mut out = std::io::stdout();
        let _ = write!(out, "\r\x1b[K\x1b[2m{tail}\x1b[0m");
        let _ = out.flush();
    }
}

fn line(at: f64, caption: &Caption, text: &str) -> String {
    format!(
        "{at:7.1} s  {:<8} {}  {text}",
        caption.speaker, caption.lang
    )
}
