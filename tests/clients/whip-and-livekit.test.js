// One room for aiortc over WHIP and WHEP and for LiveKit's clients: each hears the other.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { stage } from './harness/stage.js';
import { token } from './harness/token.js';
import { untilIt } from './harness/until.js';

const ROOM = 'both-worlds';
const isTone = (hertz) => (it) => it?.share > 0.9 && Math.abs(it.hertz - hertz) <= 2;

test('aiortc and LiveKit clients hear each other', { timeout: 120_000 }, async (t) => {
  const { python, process, hive, chromium } = await stage(t);
  const [aiortc, peer, tab] = await Promise.all([process('whip.py'), python(ROOM, 'livekit'), chromium(ROOM, 'browser')]);
  await peer.call('publish_tone', { name: 'voice', hertz: 500 });
  const speaking = await aiortc.call('publish', { url: `${hive.base}/whip/${ROOM}`, token: token(ROOM, 'aiortc'), hertz: 800 });

  await t.test('Python hears what aiortc speaks by WHIP', async () => {
    await peer.happened('participant_connected', { identity: 'aiortc' });
    const heard = await untilIt('the tone', async () => (await peer.call('heard'))['aiortc/microphone'], isTone(800));
    // A quarter of full scale is −15 dBFS; aiortc spreads it over two channels, which takes 3 dB.
    assert.ok(Math.abs(heard.level + 18) < 2, JSON.stringify(heard));
  });

  await t.test('a browser hears it too', async () => {
    await tab.hears('aiortc');
    await untilIt('the tone', () => tab.pitch('aiortc'), (it) => it && Math.abs(it.hertz - 800) < 10);
  });

  await t.test("aiortc hears LiveKit's microphone by WHEP, and not itself", async () => {
    const listening = await aiortc.call('listen', { url: `${hive.base}/whep/${ROOM}`, token: token(ROOM, 'aiortc') });
    const [heard] = await untilIt('the tone', () => aiortc.call('heard'), (it) => it.some(isTone(500)));
    assert.ok(Math.abs(heard.level + 15) < 2, JSON.stringify(heard));
    assert.equal(await aiortc.call('end', { session: listening }), 200);
  });

  await t.test('who ends their WHIP session is gone for the others', async () => {
    assert.equal(await aiortc.call('end', { session: speaking }), 200);
    await peer.happened('track_unsubscribed', { identity: 'aiortc' });
    await peer.happened('participant_disconnected', { identity: 'aiortc' });
    await tab.happened('participantDisconnected', { identity: 'aiortc' });
  });
});
