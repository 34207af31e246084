// Two Python clients, one of each generation of LiveKit's protocol: each hears, sees and reads the other.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { stage } from './harness/stage.js';
import { untilIt } from './harness/until.js';

const ROOM = 'pair';
const SAID = { ann: { hertz: 440, rgb: [200, 40, 40] }, bob: { hertz: 1000, rgb: [40, 60, 210] } };

test('two Python clients hear, see and read each other', { timeout: 120_000 }, async (t) => {
  const { python } = await stage(t);
  const [ann, bob] = await Promise.all([python(ROOM, 'ann', { single: false }), python(ROOM, 'bob', { single: true, claims: { name: 'Bob' } })]);
  const peers = { ann, bob };
  const sids = {};
  for (const [name, peer] of Object.entries(peers)) {
    sids[name] = {
      voice: await peer.call('publish_tone', { name: 'voice', hertz: SAID[name].hertz }),
      colour: await peer.call('publish_colour', { name: 'colour', rgb: SAID[name].rgb }),
    };
  }

  for (const [own, other] of [['ann', 'bob'], ['bob', 'ann']]) {
    const peer = peers[own];
    await t.test(`${own} hears the frequency that ${other} plays, and little else`, async () => {
      await untilIt(
        'the tone',
        async () => (await peer.call('heard'))[`${other}/voice`],
        // A quarter of full scale is −12 dBFS at its peak and −15 dBFS on average.
        (it) => it?.share > 0.95 && Math.abs(it.hertz - SAID[other].hertz) <= 2 && Math.abs(it.level + 15) < 2,
      );
    });

    await t.test(`${own} sees the colour that ${other} shows`, async () => {
      const seen = await untilIt('the colour', async () => (await peer.call('seen'))[`${other}/colour`], (it) => it?.frames >= 10 && it.width === 320);
      assert.equal(seen.height, 180);
      seen.rgb.forEach((value, i) => assert.ok(Math.abs(value - SAID[other].rgb[i]) < 20, JSON.stringify(seen)));
      assert.ok(seen.spread < 5, JSON.stringify(seen));
    });

    await t.test(`${own} gets data packets, texts and files of ${other}`, async () => {
      await peer.call('read_texts', { topic: 'chat' });
      await peer.call('read_files', { topic: 'files' });
      const from = peers[other];
      await from.call('publish_data', { text: 'surely', topic: 'notes' });
      await peer.happened('data_received', { identity: other, text: 'surely', topic: 'notes' });
      // A lossy packet may be lost, even here; of some, one arrives.
      for (let i = 0; i < 5; i++) await from.call('publish_data', { text: 'perhaps', reliable: false });
      await peer.happened('data_received', { identity: other, text: 'perhaps' });
      await from.call('send_text', { text: '¿qué tal? '.repeat(5000), topic: 'chat' });
      await peer.happened('text', { identity: other, text: '¿qué tal? '.repeat(5000) });
      const sha256 = await from.call('send_bytes', { size: 200_000, topic: 'files', name: 'noise.bin' });
      await peer.happened('file', { identity: other, size: 200_000, sha256, name: 'noise.bin' });
    });

    await t.test(`${own} is called by ${other}`, async () => {
      await peer.call('offer_rpc', { method: 'backwards' });
      assert.equal(await peers[other].call('rpc', { identity: own, method: 'backwards', payload: 'stressed' }), `${other}: desserts`);
    });
  }

  for (const [own, other] of [['ann', 'bob'], ['bob', 'ann']]) {
    await t.test(`mute, unmute and unpublish of ${own} are told, and heard as silence and sound`, async () => {
      const heard = async () => (await peers[other].call('heard'))[`${own}/voice`];
      await peers[own].call('mute', { sid: sids[own].voice, muted: true });
      await peers[other].happened('track_muted', { identity: own, sid: sids[own].voice });
      await untilIt('silence', heard, (it) => it?.level < -60);
      await peers[own].call('mute', { sid: sids[own].voice, muted: false });
      await peers[other].happened('track_unmuted', { identity: own, sid: sids[own].voice });
      await untilIt('the tone again', heard, (it) => it?.share > 0.95 && Math.abs(it.hertz - SAID[own].hertz) <= 2);
      for (const sid of Object.values(sids[own])) {
        await peers[own].call('unpublish', { sid });
        await peers[other].happened('track_unpublished', { identity: own, sid });
      }
    });

    await t.test(`what ${own} publishes afterwards is heard and seen`, async () => {
      await peers[own].call('publish_tone', { name: 'another voice', hertz: 600 });
      await peers[own].call('publish_colour', { name: 'another colour', rgb: [220, 200, 30] });
      const isTone = (it) => it?.share > 0.95 && Math.abs(it.hertz - 600) <= 2;
      await untilIt('the tone', async () => (await peers[other].call('heard'))[`${own}/another voice`], isTone);
      const seen = await untilIt('the colour', async () => (await peers[other].call('seen'))[`${own}/another colour`], (it) => it?.frames >= 10);
      assert.ok(seen.rgb[0] > 180 && seen.rgb[2] < 70, JSON.stringify(seen));
    });
  }

  await t.test('one who leaves is gone for the other, who hears their name and the reason', async () => {
    await peers.bob.call('disconnect');
    await peers.ann.happened('participant_disconnected', { identity: 'bob', name: 'Bob', reason: 'CLIENT_INITIATED' });
    assert.deepEqual(await peers.ann.call('people'), {});
  });
});
