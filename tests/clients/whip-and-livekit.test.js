// One room for aiortc over WHIP and WHEP and for LiveKit's clients: each hears the other.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { stage } from './harness/stage.js';
import { token } from './harness/token.js';
import { untilIt } from './harness/until.js';

const ROOM = 'both-worlds';
const isTone = (hertz, level) => (it) =>
  it?.share > 0.9 && Math.abs(it.hertz - hertz) <= 2 && (level === undefined || Math.abs(it.level - level) < 2);

test('aiortc and LiveKit clients hear each other', { timeout: 120_000 }, async (t) => {
  const { python, process, hive, chromium } = await stage(t);
  const [aiortc, peer, tab] = await Promise.all([process('whip.py'), python(ROOM, 'livekit'), chromium(ROOM, 'browser')]);
  await peer.call('publish_tone', { name: 'voice', hertz: 500 });
  const speaking = await aiortc.call('publish', { url: `${hive.base}/whip/${ROOM}`, token: token(ROOM, 'aiortc'), hertz: 800 });

  await t.test('Python hears what aiortc speaks by WHIP', async () => {
    await peer.happened('participant_connected', { identity: 'aiortc' });
    // A quarter of full scale is −15 dBFS; aiortc spreads it over two channels, which takes 3 dB.
    await untilIt('the tone', async () => (await peer.call('heard'))['aiortc/microphone'], isTone(800, -18));
  });

  await t.test('a browser hears it too', async () => {
    await tab.hears('aiortc');
    await untilIt('the tone', () => tab.pitch('aiortc'), (it) => it && Math.abs(it.hertz - 800) < 10);
  });

  await t.test("aiortc hears LiveKit's microphone by WHEP, and not itself", async () => {
    const listening = await aiortc.call('listen', { url: `${hive.base}/whep/${ROOM}`, token: token(ROOM, 'aiortc') });
    await untilIt('the tone', () => aiortc.call('heard'), (it) => it.some(isTone(500, -15)));
    assert.equal(await aiortc.call('end', { session: listening }), 200);
  });

  await t.test("another aiortc hears by WHEP what a browser sends as RED, which it does not know, and the first one's tone", async () => {
    await tab.run(async (frequency) => {
      const context = new AudioContext({ sampleRate: 48000 });
      const oscillator = new OscillatorNode(context, { frequency });
      const out = context.createMediaStreamDestination();
      oscillator.connect(new GainNode(context, { gain: 0.25 })).connect(out);
      oscillator.start();
      await context.resume();
      await window.room.localParticipant.publishTrack(out.stream.getAudioTracks()[0], { source: 'microphone', name: 'oscillator' });
    }, 1200);
    const codec = () =>
      tab.run(async () => {
        const { sender } = window.room.localParticipant.getTrackPublication('microphone').track;
        const report = await sender.getStats();
        const outbound = [...report.values()].find((it) => it.type === 'outbound-rtp');
        return report.get(outbound?.codecId)?.mimeType;
      });
    await untilIt('RED', codec, (it) => it === 'audio/red');
    const second = await process('whip.py');
    await second.call('listen', { url: `${hive.base}/whep/${ROOM}`, token: token(ROOM, 'second'), sections: 3 });
    const heard = () => second.call('heard');
    await untilIt('all three tones', heard, (it) => [500, 800, 1200].every((hertz) => it.some(isTone(hertz))));
  });

  await t.test('who ends their WHIP session is gone for the others', async () => {
    assert.equal(await aiortc.call('end', { session: speaking }), 200);
    await peer.happened('track_unsubscribed', { identity: 'aiortc' });
    await peer.happened('participant_disconnected', { identity: 'aiortc' });
    await tab.happened('participantDisconnected', { identity: 'aiortc' });
  });
});
