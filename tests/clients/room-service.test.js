// livekit-api's room service: rooms and participants as an application's backend sees and changes them.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { API_KEY } from '../browser/hive.js';
import { stage } from './harness/stage.js';
import { token } from './harness/token.js';
import { untilIt } from './harness/until.js';

const ROOM = 'serviced';

test('a backend governs a room with livekit-api', { timeout: 120_000 }, async (t) => {
  const { chromium, python, process, roomService, url } = await stage(t);
  const backend = await roomService();
  const call = (method, request) => backend.call('room_service', { method, request });
  const code = (expected) => (error) => {
    assert.equal(error.code, expected, error.message);
    return true;
  };

  await t.test('creates a room, and finds it', async () => {
    const made = await call('create_room', { name: ROOM, metadata: 'first', emptyTimeout: 120, maxParticipants: 10 });
    assert.equal(made.name, ROOM);
    assert.equal(made.metadata, 'first');
    assert.equal(made.emptyTimeout, 120);
    assert.match(made.sid, /^RM_/);
    const again = await call('create_room', { name: ROOM, metadata: 'second' });
    assert.deepEqual([again.sid, again.metadata, again.emptyTimeout], [made.sid, 'second', 120], 'what is given changes');
    const { rooms } = await call('list_rooms', {});
    assert.deepEqual(rooms.map((it) => it.sid), [made.sid]);
    assert.deepEqual(await call('list_rooms', { names: ['no-such-room'] }), {});
  });

  const [ann, bob] = await Promise.all([chromium(ROOM, 'ann', { claims: { name: 'Ann' } }), python(ROOM, 'bob')]);
  await ann.run(() => window.room.localParticipant.setMicrophoneEnabled(true));
  const voice = await bob.call('publish_tone', { name: 'voice', hertz: 600 });
  await ann.hears('bob');

  await t.test('lists and gets participants with their tracks', async () => {
    const { participants } = await call('list_participants', { room: ROOM });
    assert.deepEqual(participants.map((it) => it.identity).sort(), ['ann', 'bob']);
    const who = await call('get_participant', { room: ROOM, identity: 'bob' });
    assert.equal(who.state, 'ACTIVE');
    assert.deepEqual(who.tracks.map((it) => [it.sid, it.name, it.source]), [[voice, 'voice', 'MICROPHONE']]);
    await assert.rejects(call('get_participant', { room: ROOM, identity: 'nobody' }), code('not_found'));
    const [room] = (await call('list_rooms', {})).rooms;
    assert.equal(room.numParticipants, 2);
    assert.equal(room.numPublishers, 2);
  });

  await t.test("changes the room's metadata, and clients are told", async () => {
    await call('update_room_metadata', { room: ROOM, metadata: 'changed' });
    await ann.happened('roomMetadataChanged', { values: ['changed'] });
    await untilIt('the metadata', () => bob.call('about_room'), (it) => it.metadata === 'changed');
  });

  await t.test("changes a participant's name, metadata and attributes", async () => {
    await call('update_participant', { room: ROOM, identity: 'ann', name: 'Dr Ann', metadata: 'promoted', attributes: { rank: '1' } });
    await untilIt('the change', async () => (await bob.call('people')).ann, (it) =>
      it.name === 'Dr Ann' && it.metadata === 'promoted' && it.attributes.rank === '1');
    await ann.happened('participantAttributesChanged', { identity: 'ann' });
    assert.equal(await ann.run(() => window.room.localParticipant.name), 'Dr Ann');
  });

  await t.test('mutes a track: its publisher is told, and nothing of it is heard', async () => {
    const { track } = await call('mute_published_track', { room: ROOM, identity: 'bob', trackSid: voice, muted: true });
    assert.equal(track.muted, true);
    await bob.happened('track_muted', { identity: 'bob', sid: voice });
    await ann.happened('trackMuted', { identity: 'bob' });
    await ann.hearsNothingOf('bob');
    await bob.call('mute', { sid: voice, muted: false });
    await ann.happened('trackUnmuted', { identity: 'bob' });
    await ann.hears('bob');
  });

  await t.test('unsubscribes and subscribes a participant', async () => {
    await call('update_subscriptions', { room: ROOM, identity: 'ann', trackSids: [voice], subscribe: false });
    await ann.happened('trackUnsubscribed', { identity: 'bob', sid: voice });
    await call('update_subscriptions', { room: ROOM, identity: 'ann', trackSids: [voice], subscribe: true });
    await untilIt('two subscriptions', ann.events, (it) => it.filter((event) => event.type === 'trackSubscribed' && event.identity === 'bob').length === 2);
  });

  await t.test('sends data to everybody, or to one', async () => {
    const data = (text) => Buffer.from(text).toString('base64');
    await call('send_data', { room: ROOM, data: data('to ann'), kind: 'RELIABLE', destinationIdentities: ['ann'], topic: 'service' });
    await call('send_data', { room: ROOM, data: data('to all'), kind: 'RELIABLE', topic: 'service' });
    await ann.happened('dataReceived', { text: 'to ann' });
    await ann.happened('dataReceived', { text: 'to all' });
    await bob.happened('data_received', { text: 'to all', topic: 'service', identity: null });
    assert.ok(!bob.events.some((it) => it.text === 'to ann'));
  });

  await t.test('takes a permission away: the track goes', async () => {
    await call('update_participant', { room: ROOM, identity: 'bob', permission: { canPublish: false, canSubscribe: true, canPublishData: true } });
    await ann.happened('trackUnpublished', { identity: 'bob', sid: voice });
    await bob.happened('participant_permissions_changed');
  });

  await t.test('gives it back: what is published then is heard, though the client sends the former track still', async () => {
    await call('update_participant', { room: ROOM, identity: 'bob', permission: { canPublish: true, canSubscribe: true, canPublishData: true } });
    await untilIt('the permission', () => bob.events.filter((it) => it.type === 'participant_permissions_changed'), (it) => it.length === 2);
    await bob.call('publish_tone', { name: 'another voice', hertz: 500 });
    await ann.hears('bob');
  });

  await t.test('removes a participant, who is told the reason', async () => {
    await call('remove_participant', { room: ROOM, identity: 'ann' });
    const reason = await ann.run(() => window.LivekitClient.DisconnectReason.PARTICIPANT_REMOVED);
    await ann.happened('disconnected', { values: [reason] });
    await bob.happened('participant_disconnected', { identity: 'ann', name: 'Dr Ann', reason: 'PARTICIPANT_REMOVED' });
    await assert.rejects(call('remove_participant', { room: ROOM, identity: 'ann' }), code('not_found'));
  });

  await t.test('deletes the room: everybody has to go', async () => {
    const cec = await chromium(ROOM, 'cec');
    await call('delete_room', { room: ROOM });
    const reason = await cec.run(() => window.LivekitClient.DisconnectReason.ROOM_DELETED);
    await cec.happened('disconnected', { values: [reason] });
    await bob.happened('disconnected');
    assert.deepEqual(await call('list_rooms', {}), {});
    assert.deepEqual(await call('list_participants', { room: ROOM }), {});
  });

  await t.test('is refused with a wrong secret', async () => {
    const stranger = await process('peer.py');
    await stranger.call('service', { url: url.replace('ws', 'http'), key: API_KEY, secret: 'w'.repeat(40) });
    await assert.rejects(stranger.call('room_service', { method: 'list_rooms', request: {} }), code('unauthenticated'));
  });

  await t.test('a token by livekit-api opens a room, and the one the tests make is what livekit-api reads', async () => {
    const guest = await process('peer.py');
    await guest.call('connect', { url, token: await backend.call('mint', { room: 'minted', identity: 'guest' }) });
    assert.deepEqual((await call('list_participants', { room: 'minted' })).participants.map((it) => it.identity), ['guest']);
    const claims = await backend.call('verify', { token: token('minted', 'other', { canPublish: false }) });
    assert.equal(claims.identity, 'other');
    assert.equal(claims.video.room, 'minted');
    assert.equal(claims.video.canPublish, false);
    await assert.rejects(backend.call('verify', { token: `${token('minted', 'other')}x` }), { name: 'InvalidSignatureError' });
  });
});
