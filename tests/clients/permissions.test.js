// What a token does not grant is refused, with a reason that the client shows.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { stage } from './harness/stage.js';
import { token } from './harness/token.js';

const ROOM = 'permissions';

test('a token grants what it says, and no more', { timeout: 120_000 }, async (t) => {
  const { chromium, python, tab, process, url, hive } = await stage(t);
  const host = await chromium(ROOM, 'host');
  /** Joins, and gives the client's error. */
  const refusal = async (claims, grants) => {
    const guest = await tab();
    return guest.join(url, token(ROOM, 'guest', grants, claims)).then(
      () => assert.fail('the guest was let in'),
      (error) => error.message,
    );
  };

  await t.test('without canPublish nothing is published', async () => {
    const guest = await chromium(ROOM, 'listener', { grants: { canPublish: false } });
    const refused = await guest.run(() => window.room.localParticipant.setMicrophoneEnabled(true).then(() => 'published', (error) => error.message));
    assert.match(refused, /permission/i);
    await host.happened('participantConnected', { identity: 'listener' });
    assert.deepEqual(await host.run(() => [...window.room.remoteParticipants.get('listener').trackPublications.keys()]), []);
  });

  // livekit-client looks at its permission before it asks; Python's client asks, and gives up after ten seconds
  // (so it does with LiveKit's own server). Both do it while the other tests run.
  const listener = await python(ROOM, 'listener-too', { grants: { canPublish: false } });
  const voiceOnly = await python(ROOM, 'voice-only', { grants: { canPublishSources: ['microphone'] } });
  const inVain = [
    assert.rejects(listener.call('publish_tone', { name: 'voice', hertz: 440 }), { name: 'PublishTrackError' }),
    assert.rejects(voiceOnly.call('publish_colour', { name: 'colour', rgb: [0, 0, 0] }), { name: 'PublishTrackError' }),
  ];

  await t.test('without canSubscribe nothing is received', async () => {
    const guest = await chromium(ROOM, 'deaf', { grants: { canSubscribe: false } });
    await host.run(() => window.room.localParticipant.setMicrophoneEnabled(true));
    const hearing = await chromium(ROOM, 'hearing');
    await hearing.hears('host');
    assert.equal(await guest.received('host', 'microphone'), null);
    assert.ok(!(await guest.events()).some((it) => it.type === 'trackSubscribed'));
  });

  await t.test('without canPublishData nobody reads it', async () => {
    const guest = await python(ROOM, 'mute', { grants: { canPublishData: false } });
    await guest.call('publish_data', { text: 'not granted' }).catch(() => {});
    const other = await python(ROOM, 'other');
    await other.call('publish_data', { text: 'granted' });
    await host.happened('dataReceived', { identity: 'other', text: 'granted' });
    assert.ok(!(await host.events()).some((it) => it.text === 'not granted'));
  });

  await t.test('a hidden participant hears, and is not seen', async () => {
    const hidden = await chromium(ROOM, 'observer', { grants: { hidden: true, canPublish: false } });
    await hidden.hears('host');
    const later = await chromium(ROOM, 'later');
    await host.happened('participantConnected', { identity: 'later' });
    for (const other of [host, later]) {
      const people = await other.run(() => [...window.room.remoteParticipants.keys()]);
      assert.ok(!people.includes('observer'), people.join());
    }
  });

  await t.test('a token without roomJoin is refused', async () => {
    assert.match(await refusal({}, { roomJoin: false }), /roomJoin/);
  });

  await t.test('an expired token is refused', async () => {
    const past = Math.floor(Date.now() / 1000) - 3600;
    assert.match(await refusal({ nbf: past - 60, exp: past }), /expired/i);
  });

  await t.test('a token of an unknown key is refused', async () => {
    assert.match(await refusal({ iss: 'nobody' }), /token|key|signed/i);
  });

  await t.test('Python is refused as well', async () => {
    const guest = await process('peer.py');
    await assert.rejects(guest.call('connect', { url, token: token(ROOM, 'guest', { roomJoin: false }) }), /roomJoin|403|401/);
  });

  await t.test('who asks all the same is refused, and may publish what is granted', async () => {
    await Promise.all(inVain);
    await voiceOnly.call('publish_tone', { name: 'voice', hertz: 440 });
    await host.happened('trackSubscribed', { identity: 'voice-only', source: 'microphone' });
    const published = await host.run(() => {
      const tracks = (identity) => [...window.room.remoteParticipants.get(identity).trackPublications.values()].map((it) => it.source);
      return { listener: tracks('listener-too'), voiceOnly: tracks('voice-only') };
    });
    assert.deepEqual(published, { listener: [], voiceOnly: ['microphone'] });
    assert.match(await (await fetch(`${hive.base}/metrics`)).text(), /hive_signal_requests_refused_total\{reason="NOT_ALLOWED"\} 2/);
  });

  await t.test('a token for one room does not open another', async () => {
    const guest = await tab();
    const foreign = token('another-room', 'guest');
    await guest.join(url, foreign);
    assert.equal(await guest.run(() => window.room.name), 'another-room');
    assert.ok(!(await host.run(() => [...window.room.remoteParticipants.keys()])).includes('guest'));
    const answer = await fetch(`${url.replace('ws', 'http')}/rtc/validate?room=${ROOM}&access_token=${foreign}`);
    assert.equal(answer.status, 403);
  });
});
