// Two browsers with microphone and simulcast camera: each hears and sees the other, until told otherwise.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { stage } from './harness/stage.js';
import { untilIt } from './harness/until.js';

const ROOM = 'media';

test('two browsers hear and see each other', { timeout: 120_000 }, async (t) => {
  const { chromium } = await stage(t);
  const options = { videoCaptureDefaults: { resolution: { width: 640, height: 360, frameRate: 15 } } };
  const [ann, bob] = await Promise.all(['ann', 'bob'].map((name) => chromium(ROOM, name, options)));
  const tabs = { ann, bob };
  for (const tab of [ann, bob]) await tab.run(() => window.room.localParticipant.enableCameraAndMicrophone());

  for (const [own, other] of [['ann', 'bob'], ['bob', 'ann']]) {
    const tab = tabs[own];
    await t.test(`${own} hears ${other}`, async () => {
      await tab.happened('trackSubscribed', { identity: other, source: 'microphone' });
      await tab.hears(other);
    });

    await t.test(`${own} sees ${other}, moving and not black`, async () => {
      await tab.happened('trackSubscribed', { identity: other, source: 'camera' });
      const received = await tab.sees(other);
      assert.equal(received.frameWidth / received.frameHeight, 640 / 360);
      const first = await untilIt('a picture', () => tab.picture(other), (it) => it?.mean > 20 && it.spread > 5);
      await untilIt('another picture', () => tab.picture(other), (it) => it.luma.some((luma, i) => Math.abs(luma - first.luma[i]) > 30));
    });
  }

  await t.test('the camera is sent in layers', async () => {
    const widths = await untilIt(
      'two layers on their way',
      () => tabs.ann.run(async () => {
        const { sender } = window.room.localParticipant.getTrackPublication('camera').track;
        const report = [...(await sender.getStats()).values()];
        return report.filter((it) => it.type === 'outbound-rtp').map((it) => [it.rid, it.frameWidth ?? 0, it.packetsSent]);
      }),
      (layers) => layers.length === 2 && layers.every(([, , packets]) => packets > 0),
    );
    assert.deepEqual(widths.map(([rid]) => rid).sort(), ['h', 'q']);
  });

  await t.test('mute and unmute are told, and end and resume the sound', async () => {
    await tabs.ann.run(() => window.room.localParticipant.setMicrophoneEnabled(false));
    await tabs.bob.happened('trackMuted', { identity: 'ann', source: 'microphone' });
    await tabs.bob.hearsNothingOf('ann');
    await tabs.ann.run(() => window.room.localParticipant.setMicrophoneEnabled(true));
    await tabs.bob.happened('trackUnmuted', { identity: 'ann', source: 'microphone' });
    await tabs.bob.hears('ann');
  });

  await t.test('how good their connections are is told', async () => {
    for (const [own, other] of [['ann', 'bob'], ['bob', 'ann']]) {
      for (const identity of [own, other]) {
        const told = await tabs[own].happened('connectionQualityChanged', { identity });
        assert.ok(['excellent', 'good'].includes(told.values[0]), JSON.stringify(told));
      }
    }
  });

  await t.test('who comes later is told of all connections as well', async () => {
    const late = await chromium(ROOM, 'late');
    for (const identity of ['ann', 'bob', 'late']) await late.happened('connectionQualityChanged', { identity });
    await late.run(() => window.room.disconnect());
    await tabs.bob.happened('participantDisconnected', { identity: 'late' });
  });

  await t.test('who speaks is told', async () => {
    const names = () => tabs.bob.run(() => window.room.activeSpeakers.map((it) => it.identity));
    await untilIt('ann among the speakers', names, (it) => it.includes('ann'));
  });

  await t.test('an unpublished camera is gone for the other, and the microphone is not', async () => {
    await tabs.ann.run(() => window.room.localParticipant.unpublishTrack(window.room.localParticipant.getTrackPublication('camera').track));
    await tabs.bob.happened('trackUnsubscribed', { identity: 'ann', source: 'camera' });
    await tabs.bob.happened('trackUnpublished', { identity: 'ann', source: 'camera' });
    await tabs.bob.hears('ann');
  });

  await t.test('a camera that is published again is seen again', async () => {
    await tabs.ann.run(() => window.room.localParticipant.setCameraEnabled(true));
    await tabs.bob.sees('ann');
    await untilIt('a picture', () => tabs.bob.picture('ann'), (it) => it?.mean > 20 && it.spread > 5);
  });

  await t.test('a microphone that is published again is heard again', async () => {
    await tabs.ann.run(async () => {
      const { localParticipant } = window.room;
      await localParticipant.unpublishTrack(localParticipant.getTrackPublication('microphone').track);
    });
    await tabs.bob.happened('trackUnsubscribed', { identity: 'ann', source: 'microphone' });
    await tabs.ann.run(() => window.room.localParticipant.setMicrophoneEnabled(true));
    await tabs.bob.hears('ann');
    await untilIt('a beep', () => tabs.bob.pitch('ann'), (it) => it?.level > -50);
  });

  await t.test('a browser that leaves is gone for the other', async () => {
    await tabs.ann.run(() => window.room.disconnect());
    await tabs.bob.happened('participantDisconnected', { identity: 'ann' });
    assert.deepEqual(await tabs.bob.run(() => [...window.room.remoteParticipants.keys()]), []);
  });
});
