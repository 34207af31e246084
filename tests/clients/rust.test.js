// LiveKit's Rust crate livekit-api: its tokens open rooms, its room service governs, its receiver verifies webhooks.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { API_KEY, API_SECRET } from '../browser/hive.js';
import { stage } from './harness/stage.js';
import { until } from './harness/until.js';
import { webhookReceiver } from './harness/webhook-receiver.js';

const ROOM = 'rusty';
const MANIFEST = fileURLToPath(new URL('rust/Cargo.toml', import.meta.url));
// Where `make test` builds it, whatever CARGO_TARGET_DIR says of the server, or it would be built twice.
const TARGET = fileURLToPath(new URL('../../target/clients', import.meta.url));

test('a backend in Rust uses livekit-api', { timeout: 600_000 }, async (t) => {
  // `make test` has built it before; then this is quick.
  execFileSync('cargo', ['build', '--quiet', '--locked', '--manifest-path', MANIFEST, '--target-dir', TARGET], { stdio: 'inherit' });
  const receiver = await webhookReceiver();
  const { hive, url, python, process: start } = await stage(t, { WEBHOOK__URLS: `[${receiver.url}]`, WEBHOOK__API_KEY: API_KEY });
  const env = { ...process.env, LIVEKIT_URL: hive.base, LIVEKIT_API_KEY: API_KEY, LIVEKIT_API_SECRET: API_SECRET };
  const rust = (args, input = '') => execFileSync(`${TARGET}/debug/hive-client-tests`, args, { env, input, encoding: 'utf8' }).trim();

  const peer = await start('peer.py');
  await t.test('its token opens a room', async () => {
    await peer.call('connect', { url, token: rust(['token', ROOM, 'ann']) });
    assert.equal((await peer.call('about_room')).name, ROOM);
  });

  const witness = await python(ROOM, 'witness');
  const sid = await peer.call('publish_tone', { name: 'voice', hertz: 440 });
  await witness.happened('track_subscribed', { identity: 'ann' });

  await t.test('its room service governs the room, and clients see it', async () => {
    rust(['govern', ROOM, 'ann', sid]);
    await witness.happened('participant_name_changed', { identity: 'ann' });
    await witness.happened('participant_attributes_changed', { identity: 'ann' });
    await peer.happened('track_muted', { identity: 'ann', sid });
    await witness.happened('track_muted', { identity: 'ann', sid });
    await witness.happened('room_metadata_changed', { value: 'changed by Rust' });
    await witness.happened('data_received', { text: 'from Rust', topic: 'rust' });
    await peer.happened('disconnected');
    await witness.happened('participant_disconnected', { identity: 'ann' });
  });

  await t.test('its receiver verifies webhooks', async () => {
    const of = (name) => receiver.posts.find((it) => JSON.parse(it.body).event === name);
    await until('participant_left', () => of('participant_left'));
    for (const name of ['room_started', 'participant_joined', 'track_published', 'participant_left']) {
      const { body, headers } = of(name);
      assert.equal(rust(['webhook', headers.authorization], body), name);
    }
  });
});
