// Webhooks arrive in order, again after a failure, and livekit-api finds their signature good.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { API_KEY } from '../browser/hive.js';
import { stage } from './harness/stage.js';
import { untilIt } from './harness/until.js';
import { webhookReceiver } from './harness/webhook-receiver.js';

const ROOM = 'hooked';

test('a backend is told what happens in a room', { timeout: 120_000 }, async (t) => {
  const backend = await webhookReceiver({ failures: 1 });
  const { python, roomService } = await stage(t, {
    WEBHOOK__URLS: `[${backend.url}]`,
    WEBHOOK__API_KEY: API_KEY,
    WEBHOOK__BACKOFF: '100ms',
  });
  const service = await roomService();
  const peer = await python(ROOM, 'ann');
  const sid = await peer.call('publish_tone', { name: 'voice', hertz: 440 });
  await peer.call('unpublish', { sid });
  await peer.call('disconnect');
  await service.call('room_service', { method: 'delete_room', request: { room: ROOM } });
  const received = async () => {
    const good = backend.posts.filter((it) => !it.failed);
    return Promise.all(good.map((it) => service.call('receive_webhook', { body: it.body, authorization: it.headers.authorization })));
  };
  const events = await untilIt('all events', received, (it) => it.some(({ event }) => event === 'room_finished'));

  await t.test('every event is there, in order', () => {
    assert.deepEqual(
      events.map((it) => it.event),
      ['room_started', 'participant_joined', 'track_published', 'track_unpublished', 'participant_left', 'room_finished'],
    );
  });

  await t.test('events say what they are about', () => {
    for (const it of events) assert.equal(it.room.name, ROOM);
    const [, joined, published, unpublished, left] = events;
    for (const it of [joined, published, unpublished, left]) assert.equal(it.participant.identity, 'ann');
    for (const it of [published, unpublished]) assert.equal(it.track.sid, sid);
    assert.equal(new Set(events.map((it) => it.id)).size, events.length);
  });

  await t.test('what failed was posted again', () => {
    const [failed, again] = backend.posts;
    assert.ok(failed.failed);
    assert.equal(again.body, failed.body);
    assert.equal(again.headers['content-type'], 'application/webhook+json');
  });

  await t.test('a changed body is not accepted', async () => {
    const [{ body, headers }] = backend.posts;
    const changed = service.call('receive_webhook', { body: body.replace(ROOM, 'forged'), authorization: headers.authorization });
    await assert.rejects(changed, /hash mismatch/);
  });
});
