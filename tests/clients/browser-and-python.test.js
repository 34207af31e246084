// A browser and a Python client: each hears and sees the other, and reads what the other writes.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { stage } from './harness/stage.js';
import { untilIt } from './harness/until.js';

const ROOM = 'mixed';
const HERTZ = 750;
const RGB = [30, 180, 60];

test('a browser and a Python client hear, see and read each other', { timeout: 120_000 }, async (t) => {
  const { chromium, python } = await stage(t);
  const options = { videoCaptureDefaults: { resolution: { width: 640, height: 360, frameRate: 15 } } };
  const [tab, peer] = await Promise.all([chromium(ROOM, 'browser', options), python(ROOM, 'python')]);
  await tab.run(() => window.room.localParticipant.enableCameraAndMicrophone());
  const voice = await peer.call('publish_tone', { name: 'voice', hertz: HERTZ });
  const colour = await peer.call('publish_colour', { name: 'colour', rgb: RGB });

  await t.test("the browser hears Python's frequency", async () => {
    await tab.hears('python');
    await untilIt('the tone', () => tab.pitch('python'), (it) => it && Math.abs(it.hertz - HERTZ) < 10 && it.level > -30);
  });

  await t.test("the browser sees Python's colour", async () => {
    await tab.sees('python');
    const picture = await untilIt('the colour', () => tab.picture('python'), (it) => it?.width === 320);
    picture.rgb.forEach((value, i) => assert.ok(Math.abs(value - RGB[i]) < 20, JSON.stringify(picture.rgb)));
  });

  await t.test("Python hears the browser's beeps", async () => {
    const heard = async () => Object.entries(await peer.call('heard')).find(([key]) => key.startsWith('browser/'))?.[1];
    const { frames } = await untilIt('a beep', heard, (it) => it?.level > -45);
    await untilIt('more sound', heard, (it) => it.frames > frames + 50);
  });

  await t.test("Python sees the browser's camera", async () => {
    const seen = async () => Object.entries(await peer.call('seen')).find(([key]) => key.startsWith('browser/'))?.[1];
    const { frames, width, height, spread } = await untilIt('the picture', seen, (it) => it?.frames > 5);
    assert.equal(width / height, 640 / 360);
    // Chromium's fake camera shows a pattern on green.
    assert.ok(spread > 5);
    await untilIt('more of it', seen, (it) => it.frames > frames + 10);
  });

  await t.test('each reads what the other writes', async () => {
    await tab.run(() => {
      const { room, note } = window;
      room.registerTextStreamHandler('chat', async (reader, { identity }) => note('text', { identity }, await reader.readAll(), identity));
      room.localParticipant.registerRpcMethod('upper', async ({ payload, callerIdentity }) => `${callerIdentity}: ${payload.toUpperCase()}`);
    });
    await peer.call('read_texts', { topic: 'chat' });
    await peer.call('offer_rpc', { method: 'backwards' });
    await peer.call('send_text', { text: 'hello from Python', topic: 'chat' });
    await tab.happened('text', { values: ['hello from Python', 'python'] });
    await tab.run(() => window.room.localParticipant.sendText('hello from the browser', { topic: 'chat' }));
    await peer.happened('text', { identity: 'browser', text: 'hello from the browser' });
    await peer.call('publish_data', { text: 'a packet', topic: 'notes' });
    await tab.happened('dataReceived', { identity: 'python', text: 'a packet' });
    await tab.run(() => window.room.localParticipant.publishData(new TextEncoder().encode('another'), { reliable: true, topic: 'notes' }));
    await peer.happened('data_received', { identity: 'browser', text: 'another', topic: 'notes' });
    assert.equal(await peer.call('rpc', { identity: 'browser', method: 'upper', payload: 'loud' }), 'python: LOUD');
    const answer = await tab.run(() =>
      window.room.localParticipant.performRpc({ destinationIdentity: 'python', method: 'backwards', payload: 'stressed' }),
    );
    assert.equal(answer, 'browser: desserts');
  });

  await t.test('lossy packets arrive as well', async () => {
    // A lossy packet may be lost, even here; of some, one arrives.
    for (let i = 0; i < 5; i++) {
      await peer.call('publish_data', { text: 'perhaps', reliable: false });
      await tab.run(() => window.room.localParticipant.publishData(new TextEncoder().encode('maybe'), { reliable: false }));
    }
    await tab.happened('dataReceived', { identity: 'python', text: 'perhaps' });
    await peer.happened('data_received', { identity: 'browser', text: 'maybe' });
  });

  await t.test('Python mutes and unpublishes, and the browser notices', async () => {
    await peer.call('mute', { sid: voice, muted: true });
    await tab.happened('trackMuted', { identity: 'python', sid: voice });
    await tab.hearsNothingOf('python');
    await peer.call('mute', { sid: voice, muted: false });
    await tab.happened('trackUnmuted', { identity: 'python', sid: voice });
    await tab.hears('python');
    await peer.call('unpublish', { sid: colour });
    await tab.happened('trackUnpublished', { identity: 'python', sid: colour });
  });

  await t.test('the browser mutes and unpublishes, and Python notices', async () => {
    const microphone = await tab.run(() => window.room.localParticipant.getTrackPublication('microphone').trackSid);
    const camera = await tab.run(() => window.room.localParticipant.getTrackPublication('camera').trackSid);
    const heard = async () => Object.entries(await peer.call('heard')).find(([key]) => key.startsWith('browser/'))?.[1];
    await tab.run(() => window.room.localParticipant.setMicrophoneEnabled(false));
    await peer.happened('track_muted', { identity: 'browser', sid: microphone });
    await untilIt('silence', heard, (it) => it?.level < -60);
    await tab.run(() => window.room.localParticipant.setMicrophoneEnabled(true));
    await peer.happened('track_unmuted', { identity: 'browser', sid: microphone });
    await untilIt('a beep', heard, (it) => it?.level > -45);
    await tab.run(() => window.room.localParticipant.unpublishTrack(window.room.localParticipant.getTrackPublication('camera').track));
    await peer.happened('track_unpublished', { identity: 'browser', sid: camera });
  });
});
