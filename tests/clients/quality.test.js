// A viewer who asks for less gets a smaller layer of the same camera, and what nobody watches is not sent.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { stage } from './harness/stage.js';
import { untilIt } from './harness/until.js';

const ROOM = 'quality';

test('a viewer chooses the quality of a simulcast camera', { timeout: 120_000 }, async (t) => {
  const { chromium } = await stage(t);
  const options = {
    videoCaptureDefaults: { resolution: { width: 960, height: 540, frameRate: 15 } },
    // A browser that is short of CPU sends fewer pictures, and no smaller ones.
    publishDefaults: { degradationPreference: 'maintain-resolution' },
  };
  const [publisher, viewer] = await Promise.all([chromium(ROOM, 'camera', options), chromium(ROOM, 'viewer')]);
  await publisher.run(() => window.room.localParticipant.setCameraEnabled(true));
  const choose = (quality) =>
    viewer.run((quality) => {
      const { trackPublications } = window.room.remoteParticipants.get('camera');
      for (const it of trackPublications.values()) it.setVideoQuality(window.LivekitClient.VideoQuality[quality]);
    }, quality);
  const receives = (width) => untilIt(`${width} wide frames`, () => viewer.received('camera', 'camera'), (it) => it?.frameWidth === width);

  await viewer.happened('trackSubscribed', { identity: 'camera', source: 'camera' });
  await t.test('the whole picture first', () => receives(960));
  await t.test('low is 320 wide, and moves', async () => {
    await choose('LOW');
    await receives(320);
    assert.equal((await viewer.sees('camera')).frameWidth, 320);
  });
  await t.test('medium is 640 wide', async () => {
    await choose('MEDIUM');
    await receives(640);
  });
  await t.test('high is the whole picture again, and moves', async () => {
    await choose('HIGH');
    await receives(960);
    assert.equal((await viewer.sees('camera')).frameWidth, 960);
  });
  await t.test('a viewer who pauses the track receives nothing, and then again', async () => {
    const enable = (enabled) =>
      viewer.run((enabled) => {
        for (const it of window.room.remoteParticipants.get('camera').trackPublications.values()) it.setEnabled(enabled);
      }, enabled);
    await enable(false);
    let last;
    await untilIt(
      'a pause',
      async () => {
        const { packetsReceived } = await viewer.received('camera', 'camera');
        if (last?.packets !== packetsReceived) last = { packets: packetsReceived, since: Date.now() };
        return Date.now() - last.since;
      },
      (paused) => paused >= 1500,
    );
    await enable(true);
    await viewer.sees('camera');
  });

  await t.test('dynacast: layers that nobody watches are not sent', async () => {
    const active = () =>
      publisher.run(async () => {
        const { sender } = window.room.localParticipant.getTrackPublication('camera').track;
        return sender.getParameters().encodings.filter((it) => it.active).map((it) => it.rid);
      });
    await choose('LOW');
    await untilIt('one layer', active, (it) => it.join() === 'q');
    await choose('HIGH');
    await untilIt('all layers', active, (it) => it.length === 3);
    await receives(960);
  });

  await t.test('adaptive stream: the layer is the one that fits the element', async () => {
    const adaptive = await chromium(ROOM, 'adaptive', { adaptiveStream: { pixelDensity: 1 } });
    await adaptive.happened('trackSubscribed', { identity: 'camera' });
    const resize = (width, height) =>
      adaptive.run(([width, height]) => Object.assign(document.querySelector('video').style, { width: `${width}px`, height: `${height}px` }), [width, height]);
    const gets = (width) => untilIt(`${width} wide frames`, () => adaptive.received('camera', 'camera'), (it) => it?.frameWidth === width);
    await resize(160, 90);
    await gets(320);
    await resize(960, 540);
    await gets(960);
  });
});
