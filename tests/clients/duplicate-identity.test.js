// One identity is one stay: who comes later takes the place, and the first is told why it has to go.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { stage } from './harness/stage.js';

const ROOM = 'twice';

test('a second client of one identity takes the place of the first', { timeout: 120_000 }, async (t) => {
  const { chromium, python } = await stage(t);
  const [witness, first] = await Promise.all(['witness', 'ann'].map((name) => chromium(ROOM, name)));
  await first.run(() => window.room.localParticipant.setMicrophoneEnabled(true));
  await witness.hears('ann');
  const sid = () => witness.run(() => window.room.remoteParticipants.get('ann')?.sid);
  const before = await sid();

  const second = await chromium(ROOM, 'ann');
  await second.run(() => window.room.localParticipant.setMicrophoneEnabled(true));

  await t.test('the first is told the reason, and does not come back', async () => {
    const reason = await first.run(() => window.LivekitClient.DisconnectReason.DUPLICATE_IDENTITY);
    await first.happened('disconnected', { values: [reason] });
    assert.ok(!(await first.events()).some((it) => it.type === 'reconnecting'));
  });
  await t.test('the others see one go and one come, and hear the second', async () => {
    await witness.happened('participantDisconnected', { identity: 'ann' });
    await witness.hears('ann');
    assert.notEqual(await sid(), before);
    assert.deepEqual(await witness.run(() => [...window.room.remoteParticipants.keys()]), ['ann']);
  });
  await t.test('a Python client in the place of the browser, likewise', async () => {
    await python(ROOM, 'ann');
    const reason = await second.run(() => window.LivekitClient.DisconnectReason.DUPLICATE_IDENTITY);
    await second.happened('disconnected', { values: [reason] });
  });
});
