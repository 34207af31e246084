// Chromium behind a firewall: it may use TURN alone, over UDP and over TCP, and publishes all the same.
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

/** Runs in the page: WHIP with the TURN servers of the answer's `Link` headers (RFC 9725, section 4.6). */
function inPage() {
  const iceServers = (link, transport) =>
    [...link.matchAll(/<(turn:[^>]+)>; rel="ice-server"; username="([^"]+)"; credential="([^"]+)"/g)]
      .map(([, urls, username, credential]) => ({ urls, username, credential }))
      .filter(({ urls }) => urls.endsWith(`transport=${transport}`));
  window.publish = async (url, token, transport) => {
    const microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
    const pc = new RTCPeerConnection();
    pc.addTransceiver(microphone.getAudioTracks()[0], { direction: 'sendonly' });
    const offer = await pc.createOffer();
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/sdp', authorization: `Bearer ${token}` },
      body: offer.sdp,
    });
    if (response.status !== 201) throw new Error(`${url}: ${response.status} ${await response.text()}`);
    // The servers come with the answer, so gathering begins after it.
    const servers = iceServers(response.headers.get('link') ?? '', transport);
    pc.setConfiguration({ iceServers: servers, iceTransportPolicy: 'relay' });
    const connected = new Promise((resolve, reject) => {
      pc.addEventListener('connectionstatechange', () => {
        if (pc.connectionState === 'connected') resolve();
        if (pc.connectionState === 'failed') reject(new Error(`${transport}: connection failed`));
      });
    });
    await pc.setLocalDescription(offer);
    await pc.setRemoteDescription({ type: 'answer', sdp: await response.text() });
    await connected;
    // Receiver reports come back through the relay too.
    for (;;) {
      const stats = [...(await pc.getStats()).values()];
      const heard = stats.find(({ type, packetsReceived }) => type === 'remote-inbound-rtp' && packetsReceived !== 0);
      const pair = stats.find(({ type, nominated, state }) => type === 'candidate-pair' && nominated && state === 'succeeded');
      if (heard && pair) {
        const local = stats.find(({ id }) => id === pair.localCandidateId);
        const outbound = stats.find(({ type }) => type === 'outbound-rtp');
        pc.close();
        return { type: local.candidateType, protocol: local.relayProtocol, sent: outbound.packetsSent };
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
}

test('Chromium publishes through the TURN relay, over UDP and over TCP', { timeout: 120_000 }, async (t) => {
  const hive = await startHive(['turn:', '  enabled: true', '  bind: "127.0.0.1:0"']);
  const page = await servePage();
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--no-first-run',
      '--disable-background-networking',
      '--use-fake-ui-for-media-stream',
      '--use-fake-device-for-media-stream',
    ],
  });
  t.after(async () => {
    await browser.close();
    page.close();
    await hive.stop();
  });
  const tab = await browser.newPage();
  await tab.goto(page.url);
  await tab.evaluate(inPage);
  for (const transport of ['udp', 'tcp']) {
    const token = hive.token('relayed', `chromium-${transport}`);
    const published = await tab.evaluate(
      ([url, token, transport]) => window.publish(url, token, transport),
      [`${hive.base}/whip/relayed`, token, transport],
    );
    assert.equal(published.type, 'relay');
    assert.equal(published.protocol, transport);
    assert.ok(published.sent > 0);
  }
  const metrics = await fetch(`${hive.base}/metrics`).then((response) => response.text());
  assert.match(metrics, /hive_turn_bytes_total\{direction="to_peer"\} [1-9]/, hive.log());
  assert.doesNotMatch(metrics, /hive_turn_(peers_refused|auth_failures)_total\S* [1-9]/);
});
