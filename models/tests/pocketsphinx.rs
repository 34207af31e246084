//! What the recogniser hears, and that it hears the same twice.

#[path = "speech/mod.rs"]
mod speech;

use hive_models::stt::agreement::LocalAgreement;
use hive_models::stt::pocketsphinx::{Decoder, Model, SearchSettings};
use hive_models::stt::{CmnState, DecoderPool, Hypothesis, SpeechToText, SttError, UtteranceStart};

fn model() -> Model {
    Model::open(&speech::assets(), SearchSettings::default()).expect("run `scripts/setup test`")
}

fn decoder() -> Decoder {
    Decoder::new(&model()).expect("the model is whole")
}

fn start(sample: u64, cmn: &CmnState) -> UtteranceStart {
    UtteranceStart {
        sample,
        cmn: cmn.clone(),
    }
}

/// Every partial at 100 ms, then the final hypothesis.
fn recognise(decoder: &mut Decoder, pcm: &[f32], chunk: usize, cmn: &CmnState) -> Vec<Hypothesis> {
    decoder.start(start(0, cmn)).expect("not started");
    let mut hypotheses = Vec::new();
    for (i, pcm) in pcm.chunks(chunk).enumerate() {
        decoder.process(pcm).expect("started");
        if ((i + 1) * chunk).is_multiple_of(1_600) {
            hypotheses.push(decoder.partial().expect("started"));
        }
    }
    hypotheses.push(decoder.finish().expect("started"));
    hypotheses
}

#[test]
fn flite_is_understood() {
    let mut decoder = decoder();
    let (mut errors, mut words) = (0, 0);
    for voice in ["slt", "rms", "kal16"] {
        let mut cmn = CmnState::default();
        for text in &speech::MEETING[..3] {
            let hypotheses = recognise(&mut decoder, &speech::flite(voice, text), 320, &cmn);
            cmn = decoder.cmn().clone();
            let heard = hypotheses.last().expect("a final one").text();
            let (e, w) = speech::word_errors(text, &heard);
            println!("{voice}: {e}/{w} {heard}");
            errors += e;
            words += w;
        }
    }
    assert!(
        errors * 100 <= words * 12,
        "{errors} errors in {words} words"
    );
}

#[test]
fn the_first_words_of_a_stranger_are_heard() {
    // No quiet comes first, so the recogniser meets the voice with a mean that is not the voice's.
    let text = "good morning we have a lot of work to do and very little time";
    let clip = &speech::flite("slt", text)[4_800..];
    let mut decoder = decoder();
    for cut in [0, 2_000, 3_500] {
        let heard = recognise(&mut decoder, &clip[cut..], 320, &CmnState::default());
        let heard = heard.last().expect("a final one").text();
        assert!(heard.starts_with("good morning we"), "{cut}: {heard}");
    }
}

#[test]
fn words_have_their_times_on_the_callers_clock() {
    let mut decoder = decoder();
    let pcm = speech::flite("slt", speech::MEETING[1]);
    decoder
        .start(start(1_000_000, &CmnState::default()))
        .expect("not started");
    decoder.process(&pcm).expect("started");
    let words = decoder.finish().expect("started").words;
    assert!(
        words.is_sorted_by(|a, b| a.start < a.end && a.end <= b.start),
        "{words:?}"
    );
    let (first, last) = (&words[0], &words[words.len() - 1]);
    // flite leaves some silence at both ends, and 0.3 s of noise is added.
    assert!((1_004_000..1_012_000).contains(&first.start), "{first:?}");
    let end = 1_000_000 + pcm.len() as u64;
    assert!(
        (end - 12_000..end - 3_000).contains(&last.end),
        "{last:?} of {end}"
    );
    assert!(
        words
            .iter()
            .all(|word| word.confidence.is_some_and(|p| (0.0..=1.0).contains(&p)))
    );
}

#[test]
fn the_same_audio_gives_the_same_words_whatever_came_before_and_however_it_is_cut() {
    let pcm = speech::flite("rms", speech::MEETING[4]);
    let other = speech::flite("slt", speech::MEETING[0]);
    let mut fresh = decoder();
    let mut cmn = CmnState::default();
    recognise(&mut fresh, &other, 320, &cmn);
    cmn = fresh.cmn().clone();
    let expected = recognise(&mut fresh, &pcm, 320, &cmn);
    let cmn_after = fresh.cmn().clone();

    let mut used = decoder();
    recognise(
        &mut used,
        &speech::noise(16_000, 0.3, 7),
        320,
        &CmnState::default(),
    );
    used.start(start(0, &CmnState::default()))
        .expect("not started");
    used.process(&other[..20_000]).expect("started");
    used.abandon();
    assert_eq!(recognise(&mut used, &pcm, 320, &cmn), expected);
    assert_eq!(used.cmn(), &cmn_after);

    // 100 ms at a time the partials are fewer; those there are, and the end, are the same.
    let coarse = recognise(&mut used, &pcm, 1_600, &cmn);
    assert_eq!(coarse.last(), expected.last());
    let odd = recognise(&mut used, &pcm, 777, &cmn);
    assert_eq!(odd.last(), expected.last());
}

#[test]
fn a_decoder_resumed_in_the_middle_neither_repeats_nor_loses_committed_words() {
    let text = speech::MEETING[9];
    let pcm = speech::flite("slt", text);
    let mut decoder = decoder();
    let mut agreement = LocalAgreement::new(2);
    let (cut, step) = (pcm.len() / 2, 3_200);

    decoder
        .start(start(0, &CmnState::default()))
        .expect("not started");
    for chunk in pcm[..cut].chunks(step) {
        decoder.process(chunk).expect("started");
        agreement.update(&decoder.partial().expect("started"));
    }
    let committed = agreement.committed().to_vec();
    assert!(committed.len() >= 3, "{committed:?}");
    decoder.abandon();

    // Another decoder is given the audio since a little before the last committed word's end.
    let from = committed[committed.len() - 1].end.saturating_sub(3_200);
    let mut resumed = LocalAgreement::resume(2, committed.clone());
    decoder
        .start(start(from, &CmnState::default()))
        .expect("abandoned");
    for chunk in pcm[from as usize..].chunks(step) {
        decoder.process(chunk).expect("started");
        resumed.update(&decoder.partial().expect("started"));
    }
    resumed.finish(&decoder.finish().expect("started"));

    assert_eq!(resumed.committed()[..committed.len()], committed);
    let heard = Hypothesis {
        words: resumed.committed().to_vec(),
    }
    .text();
    let (errors, _) = speech::word_errors(text, &heard);
    // A cut in the middle costs some words of accuracy around it.
    assert!(
        errors <= 6 && heard.contains("the first half of the"),
        "{heard}"
    );
}

#[test]
fn silence_noise_and_nothing_are_no_words_and_no_crash() {
    let mut decoder = decoder();
    let cmn = CmnState::default();
    let last = |hypotheses: Vec<Hypothesis>| hypotheses.last().expect("a final one").clone();
    assert_eq!(last(recognise(&mut decoder, &[], 320, &cmn)).words, []);
    assert_eq!(
        last(recognise(&mut decoder, &[0.0; 16_000], 320, &cmn)).words,
        []
    );
    assert_eq!(
        last(recognise(&mut decoder, &[f32::NAN; 1_000], 320, &cmn)).words,
        []
    );
    // Loud noise may be heard as something; it must end and leave the decoder usable.
    recognise(&mut decoder, &[f32::INFINITY; 8_000], 320, &cmn);
    recognise(&mut decoder, &speech::noise(16_000, 0.5, 1), 320, &cmn);
    let pcm = speech::flite("slt", speech::MEETING[2]);
    assert!(
        last(recognise(&mut decoder, &pcm, 320, &cmn))
            .text()
            .contains("budget")
    );
}

#[test]
fn calls_out_of_order_are_refused() {
    let mut decoder = decoder();
    assert_eq!(decoder.process(&[0.0; 320]), Err(SttError::NotStarted));
    assert_eq!(decoder.partial(), Err(SttError::NotStarted));
    assert_eq!(decoder.finish(), Err(SttError::NotStarted));
    decoder.abandon();
    decoder
        .start(start(0, &CmnState::default()))
        .expect("not started");
    assert_eq!(
        decoder.start(start(0, &CmnState::default())),
        Err(SttError::AlreadyStarted)
    );
    assert!(
        !decoder.has_failed(),
        "a caller's mistake is not the engine's"
    );
}

#[tokio::test]
async fn the_pool_is_bounded_and_gets_its_decoders_back_clean() {
    let pool = DecoderPool::new(model(), 1, 2);
    let mut first = pool.checkout().await.expect("the model is whole");
    let second = pool.checkout().await.expect("the model is whole");
    assert_eq!(pool.stats().live, 2);
    assert!(pool.try_checkout().is_none());

    let mut third = Box::pin(pool.checkout());
    assert!(futures_poll(&mut third).is_none(), "all are out");
    assert_eq!(pool.stats().waiting, 1);
    // One that gave up waiting is handed nothing.
    drop(Box::pin(pool.checkout()));

    first
        .start(start(0, &CmnState::default()))
        .expect("not started");
    first.process(&[0.1; 1_600]).expect("started");
    drop(first);
    let mut third = third.await.expect("one came back");
    third
        .start(start(0, &CmnState::default()))
        .expect("its utterance was abandoned");
    drop((second, third));
    assert_eq!((pool.stats().live, pool.stats().idle), (2, 2));
}

/// The future's output if it is ready at once.
fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::Pin::new(future).poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}
