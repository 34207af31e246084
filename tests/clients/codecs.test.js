// Cameras in each codec of browsers: VP8 and H.264 in simulcast, VP9 and AV1 in layers of one stream.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { stage } from './harness/stage.js';
import { untilIt } from './harness/until.js';

const ROOM = 'codecs';
const CODECS = ['vp8', 'h264', 'vp9', 'av1'];

test('cameras are seen in every codec', { timeout: 240_000 }, async (t) => {
  const { chromium } = await stage(t);
  const capture = { videoCaptureDefaults: { resolution: { width: 640, height: 360, frameRate: 15 } } };
  const [publisher, viewer, late] = await Promise.all(['publisher', 'viewer', 'late'].map((name) => chromium(ROOM, name, { ...capture, connect: { autoSubscribe: name !== 'late' } })));
  for (const codec of CODECS) {
    await t.test(codec, async () => {
      await publisher.run((videoCodec) => window.room.localParticipant.setCameraEnabled(true, undefined, { videoCodec, backupCodec: false }), codec);
      const received = await viewer.sees('publisher');
      assert.equal(received.codec.toLowerCase(), `video/${codec}`);
      await untilIt('the whole picture', () => viewer.received('publisher', 'camera'), (it) => it?.frameWidth === 640);
      await untilIt('a picture', () => viewer.picture('publisher'), (it) => it?.mean > 20 && it.spread > 5);
      // Somebody who comes later needs a key frame of their own.
      await late.run(() => [...window.room.remoteParticipants.get('publisher').trackPublications.values()].forEach((it) => it.setSubscribed(true)));
      await late.sees('publisher');
      await publisher.run(() => window.room.localParticipant.unpublishTrack(window.room.localParticipant.getTrackPublication('camera').track));
      await untilIt('its end', () => viewer.received('publisher', 'camera'), (it) => it === null);
    });
  }
});
