// A Python client's simulcast: LiveKit's Rust core offers the highest layer first, browsers the lowest.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { stage } from './harness/stage.js';
import { untilIt } from './harness/until.js';

const ROOM = 'python-simulcast';

test('a viewer gets the whole picture of a Python camera, and the small one for the asking', { timeout: 120_000 }, async (t) => {
  const { chromium, python } = await stage(t);
  const [camera, viewer] = await Promise.all([python(ROOM, 'camera'), chromium(ROOM, 'viewer')]);
  await camera.call('publish_colour', { name: 'colour', rgb: [40, 160, 60], width: 1280, height: 720, simulcast: true });
  await viewer.happened('trackSubscribed', { identity: 'camera', source: 'camera' });
  const choose = (quality) =>
    viewer.run((quality) => {
      const { trackPublications } = window.room.remoteParticipants.get('camera');
      for (const it of trackPublications.values()) it.setVideoQuality(window.LivekitClient.VideoQuality[quality]);
    }, quality);
  const receives = (fits) => untilIt('frames', () => viewer.received('camera', 'camera'), (it) => fits(it?.frameWidth));

  await receives((width) => width === 1280);
  assert.equal((await viewer.sees('camera')).frameWidth, 1280);
  await choose('LOW');
  await receives((width) => width <= 320);
  assert.ok((await viewer.sees('camera')).frameWidth <= 320);
  await choose('HIGH');
  await receives((width) => width === 1280);
});
