// Names, metadata and attributes: from the token, from the participant, and not from one who may not.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { stage } from './harness/stage.js';
import { until, untilIt } from './harness/until.js';

const ROOM = 'attributes';

test('what participants say of themselves reaches the others', { timeout: 120_000 }, async (t) => {
  const { chromium, python } = await stage(t);
  const fromToken = {
    grants: { canUpdateOwnMetadata: true },
    claims: { name: 'Ann', metadata: 'from the token', attributes: { seat: '12', table: 'A' } },
  };
  const [ann, bob, cec] = await Promise.all([
    chromium(ROOM, 'ann', fromToken),
    chromium(ROOM, 'bob'),
    python(ROOM, 'cec', { grants: { canUpdateOwnMetadata: true } }),
  ]);
  const known = () =>
    bob.run(() => {
      const who = window.room.remoteParticipants.get('ann');
      return who && { name: who.name, metadata: who.metadata, attributes: who.attributes };
    });

  await t.test('what the token says', async () => {
    const expected = { name: 'Ann', metadata: 'from the token', attributes: { seat: '12', table: 'A' } };
    for (const look of [known, async () => (await cec.call('people')).ann]) assert.deepEqual(await until('ann', look), expected);
  });

  await t.test('what a browser changes', async () => {
    await ann.run(async () => {
      await window.room.localParticipant.setName('Annie');
      await window.room.localParticipant.setMetadata('her own');
      await window.room.localParticipant.setAttributes({ seat: '13', table: '' });
    });
    await bob.happened('participantNameChanged', { identity: 'ann' });
    await bob.happened('participantMetadataChanged', { identity: 'ann' });
    await bob.happened('participantAttributesChanged', { identity: 'ann' });
    const expected = { name: 'Annie', metadata: 'her own', attributes: { seat: '13' } };
    await untilIt('the changes', known, (it) => JSON.stringify(it) === JSON.stringify(expected));
    await untilIt('the changes', async () => (await cec.call('people')).ann, (it) => it.attributes.seat === '13' && it.name === 'Annie');
  });

  await t.test('what a Python client changes', async () => {
    await cec.call('describe_self', { name: 'Cec', metadata: 'of Python', attributes: { seat: '14' } });
    const cecAsKnown = () =>
      bob.run(() => {
        const who = window.room.remoteParticipants.get('cec');
        return [who.name, who.metadata, who.attributes.seat];
      });
    await untilIt('the changes', cecAsKnown, (it) => it.join() === 'Cec,of Python,14');
  });

  await t.test('a language that is none is refused, and told so', async () => {
    const listen = (tag) => ann.run((it) => window.room.localParticipant.setAttributes({ 'hive.listens': it }).then(() => 'taken', (error) => error.message), tag);
    assert.match(await listen('Klingon'), /hive\.listens.*Klingon/);
    assert.match(await listen('fr'), /nothing is interpreted into `fr`.*en-es/);
    assert.equal(await listen('none'), 'taken');
  });

  await t.test('one without canUpdateOwnMetadata is refused, and told so', async () => {
    const refused = await bob.run(() => window.room.localParticipant.setName('Robert').then(() => 'taken', (error) => error.message));
    assert.match(refused, /canUpdateOwnMetadata|permission|allowed/i);
    assert.equal(await ann.run(() => window.room.remoteParticipants.get('bob').name), '');
  });
});
