// Chromium publishes a microphone by WHIP and hears the Spanish by WHEP.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createServer } from 'node:http';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { startHive } from './hive.js';
import { bestMatch, parseWav, resample, writeWav } from './wav.js';

const SENTENCE = 'we need to finish the project next week';
const LEAD_IN_SECONDS = 6;

/** The microphone: silence while the page connects, one flite sentence, silence. */
function microphone(path) {
  const spoken = join(path, 'spoken.wav');
  execFileSync('flite', ['-voice', 'slt', '-t', SENTENCE, '-o', spoken]);
  const { rate, samples } = parseWav(readFileSync(spoken));
  const padded = new Float32Array(rate * LEAD_IN_SECONDS + samples.length + rate * 20);
  padded.set(samples, rate * LEAD_IN_SECONDS);
  const file = join(path, 'microphone.wav');
  writeFileSync(file, writeWav(resample({ rate, samples: padded }, 48000)));
  return file;
}

/** Serves one empty page on localhost, which Chromium counts as a secure context. */
async function servePage() {
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'text/html');
    response.end('<!doctype html><title>HIVE browser test</title>');
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return { url: `http://localhost:${server.address().port}/`, close: () => server.close() };
}

/** Runs in the page: WHIP or WHEP by the letter of RFC 9725, over CORS. */
function inPage() {
  window.negotiate = async (pc, url, token) => {
    await pc.setLocalDescription(await pc.createOffer());
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/sdp', authorization: `Bearer ${token}` },
      body: pc.localDescription.sdp,
    });
    if (response.status !== 201) throw new Error(`${url}: ${response.status} ${await response.text()}`);
    await pc.setRemoteDescription({ type: 'answer', sdp: await response.text() });
    const session = new URL(response.headers.get('location'), url).href;
    if (pc.connectionState !== 'connected') {
      await new Promise((resolve, reject) => {
        pc.addEventListener('connectionstatechange', () => {
          if (pc.connectionState === 'connected') resolve();
          if (pc.connectionState === 'failed') reject(new Error(`${url}: connection failed`));
        });
      });
    }
    return session;
  };
  window.remove = (session, token) =>
    fetch(session, { method: 'DELETE', headers: { authorization: `Bearer ${token}` } }).then((r) => r.status);
  window.publish = async (url, token) => {
    const microphone = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
    window.publisher = new RTCPeerConnection();
    window.publisher.addTransceiver(microphone.getAudioTracks()[0], { direction: 'sendonly' });
    return window.negotiate(window.publisher, url, token);
  };
  window.heard = [];
  window.listen = async (url, token) => {
    window.listener = new RTCPeerConnection();
    window.listener.addTransceiver('audio', { direction: 'recvonly' });
    window.listener.addEventListener('track', ({ track }) => {
      const stream = new MediaStream([track]);
      const element = new Audio();
      element.muted = true;
      element.srcObject = stream;
      element.play();
      const context = new AudioContext({ sampleRate: 48000 });
      const tap = context.createScriptProcessor(4096, 1, 1);
      tap.onaudioprocess = (event) => window.heard.push(new Float32Array(event.inputBuffer.getChannelData(0)));
      context.createMediaStreamSource(stream).connect(tap);
      tap.connect(context.destination);
    });
    return window.negotiate(window.listener, url, token);
  };
  window.events = [];
  window.follow = (url) =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(url);
      socket.onopen = resolve;
      socket.onerror = () => reject(new Error(`${url}: no WebSocket`));
      socket.onmessage = ({ data }) => window.events.push(JSON.parse(data));
    });
}

test('Chromium speaks English by WHIP and hears it in Spanish by WHEP', { timeout: 180_000 }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'hive-chromium-'));
  const hive = await startHive();
  const page = await servePage();
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--autoplay-policy=no-user-gesture-required',
      '--use-fake-ui-for-media-stream',
      '--use-fake-device-for-media-stream',
      `--use-file-for-fake-audio-capture=${microphone(directory)}%noloop`,
    ],
  });
  t.after(async () => {
    await browser.close();
    page.close();
    await hive.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const tab = await browser.newPage();
  await tab.goto(page.url);
  await tab.evaluate(inPage);
  const room = 'browser';
  const speaker = hive.token(room, 'chromium-speaker');
  const listener = hive.token(room, 'chromium-listener');
  await tab.evaluate((url) => window.follow(url), `${hive.base.replace('http', 'ws')}/rooms/${room}/events?access_token=${listener}`);
  const listening = await tab.evaluate(([url, token]) => window.listen(url, token), [`${hive.base}/whep/${room}?lang=es`, listener]);
  const publishing = await tab.evaluate(([url, token]) => window.publish(url, token), [`${hive.base}/whip/${room}?lang=en`, speaker]);

  await tab.waitForFunction(
    () => window.events.some((e) => e.type === 'speech' && e.kind === 'finished' && e.lang === 'es'),
    undefined,
    { timeout: 90_000 },
  );
  const { events, heard } = await tab.evaluate(() => ({
    events: window.events,
    heard: window.heard.map((block) => Array.from(block)),
  }));

  await t.test('the English caption holds the words that were spoken', () => {
    const words = events
      .filter((e) => e.type === 'caption' && e.kind === 'final' && !e.translated)
      .flatMap((e) => e.words.map((w) => w.text.toLowerCase()));
    const spoken = SENTENCE.split(' ');
    const hit = spoken.filter((word) => words.includes(word)).length;
    assert.ok(hit >= spoken.length - 2, `of "${SENTENCE}" the captions have "${words.join(' ')}"`);
  });

  const spanish = events
    .filter((e) => e.type === 'caption' && e.kind === 'final' && e.translated && e.lang === 'es')
    .map((e) => e.words.map((w) => w.text).join(' '));

  await t.test('the Spanish caption is a translation', () => {
    assert.match(spanish.join(' '), /proyecto|semana|terminar/i);
  });

  await t.test('the audio that arrived holds eSpeak saying the Spanish caption', () => {
    const received = resample({ rate: 48000, samples: Float32Array.from(heard.flat()) }, 4000);
    const clause = spanish.reduce((a, b) => (b.length > a.length ? b : a), '');
    const scores = {};
    for (const [voice, text] of [['es', clause], ['de', 'Guten Morgen allerseits, wie geht es euch']]) {
      const wav = execFileSync('espeak-ng', ['-v', voice, '-s', process.env.HIVE_TTS_RATE ?? '175', '--stdout', text], { maxBuffer: 1 << 26 });
      const all = resample(parseWav(wav), 4000).samples;
      scores[voice] = bestMatch(all.subarray(0, 4000), received.samples);
    }
    t.diagnostic(`correlation with the Spanish ${scores.es.toFixed(2)}, with other speech ${scores.de.toFixed(2)}`);
    assert.ok(scores.es > 0.5 && scores.es > 1.5 * scores.de, JSON.stringify(scores));
  });

  await t.test('DELETE ends both sessions', async () => {
    assert.equal(await tab.evaluate(([s, k]) => window.remove(s, k), [listening, listener]), 200);
    assert.equal(await tab.evaluate(([s, k]) => window.remove(s, k), [publishing, speaker]), 200);
  });
});
