// Two browsers without media: texts, chat messages, packets, files and calls, each both ways.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { stage } from './harness/stage.js';

const ROOM = 'chat';
const LONG = 'a long message, '.repeat(4000);

/** Runs in the page: notes what comes in. */
function listen() {
  const { room, note } = window;
  room.registerTextStreamHandler('chat', async (reader, { identity }) => {
    const text = await reader.readAll();
    note('text', identity, text, JSON.stringify(reader.info.attributes ?? {}));
  });
  room.registerByteStreamHandler('files', async (reader, { identity }) => {
    const bytes = new Uint8Array(await new Blob(await reader.readAll()).arrayBuffer());
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
    note('file', identity, reader.info.name, bytes.length, btoa(String.fromCharCode(...digest)));
  });
  room.localParticipant.registerRpcMethod('double', async ({ payload, callerIdentity }) => `${callerIdentity}: ${2 * Number(payload)}`);
  room.localParticipant.registerRpcMethod('fail', async () => {
    throw new window.LivekitClient.RpcError(1234, 'not today', 'or ever');
  });
}

/** Runs in the page: sends 200 kB of noise as a file, and gives its digest. */
async function sendFile() {
  const bytes = new Uint8Array(200_000);
  for (let at = 0; at < bytes.length; at += 50_000) crypto.getRandomValues(bytes.subarray(at, at + 50_000));
  await window.room.localParticipant.sendFile(new File([bytes], 'noise.bin'), { topic: 'files' });
  return btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))));
}

test('two browsers write to each other', { timeout: 120_000 }, async (t) => {
  const { chromium } = await stage(t);
  const [ann, bob, bystander] = await Promise.all(['ann', 'bob', 'eve'].map((name) => chromium(ROOM, name)));
  const tabs = { ann, bob };
  for (const tab of [ann, bob]) await tab.run(listen);

  for (const [own, other] of [['ann', 'bob'], ['bob', 'ann']]) {
    const [from, to] = [tabs[own], tabs[other]];

    await t.test(`${own} chats with ${other}`, async () => {
      await from.run((text) => window.room.localParticipant.sendText(text, { topic: 'chat', attributes: { mood: 'calm' } }), 'hola ✓');
      await to.happened('text', { values: [own, 'hola ✓', '{"mood":"calm"}'] });
      await from.run((text) => window.room.localParticipant.sendText(text, { topic: 'chat' }), LONG);
      await to.happened('text', { values: [own, LONG, '{}'] });
      await from.run(() => window.room.localParticipant.sendChatMessage('as a chat message'));
      await to.happened('chatMessage', { identity: own });
    });

    await t.test(`${own} sends ${other} packets`, async () => {
      const send = ([text, reliable, to]) =>
        window.room.localParticipant.publishData(new TextEncoder().encode(text), { reliable, topic: 'notes', destinationIdentities: to });
      await from.run(send, ['surely', true]);
      await to.happened('dataReceived', { identity: own, text: 'surely' });
      // A lossy packet may be lost, even here; of some, one arrives.
      for (let i = 0; i < 5; i++) await from.run(send, ['perhaps', false]);
      await to.happened('dataReceived', { identity: own, text: 'perhaps' });
      await from.run(send, ['for one', true, [other]]);
      await to.happened('dataReceived', { identity: own, text: 'for one' });
      await from.run(send, ['for all', true]);
      await bystander.happened('dataReceived', { identity: own, text: 'for all' });
      const overheard = (await bystander.events()).filter((it) => it.text === 'for one');
      assert.deepEqual(overheard, [], 'a packet for one reached another');
    });

    await t.test(`${own} sends ${other} a file of 200 kB`, async () => {
      const digest = await from.run(sendFile);
      await to.happened('file', { values: [own, 'noise.bin', 200_000, digest] });
    });

    await t.test(`${own} calls ${other}`, async () => {
      const call = ([destinationIdentity, method, payload]) =>
        window.room.localParticipant.performRpc({ destinationIdentity, method, payload }).catch(({ code, message, data }) => ({ code, message, data }));
      assert.equal(await from.run(call, [other, 'double', '21']), `${own}: 42`);
      assert.deepEqual(await from.run(call, [other, 'fail', '']), { code: 1234, message: 'not today', data: 'or ever' });
      assert.equal((await from.run(call, [other, 'unheard-of', ''])).code, 1400);
    });
  }
});
