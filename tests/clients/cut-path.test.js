// No datagram passes for five seconds: media and data go on afterwards, and the application notices nothing.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { stage } from './harness/stage.js';
import { udpRelay } from './harness/udp-relay.js';
import { untilIt } from './harness/until.js';

const ROOM = 'cut-path';
const CUT_MS = 5000;
/** Clients are told this address; the server itself is on 127.0.0.1. */
const OUTSIDE = '127.0.0.2';
const NOTICED = ['disconnected', 'reconnecting', 'trackUnsubscribed', 'participantDisconnected', 'localTrackUnpublished'];

test('clients whose UDP path is cut for five seconds go on', { timeout: 120_000 }, async (t) => {
  const { chromium, python, hive, ends } = await stage(t, { MEDIA__ADVERTISE: `[${OUTSIDE}]` });
  const relay = await udpRelay(OUTSIDE, hive.mediaPort);
  ends(() => relay.close());
  const options = { videoCaptureDefaults: { resolution: { width: 640, height: 360, frameRate: 15 } } };
  const [ann, bob, peer] = await Promise.all([chromium(ROOM, 'ann', options), chromium(ROOM, 'bob', options), python(ROOM, 'peer')]);
  const tabs = { ann, bob };
  for (const tab of [ann, bob]) await tab.run(() => window.room.localParticipant.enableCameraAndMicrophone());
  await peer.call('publish_tone', { name: 'voice', hertz: 440 });
  const everything = async () => {
    await tabs.ann.sees('bob');
    await tabs.ann.hears('bob');
    await tabs.ann.hears('peer');
    await tabs.bob.sees('ann');
    await tabs.bob.hears('ann');
    await tabs.bob.hears('peer');
    for (const identity of ['ann', 'bob']) {
      const frames = async () => Object.entries(await peer.call('seen')).find(([key]) => key.startsWith(`${identity}/`))?.[1].frames ?? 0;
      const before = await frames();
      await untilIt(`Python sees ${identity}`, frames, (it) => it >= before + 10);
      // Of the last second alone, so that it was heard after the cut.
      const sound = async () => Object.entries(await peer.call('heard')).find(([key]) => key.startsWith(`${identity}/`))?.[1];
      await untilIt(`Python hears ${identity}`, sound, (it) => it?.level > -45);
    }
  };
  await t.test('media flows through the relay', async () => {
    await everything();
    assert.ok(relay.passed() > 100);
  });

  const say = (from, text) => from.run((text) => window.room.localParticipant.publishData(new TextEncoder().encode(text), { reliable: true }), text);
  const pass = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  relay.cut();
  // The length of the cut is what is tested.
  const over = pass(CUT_MS);
  await say(tabs.ann, 'into the dark');
  await say(tabs.bob, 'out of the dark');
  await peer.call('publish_data', { text: 'from Python in the dark' });
  // What came before the cut is decoded a second later.
  await pass(1000);
  const frames = (await tabs.ann.received('bob', 'camera')).framesDecoded;
  await over;
  const still = (await tabs.ann.received('bob', 'camera')).framesDecoded;
  assert.equal(still, frames, 'the cut did not stop the video');
  assert.ok(relay.dropped() > 100);
  relay.mend();

  await t.test('media flows on afterwards', everything);

  await t.test('reliable data that was sent meanwhile arrives, once', async () => {
    await tabs.bob.happened('dataReceived', { identity: 'ann', text: 'into the dark' });
    await tabs.ann.happened('dataReceived', { identity: 'bob', text: 'out of the dark' });
    await peer.happened('data_received', { identity: 'bob', text: 'out of the dark' });
    for (const tab of [ann, bob]) await tab.happened('dataReceived', { identity: 'peer', text: 'from Python in the dark' });
    await say(tabs.ann, 'in the light');
    await tabs.bob.happened('dataReceived', { identity: 'ann', text: 'in the light' });
    const count = (events, text) => events.filter((it) => it.text === text).length;
    assert.equal(count(await tabs.bob.events(), 'into the dark'), 1);
    assert.equal(count(await tabs.ann.events(), 'out of the dark'), 1);
    assert.equal(count(peer.events, 'out of the dark'), 1);
    assert.equal(count(await tabs.bob.events(), 'from Python in the dark'), 1);
  });

  await t.test('lossy data flows on as well', async () => {
    // A lossy packet may be lost, even here; of some, one arrives.
    for (let i = 0; i < 5; i++) {
      await tabs.ann.run(() => window.room.localParticipant.publishData(new TextEncoder().encode('perhaps'), { reliable: false }));
      await peer.call('publish_data', { text: 'maybe', reliable: false });
    }
    await tabs.bob.happened('dataReceived', { identity: 'ann', text: 'perhaps' });
    await peer.happened('data_received', { identity: 'ann', text: 'perhaps' });
    await tabs.bob.happened('dataReceived', { identity: 'peer', text: 'maybe' });
  });

  await t.test('the applications noticed nothing', async () => {
    for (const tab of Object.values(tabs)) {
      assert.deepEqual((await tab.events()).filter((event) => NOTICED.includes(event.type)), []);
    }
    assert.ok(!peer.events.some((it) => ['disconnected', 'track_unsubscribed', 'participant_disconnected'].includes(it.type)));
  });
});
