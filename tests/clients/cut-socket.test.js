// The WebSocket is cut, and comes back: clients resume with everything they had, and the application notices nothing.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { stage } from './harness/stage.js';
import { tcpProxy } from './harness/tcp-proxy.js';
import { until } from './harness/until.js';

const ROOM = 'cut-socket';
const GONE = ['disconnected', 'reconnecting', 'trackUnsubscribed', 'participantDisconnected', 'localTrackUnpublished'];

test('clients whose WebSocket is cut resume', { timeout: 120_000 }, async (t) => {
  const { chromium, python, hive, ends } = await stage(t);
  const proxy = await tcpProxy(hive.httpPort);
  ends(() => proxy.close());
  const at = `ws://127.0.0.1:${proxy.port}`;
  const options = { at, videoCaptureDefaults: { resolution: { width: 640, height: 360, frameRate: 15 } } };
  const [witness, tab, peer] = await Promise.all([
    chromium(ROOM, 'witness'),
    chromium(ROOM, 'tab', options),
    python(ROOM, 'peer', { at }),
  ]);
  await tab.run(() => window.room.localParticipant.enableCameraAndMicrophone());
  await witness.run(() => window.room.localParticipant.setMicrophoneEnabled(true));
  await peer.call('publish_tone', { name: 'voice', hertz: 440 });
  for (const it of [witness, tab]) await it.hears('peer');
  await witness.sees('tab');
  await tab.hears('witness');
  const say = (from, text) => from.run((text) => window.room.localParticipant.publishData(new TextEncoder().encode(text), { reliable: true }), text);
  const sids = () => witness.run(() => [...window.room.remoteParticipants.values()].map((it) => [it.identity, it.sid, ...it.trackPublications.keys()]).sort());
  const before = await sids();
  // Clients send what is missing by the number of the last packet that arrived, so there has to be one.
  await say(tab, 'before the cut');
  await witness.happened('dataReceived', { text: 'before the cut' });
  const heardSoFar = Object.keys(await peer.call('heard'));

  proxy.cutAndHold();
  await tab.happened('signalReconnecting');
  await peer.happened('reconnecting');
  await until('two clients that try to come back', () => proxy.held() >= 2);

  await t.test('media and data flow on while the WebSocket is cut', async () => {
    await say(witness, 'to those who are cut off');
    await say(tab, 'from one who is cut off');
    await Promise.all([witness.sees('tab'), witness.hears('tab'), witness.hears('peer'), tab.hears('witness')]);
    assert.ok(!(await tab.events()).some((it) => it.type === 'reconnected'));
  });
  // What changes meanwhile is told afterwards.
  await witness.run(() => window.room.localParticipant.setCameraEnabled(true));

  proxy.mend();
  await t.test('the browser resumes', () => tab.happened('reconnected'));
  await t.test('Python resumes', () => peer.happened('reconnected'));

  await t.test('the applications notice nothing else', async () => {
    for (const it of [tab, witness]) {
      const noticed = (await it.events()).filter((event) => GONE.includes(event.type));
      assert.deepEqual(noticed, []);
    }
    assert.ok(!peer.events.some((it) => ['disconnected', 'track_unsubscribed', 'participant_disconnected'].includes(it.type)));
    assert.deepEqual(await sids(), before);
  });

  await t.test('what was published meanwhile is seen', async () => {
    await tab.sees('witness');
    await until('it at Python', async () => Object.entries(await peer.call('seen')).some(([key, it]) => key.startsWith('witness/') && it.frames > 5));
  });

  await t.test('media flows on afterwards, both ways', async () => {
    await witness.sees('tab');
    await witness.hears('tab');
    await witness.hears('peer');
    await tab.hears('peer');
    assert.deepEqual(Object.keys(await peer.call('heard')), heardSoFar);
  });

  await t.test('what was sent meanwhile arrived, once', async () => {
    await say(witness, 'after the cut');
    await say(tab, 'after the cut, too');
    await tab.happened('dataReceived', { text: 'after the cut' });
    await witness.happened('dataReceived', { text: 'after the cut, too' });
    await peer.happened('data_received', { text: 'after the cut' });
    const received = (events, text) => events.filter((it) => it.text === text).length;
    assert.equal(received(await tab.events(), 'to those who are cut off'), 1);
    assert.equal(received(peer.events, 'to those who are cut off'), 1);
    assert.equal(received(await witness.events(), 'from one who is cut off'), 1);
  });
});
