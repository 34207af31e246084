// What livekit-client has a server simulate: a connection that breaks is resumed, a stay that is lost starts anew.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { stage } from './harness/stage.js';
import { until } from './harness/until.js';

const ROOM = 'simulated-breaks';

test('simulated breaks are mended by the client', { timeout: 120_000 }, async (t) => {
  const { chromium } = await stage(t);
  const [witness, tab] = await Promise.all([chromium(ROOM, 'witness'), chromium(ROOM, 'tab')]);
  await tab.run(() => window.room.localParticipant.setMicrophoneEnabled(true));
  await witness.hears('tab');
  const sid = () => witness.run(() => window.room.remoteParticipants.get('tab')?.sid);
  const before = await sid();

  await t.test('a broken connection', async () => {
    await tab.run(() => window.room.simulateScenario('migration'));
    await tab.happened('reconnected');
    assert.equal(await sid(), before);
    await witness.hears('tab');
  });

  await t.test('a lost node', async () => {
    await tab.run(() => window.room.simulateScenario('node-failure'));
    await until('a new stay', async () => {
      const now = await sid();
      return now && now !== before;
    });
    await witness.hears('tab');
  });
});
