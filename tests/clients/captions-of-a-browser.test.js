// What a browser says into its microphone is read and heard in both languages.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SENTENCE, speech } from './harness/speech.js';
import { stage } from './harness/stage.js';
import { token } from './harness/token.js';
import { untilIt } from './harness/until.js';

const ROOM = 'spoken-by-a-browser';

test('a browser is interpreted', { timeout: 120_000 }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'hive-browser-speaks-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const { tab, python, url } = await stage(t);
  const reader = await python(ROOM, 'reader', { claims: { attributes: { 'hive.listens': 'es' } } });
  await reader.call('read_texts', { topic: 'lk.transcription' });
  const speaker = await tab({ microphone: speech(directory) });
  const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  await speaker.join(url, token(ROOM, 'speaker'), { audioCaptureDefaults: plain });
  await speaker.run(() => window.room.localParticipant.setMicrophoneEnabled(true));

  const finals = (identity) => () =>
    reader.events.filter((it) => it.type === 'text' && it.identity === identity && it.attributes['lk.transcription_final'] === 'true').map((it) => it.text);

  await t.test('its words are read', async () => {
    const spoken = SENTENCE.split(' ');
    const hit = (texts) => spoken.filter((word) => texts.join(' ').toLowerCase().split(/\W+/).includes(word)).length;
    await untilIt('most of the words', finals('speaker'), (texts) => hit(texts) >= spoken.length - 2, 60_000);
  });

  await t.test('their translation is read and heard', async () => {
    const translated = await untilIt('Spanish captions', finals('interpreter'), (it) => it.length > 0);
    assert.match(translated.join(' '), /proyecto|semana|terminar/i);
    await reader.happened('track_subscribed', { identity: 'interpreter', name: 'es:speaker' });
    await untilIt('the voice', async () => (await reader.call('heard'))['interpreter/es:speaker'], (it) => it?.level > -45);
  });
});
