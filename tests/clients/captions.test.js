// A room that asks for Spanish: what a Python client says in English, a browser reads and hears in both languages.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SENTENCE, speech } from './harness/speech.js';
import { stage } from './harness/stage.js';
import { untilIt } from './harness/until.js';

const ROOM = 'interpreted';
test('LiveKit clients read captions and hear the interpreter', { timeout: 120_000 }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'hive-captions-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const { chromium, python, roomService } = await stage(t);
  const service = await roomService();
  const metadata = JSON.stringify({ hive: { languages: ['es'], captions: true } });
  await service.call('room_service', { method: 'create_room', request: { name: ROOM, metadata } });
  const reader = await chromium(ROOM, 'reader');
  await reader.run(() => {
    window.room.registerTextStreamHandler('lk.transcription', async (stream, { identity }) => {
      const { attributes } = stream.info;
      window.note('caption', identity, await stream.readAll(), JSON.stringify(attributes));
    });
  });
  const other = await python(ROOM, 'other');
  await other.call('read_texts', { topic: 'lk.transcription' });
  const speaker = await python(ROOM, 'speaker');
  const track = await speaker.call('publish_wav', { name: 'voice', path: speech(directory) });
  await reader.happened('trackSubscribed', { identity: 'interpreter', name: 'es:speaker' });

  const captions = async () => {
    const events = (await reader.events()).filter((it) => it.type === 'caption');
    return events.map(({ values: [identity, text, attributes] }) => ({ identity, text, ...JSON.parse(attributes) }));
  };
  const isFinal = (it) => it['lk.transcription_final'] === 'true';
  const all = await untilIt(
    'final captions in both languages',
    captions,
    (it) => it.some((one) => isFinal(one) && one.identity === 'speaker') && it.some((one) => isFinal(one) && one.identity === 'interpreter'),
    60_000,
  );

  await t.test('the English captions hold the words that were spoken', () => {
    const words = all.filter((it) => it.identity === 'speaker' && isFinal(it)).flatMap((it) => it.text.toLowerCase().split(/\W+/));
    const spoken = SENTENCE.split(' ');
    const hit = spoken.filter((word) => words.includes(word)).length;
    assert.ok(hit >= spoken.length - 2, `of "${SENTENCE}" the captions have "${words.join(' ')}"`);
  });

  await t.test('a segment grows, and its last text is final', () => {
    const [segment] = all.filter((it) => it.identity === 'speaker').map((it) => it['lk.segment_id']);
    const texts = all.filter((it) => it['lk.segment_id'] === segment);
    assert.ok(texts.length >= 2, JSON.stringify(texts));
    assert.deepEqual(texts.map(isFinal), texts.map((_, i) => i === texts.length - 1));
  });

  await t.test('captions name the track that they write down', async () => {
    const voice = await reader.run(() => [...window.room.remoteParticipants.get('interpreter').trackPublications.values()].find((it) => it.trackName === 'es:speaker').trackSid);
    for (const it of all) assert.equal(it['lk.transcribed_track_id'], it.identity === 'speaker' ? track : voice);
  });

  await t.test('the Spanish captions are a translation', () => {
    const spanish = all.filter((it) => it.identity === 'interpreter' && isFinal(it)).map((it) => it.text);
    assert.match(spanish.join(' '), /proyecto|semana|terminar/i);
  });

  await t.test('the browser hears the speaker and the interpreter', async () => {
    const energy = async (identity, source) => (await reader.received(identity, source))?.totalAudioEnergy;
    await untilIt('the speaker', () => energy('speaker', 'voice'), (it) => it > 1e-3);
    await untilIt('the interpreter', () => energy('interpreter', 'es:speaker'), (it) => it > 1e-3);
  });

  await t.test('a Python client reads the same', async () => {
    for (const identity of ['speaker', 'interpreter']) {
      const text = all.find((it) => it.identity === identity && isFinal(it)).text;
      await other.happened('text', { identity, text });
    }
  });

  await t.test('the older transcription packets say the same', async () => {
    await other.happened('transcription_received');
    await reader.happened('transcriptionReceived');
  });

  await t.test('who publishes again at once is captioned and interpreted again', async () => {
    await speaker.call('unpublish', { sid: track });
    const again = await speaker.call('publish_wav', { name: 'voice', path: speech(directory) });
    const ofTrack = (it) => isFinal(it) && it['lk.transcribed_track_id'] === again;
    const more = await untilIt('a final caption of the new track', captions, (it) => it.some(ofTrack), 60_000);
    const spoken = more.find(ofTrack);
    assert.equal(spoken.identity, 'speaker');
    assert.ok(!all.some((it) => it['lk.segment_id'] === spoken['lk.segment_id']), 'a segment of its own');
    const before = all.filter((it) => it.identity === 'interpreter' && isFinal(it)).length;
    const translated = (it) => it.filter((one) => one.identity === 'interpreter' && isFinal(one)).length > before;
    await untilIt('a translation of it', captions, translated, 60_000);
  });

  await t.test('a room that does not ask any more has no interpreter', async () => {
    const metadata = '{}';
    await service.call('room_service', { method: 'update_room_metadata', request: { room: ROOM, metadata } });
    await reader.happened('trackUnsubscribed', { identity: 'interpreter', name: 'es:speaker' });
  });
});
