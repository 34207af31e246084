//! The scripted meeting that the demo plays.

use super::flite::{self, FliteError, Voice};
use super::meeting::{Meeting, SpeakerTrack};

/// One turn of the script.
struct Turn {
    /// Index of the speaker; folded onto the speakers there are.
    speaker: usize,
    /// Silence between the end of the previous turn and the start of this one, seconds.
    ///
    /// Negative lets the turn start while the previous one is still spoken.
    pause: f64,
    text: &'static str,
}

const fn turn(speaker: usize, pause: f64, text: &'static str) -> Turn {
    Turn {
        speaker,
        pause,
        text,
    }
}

/// Plain words, all in a 130,000-word US English vocabulary; turns end as people end them.
const SCRIPT: &[Turn] = &[
    turn(
        0,
        0.0,
        "Good morning everybody. Thank you for coming to the meeting today.",
    ),
    turn(0, 0.5, "We have a lot of work to do, and very little time."),
    turn(
        1,
        0.7,
        "Good morning. I have some good news about the new project.",
    ),
    turn(
        1,
        0.4,
        "The first version is ready, and our customers like it.",
    ),
    turn(
        2,
        0.8,
        "That is very good news. How many people are using it now?",
    ),
    turn(1, 0.7, "About two hundred people use it every day."),
    turn(
        1,
        0.4,
        "Most of them work in small companies in the south of the country.",
    ),
    turn(0, 0.8, "And what do they say about the price?"),
    turn(2, 0.6, "Some of them think that it is too high."),
    turn(
        2,
        0.4,
        "I think we should offer a better price to small companies.",
    ),
    // The next turn starts before this one is over: two people speak at once.
    turn(
        0,
        -0.6,
        "I agree with you. Can you write a short report about this?",
    ),
    turn(
        2,
        0.7,
        "Yes, of course. I will send it to you before the end of the week.",
    ),
    turn(
        1,
        0.8,
        "There is also a problem with the water in the office.",
    ),
    turn(
        1,
        0.4,
        "The machine in the kitchen does not work since last Tuesday.",
    ),
    turn(
        0,
        0.7,
        "Please call the company, and ask them to come tomorrow morning.",
    ),
    turn(2, 0.8, "One more question. When is the next meeting?"),
    turn(0, 0.6, "The next meeting is on Monday, at the same time."),
    turn(
        0,
        0.4,
        "Please bring your questions to the meeting, and think about the price.",
    ),
    turn(
        1,
        0.7,
        "I cannot come on Monday, because I have to visit a customer.",
    ),
    turn(2, 0.6, "Then we can meet on Wednesday, in the afternoon."),
    turn(
        0,
        0.7,
        "Very well. Thank you all for your help, and have a nice day.",
    ),
];

/// Names of the speakers, in the order they get a voice.
const NAMES: [&str; 4] = ["alice", "bob", "carol", "david"];

/// Synthesise the meeting for a number of speakers.
///
/// Turns of the script's three parts are dealt to `speakers` (1 to 4) speakers, each with a flite
/// voice of its own. `seed` draws the room tone between the words. The meeting lasts over a
/// minute.
///
/// # Errors
///
/// flite makes nothing of a turn.
pub fn meeting(speakers: usize, seed: u64) -> Result<Meeting, FliteError> {
    let speakers = speakers.clamp(1, NAMES.len());
    let mut tracks = (0..speakers)
        .map(|n| SpeakerTrack::new(NAMES[n]))
        .collect::<Vec<_>>();
    // A track opens with a second of room tone: the jitter buffer and the VAD settle in it.
    let mut clock = 1.0;
    for (number, turn) in SCRIPT.iter().enumerate() {
        // With more speakers than parts, every second turn of the last part goes to the fourth.
        let speaker = if speakers == 4 && turn.speaker == 2 && number % 2 == 0 {
            3
        } else {
            turn.speaker % speakers
        };
        let mut clip = flite::synthesise(turn.text, Voice::ALL[speaker])?;
        clip.normalise(-20.0);
        clock = tracks[speaker].place(&clip, clock + turn.pause);
    }
    Ok(Meeting::new(tracks, clock + 1.0, seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_meeting_lasts_over_a_minute_and_everybody_speaks() {
        for speakers in 1..=4 {
            let meeting = meeting(speakers, 1).unwrap();
            assert!(meeting.seconds() >= 60.0, "{}", meeting.seconds());
            assert_eq!(meeting.tracks.len(), speakers);
            for track in &meeting.tracks {
                assert!(track.words.len() > 20, "{} says little", track.identity);
            }
        }
    }

    #[test]
    fn one_turn_is_spoken_over_another() {
        let meeting = meeting(3, 1).unwrap();
        let voiced =
            |track: &SpeakerTrack, at: f64| track.words.iter().any(|w| w.start <= at && at < w.end);
        let overlap = (0..(meeting.seconds() * 100.0) as usize)
            .map(|n| n as f64 / 100.0)
            .filter(|at| meeting.tracks.iter().filter(|t| voiced(t, *at)).count() > 1)
            .count();
        assert!(overlap > 10, "{overlap} hundredths");
    }
}
