// A viewer whose link carries no video is told that it is paused and goes on hearing; later it goes on by itself.
import { test } from 'node:test';
import { stage } from './harness/stage.js';
import { udpRelay } from './harness/udp-relay.js';

const ROOM = 'squeezed-path';
/** Clients are told this address; the server itself is on 127.0.0.1. */
const OUTSIDE = '127.0.0.3';
/** Enough for a microphone, and too little for the lowest layer of a camera. */
const NARROW = 80_000;

test('video that does not fit is paused, told, and resumed', { timeout: 180_000 }, async (t) => {
  const { chromium, hive, ends } = await stage(t, { MEDIA__ADVERTISE: `[${OUTSIDE}]` });
  const relay = await udpRelay(OUTSIDE, hive.mediaPort);
  ends(() => relay.close());
  const options = { videoCaptureDefaults: { resolution: { width: 640, height: 360, frameRate: 15 } } };
  const [publisher, viewer] = await Promise.all([chromium(ROOM, 'publisher', options), chromium(ROOM, 'viewer')]);
  await publisher.run(() => window.room.localParticipant.enableCameraAndMicrophone());
  await viewer.sees('publisher');
  await viewer.hears('publisher');

  relay.limit(NARROW);
  await viewer.happened('trackStreamStateChanged', { identity: 'publisher', values: ['paused'] }, 60_000);
  await viewer.hears('publisher');
  relay.limit(Infinity);
  await viewer.happened('trackStreamStateChanged', { identity: 'publisher', values: ['active'] }, 60_000);
  await viewer.sees('publisher');
});
