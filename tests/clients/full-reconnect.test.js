// Clients that cannot resume start anew by themselves, and publish again: one that the server asks to, and one
// whose attempt to resume fails.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { stage } from './harness/stage.js';
import { tcpProxy } from './harness/tcp-proxy.js';
import { until } from './harness/until.js';

const ROOM = 'full-reconnect';

test('clients that cannot resume start anew', { timeout: 120_000 }, async (t) => {
  const { chromium, python, hive, ends } = await stage(t);
  const proxy = await tcpProxy(hive.httpPort);
  ends(() => proxy.close());
  const at = `ws://127.0.0.1:${proxy.port}`;
  const options = { videoCaptureDefaults: { resolution: { width: 640, height: 360, frameRate: 15 } } };
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
  const sid = (identity) => witness.run((identity) => window.room.remoteParticipants.get(identity)?.sid, identity);
  const before = await Promise.all(['tab', 'peer'].map(sid));

  // livekit-client resumes for as long as it can, Python's client tries it once.
  proxy.cutAndRefuse();
  await until('a refused attempt', () => proxy.refused() >= 1);
  await peer.happened('reconnecting');
  proxy.mend();
  await tab.run(() => window.room.simulateScenario('leave-full-reconnect'));
  await tab.happened('reconnecting');

  await t.test('the browser and Python come back', async () => {
    await tab.happened('reconnected');
    await peer.happened('reconnected');
    for (const [i, identity] of ['tab', 'peer'].entries()) {
      const now = await until(`a new stay of ${identity}`, async () => {
        const now = await sid(identity);
        return now !== before[i] && now;
      });
      assert.match(now, /^PA_/);
    }
  });

  await t.test('they are heard and seen again, and hear', async () => {
    await witness.sees('tab');
    await witness.hears('tab');
    await witness.hears('peer');
    await tab.hears('witness');
    await tab.hears('peer');
  });

  await t.test('data goes both ways again', async () => {
    const say = (from, text) => from.run((text) => window.room.localParticipant.publishData(new TextEncoder().encode(text), { reliable: true }), text);
    await say(witness, 'welcome back');
    await tab.happened('dataReceived', { text: 'welcome back' });
    await peer.happened('data_received', { text: 'welcome back' });
    // For two seconds after a full reconnect livekit-client keeps what it is given to itself.
    await until('data of the browser', async () => {
      await say(tab, 'thank you');
      return (await witness.events()).some((it) => it.type === 'dataReceived' && it.text === 'thank you');
    });
    await peer.call('publish_data', { text: 'likewise' });
    await witness.happened('dataReceived', { text: 'likewise' });
  });

  await t.test('nobody was sent away', async () => {
    assert.ok(!(await tab.events()).some((it) => it.type === 'disconnected'));
    assert.ok(!peer.events.some((it) => it.type === 'disconnected'));
  });
});
