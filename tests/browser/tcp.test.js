// Chromium without UDP: it connects by ICE over TCP (RFC 6544), and speaks and hears all the same.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { chromium } from 'playwright-core';
import { startHive } from './hive.js';

/** Serves one empty page on localhost, which Chromium counts as a secure context. */
async function servePage() {
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'text/html');
    response.end('<!doctype html><title>HIVE browser test</title>');
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return { url: `http://localhost:${server.address().port}/`, close: () => server.close() };
}

/** Runs in the page: WHIP and WHEP, with the answer's candidates of the given transports only. */
function inPage() {
  const negotiate = async (pc, url, token, transports) => {
    await pc.setLocalDescription(await pc.createOffer());
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/sdp', authorization: `Bearer ${token}` },
      body: pc.localDescription.sdp,
    });
    if (response.status !== 201) throw new Error(`${url}: ${response.status} ${await response.text()}`);
    const answer = await response.text();
    const sdp = answer
      .split('\r\n')
      .filter((line) => !line.startsWith('a=candidate:') || transports.includes(line.split(' ')[2]))
      .join('\r\n');
    const connected = new Promise((resolve, reject) => {
      pc.addEventListener('connectionstatechange', () => {
        if (pc.connectionState === 'connected') resolve();
        if (pc.connectionState === 'failed') reject(new Error(`${transports}: connection failed`));
      });
    });
    await pc.setRemoteDescription({ type: 'answer', sdp });
    await connected;
    return new URL(response.headers.get('location'), url).href;
  };
  window.publish = async (url, token, transports) => {
    const microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
    window.publisher = new RTCPeerConnection();
    window.publisher.addTransceiver(microphone.getAudioTracks()[0], { direction: 'sendonly' });
    return negotiate(window.publisher, url, token, transports);
  };
  window.listen = async (url, token, transports) => {
    window.listener = new RTCPeerConnection();
    window.listener.addTransceiver('audio', { direction: 'recvonly' });
    window.listener.addEventListener('track', ({ track }) => {
      const element = new Audio();
      element.srcObject = new MediaStream([track]);
      element.play();
    });
    return negotiate(window.listener, url, token, transports);
  };
  /** Resolves once there is sound, with how it came. */
  window.heard = async (packets) => {
    for (;;) {
      const stats = [...(await window.listener.getStats()).values()];
      const inbound = stats.find(({ type }) => type === 'inbound-rtp');
      if (inbound && inbound.packetsReceived >= packets && inbound.totalAudioEnergy > 0) {
        const pair = async (pc) => {
          const all = await pc.getStats();
          const transport = [...all.values()].find(({ type }) => type === 'transport');
          return all.get(all.get(transport.selectedCandidatePairId).remoteCandidateId).protocol;
        };
        return {
          lost: inbound.packetsLost,
          packets: inbound.packetsReceived,
          protocols: [await pair(window.publisher), await pair(window.listener)],
        };
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  window.remove = (session, token) =>
    fetch(session, { method: 'DELETE', headers: { authorization: `Bearer ${token}` } }).then((r) => r.status);
}

test('Chromium speaks and hears over TCP when UDP is missing, and only then', { timeout: 120_000 }, async (t) => {
  const hive = await startHive();
  const page = await servePage();
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--no-first-run',
      '--disable-background-networking',
      '--autoplay-policy=no-user-gesture-required',
      '--use-fake-ui-for-media-stream',
      '--use-fake-device-for-media-stream',
    ],
  });
  t.after(async () => {
    await browser.close();
    page.close();
    await hive.stop();
  });
  const figure = async (name) => {
    const metrics = await fetch(`${hive.base}/metrics`).then((response) => response.text());
    return Number(metrics.match(new RegExp(`^hive_media_${name}_total\\S* (\\d+)$`, 'm'))?.[1] ?? 0);
  };
  for (const [transports, expected] of [[['tcp'], 'tcp'], [['udp', 'tcp'], 'udp']]) {
    const tab = await browser.newPage();
    await tab.goto(page.url);
    await tab.evaluate(inPage);
    const room = `over-${expected}`;
    const [speaker, listener] = ['speaker', 'listener'].map((name) => hive.token(room, name));
    const publishing = await tab.evaluate((args) => window.publish(...args), [`${hive.base}/whip/${room}`, speaker, transports]);
    const listening = await tab.evaluate((args) => window.listen(...args), [`${hive.base}/whep/${room}`, listener, transports]);
    const heard = await tab.evaluate(() => window.heard(150));
    t.diagnostic(`${room}: ${JSON.stringify(heard)}`);
    assert.deepEqual(heard.protocols, [expected, expected]);
    assert.equal(heard.lost, 0);
    assert.equal(await tab.evaluate((args) => window.remove(...args), [listening, listener]), 200);
    assert.equal(await tab.evaluate((args) => window.remove(...args), [publishing, speaker]), 200);
    await tab.close();
  }
  assert.ok((await figure('tcp_frames_in')) >= 150 && (await figure('tcp_frames_out')) >= 150, hive.log());
  assert.equal(await figure('tcp_malformed'), 0);
});
