// What a token does not grant is refused.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { stage } from './harness/stage.js';
import { until, untilIt } from './harness/until.js';

const ROOM = 'permissions';

test('a token grants what it says, and no more', { timeout: 120_000 }, async (t) => {
  const { chromium, python, hive } = await stage(t);
  const [host, listener, deaf, hidden, hearing, asking, voiceOnly, mute] = await Promise.all([
    chromium(ROOM, 'host'),
    chromium(ROOM, 'listener', { grants: { canPublish: false } }),
    chromium(ROOM, 'deaf', { grants: { canSubscribe: false } }),
    chromium(ROOM, 'observer', { grants: { hidden: true, canPublish: false } }),
    chromium(ROOM, 'hearing'),
    python(ROOM, 'asking', { grants: { canPublish: false } }),
    python(ROOM, 'voice-only', { grants: { canPublishSources: ['microphone'] } }),
    python(ROOM, 'mute', { grants: { canPublishData: false } }),
  ]);

  const metrics = async () => (await fetch(`${hive.base}/metrics`)).text();

  // livekit-client looks at its permission before it asks; Python's client asks, and gives up after ten seconds
  // (so it does with LiveKit's own server). Both do it while the other tests run.
  const inVain = [
    assert.rejects(asking.call('publish_tone', { name: 'voice', hertz: 440 }), { name: 'PublishTrackError' }),
    assert.rejects(voiceOnly.call('publish_colour', { name: 'colour', rgb: [0, 0, 0] }), { name: 'PublishTrackError' }),
  ];

  await t.test('without canPublish nothing is published', async () => {
    const refused = await listener.run(() => window.room.localParticipant.setMicrophoneEnabled(true).then(() => 'published', (error) => error.message));
    assert.match(refused, /permission/i);
    const tracks = () => host.run(() => [...(window.room.remoteParticipants.get('listener')?.trackPublications.keys() ?? ['unknown'])]);
    await untilIt('the listener', tracks, (it) => it[0] !== 'unknown');
    assert.deepEqual(await tracks(), []);
  });

  await t.test('without canSubscribe nothing is received', async () => {
    await host.run(() => window.room.localParticipant.setMicrophoneEnabled(true));
    await hearing.hears('host');
    assert.equal(await deaf.received('host', 'microphone'), null);
    assert.ok(!(await deaf.events()).some((it) => it.type === 'trackSubscribed'));
  });

  await t.test('without canPublishData nobody reads it', async () => {
    await mute.call('publish_data', { text: 'not granted' });
    await until('a refusal', async () => /hive_data_packets_refused_total\{reason="not_permitted"\} 1/.test(await metrics()));
    await voiceOnly.call('publish_data', { text: 'granted' });
    await host.happened('dataReceived', { identity: 'voice-only', text: 'granted' });
    assert.ok(!(await host.events()).some((it) => it.text === 'not granted'));
  });

  await t.test('a hidden participant hears, and is not seen', async () => {
    await hidden.hears('host');
    const later = await chromium(ROOM, 'later');
    await host.happened('participantConnected', { identity: 'later' });
    for (const other of [host, later]) {
      const people = await other.run(() => [...window.room.remoteParticipants.keys()]);
      assert.ok(!people.includes('observer'), people.join());
    }
  });

  await t.test('who asks all the same is refused, and may publish what is granted', async () => {
    await Promise.all(inVain);
    await voiceOnly.call('publish_tone', { name: 'voice', hertz: 440 });
    await host.happened('trackSubscribed', { identity: 'voice-only', source: 'microphone' });
    const published = await host.run(() => {
      const tracks = (identity) => [...window.room.remoteParticipants.get(identity).trackPublications.values()].map((it) => it.source);
      return { asking: tracks('asking'), voiceOnly: tracks('voice-only') };
    });
    assert.deepEqual(published, { asking: [], voiceOnly: ['microphone'] });
    assert.match(await metrics(), /hive_signal_requests_refused_total\{reason="NOT_ALLOWED"\} 2/);
  });
});
