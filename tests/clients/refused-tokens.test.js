// Who has no good token for a room does not get in, and the client shows why.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { stage } from './harness/stage.js';
import { token } from './harness/token.js';

const ROOM = 'refused';

test('only good tokens open a room', { timeout: 120_000 }, async (t) => {
  const { chromium, tab, process, url, hive } = await stage(t);
  const [host, guest, python] = await Promise.all([chromium(ROOM, 'host'), tab(), process('peer.py')]);
  const past = Math.floor(Date.now() / 1000) - 3600;
  const refused = [
    ['without roomJoin', token(ROOM, 'guest', { roomJoin: false }), /roomJoin/],
    ['that has expired', token(ROOM, 'guest', {}, { nbf: past - 60, exp: past }), /expired/i],
    ['of an unknown key', token(ROOM, 'guest', {}, { iss: 'nobody' }), /token|key|signed/i],
    ['that was changed', token(ROOM, 'guest').replace(/.$/, (last) => (last === 'A' ? 'E' : 'A')), /token|sign/i],
    ['that is none', 'no.token.at-all', /token/i],
  ];
  for (const [which, bad, reason] of refused) {
    await t.test(`a browser with a token ${which} is refused`, async () => {
      await assert.rejects(guest.join(url, bad), (error) => {
        assert.match(error.message, reason);
        return true;
      });
    });
    await t.test(`Python with a token ${which} is refused`, () => assert.rejects(python.call('connect', { url, token: bad }), { name: 'ConnectError' }));
  }

  await t.test('a token for one room does not open another', async () => {
    const foreign = token('another-room', 'guest');
    const answer = await fetch(`${hive.base}/rtc/validate?room=${ROOM}&access_token=${foreign}`);
    assert.equal(answer.status, 403);
    await guest.join(url, foreign);
    assert.equal(await guest.run(() => window.room.name), 'another-room');
  });

  await t.test('nobody of these was in the room', async () => {
    assert.deepEqual(await host.run(() => [...window.room.remoteParticipants.keys()]), []);
    assert.ok(!(await host.events()).some((it) => it.type === 'participantConnected'));
  });
});
