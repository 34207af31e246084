// A data packet over the limit is refused where the application sees it, and the channel goes on.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { stage } from './harness/stage.js';

const ROOM = 'data-limit';
/** Over 64 KiB. */
const TOO_LONG = 70_000;

test('a data packet over the limit fails, and the next one arrives', { timeout: 120_000 }, async (t) => {
  const { chromium, python } = await stage(t);
  const [tab, other, peer] = await Promise.all([chromium(ROOM, 'tab'), chromium(ROOM, 'other'), python(ROOM, 'peer')]);

  await t.test('of a browser', async () => {
    const send = (size) =>
      tab.run((size) => window.room.localParticipant.publishData(new TextEncoder().encode('x'.repeat(size)), { reliable: true }), size);
    await assert.rejects(send(TOO_LONG), /larger than \d+ bytes/);
    await send(100);
    await other.happened('dataReceived', { identity: 'tab', text: 'x'.repeat(100) });
    await peer.happened('data_received', { identity: 'tab', text: 'x'.repeat(100) });
    const received = (await other.events()).filter((it) => it.type === 'dataReceived');
    assert.equal(received.length, 1, JSON.stringify(received.map((it) => it.text.length)));
  });
});
