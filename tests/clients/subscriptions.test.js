// Who receives what: as the subscriber asks, and as the publisher permits.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { stage } from './harness/stage.js';
import { untilIt } from './harness/until.js';

const ROOM = 'subscriptions';

test('clients choose what they receive, and who receives them', { timeout: 120_000 }, async (t) => {
  const { chromium, python } = await stage(t);
  const singer = await python(ROOM, 'singer');
  await singer.call('publish_tone', { name: 'voice', hertz: 440 });
  const colour = await singer.call('publish_colour', { name: 'colour', rgb: [200, 40, 40] });
  const [tab, peer] = await Promise.all([
    chromium(ROOM, 'tab', { connect: { autoSubscribe: false } }),
    python(ROOM, 'peer', { auto_subscribe: false }),
  ]);
  const choose = (name, subscribed) =>
    tab.run(([name, subscribed]) => {
      const publications = [...window.room.remoteParticipants.get('singer').trackPublications.values()];
      publications.find((it) => it.trackName === name).setSubscribed(subscribed);
    }, [name, subscribed]);

  await t.test('a client that does not subscribe by itself knows the tracks and receives what it asks for', async () => {
    await choose('voice', true);
    await tab.hears('singer');
    assert.equal(await tab.received('singer', 'colour'), null);
    assert.ok(!(await tab.events()).some((it) => it.type === 'trackSubscribed' && it.name === 'colour'));
    await peer.call('set_subscribed', { identity: 'singer', name: 'colour', subscribed: true });
    await untilIt('the colour', () => peer.call('seen'), (it) => it['singer/colour']?.frames > 5);
    assert.deepEqual(await peer.call('heard'), {});
  });

  await t.test('it may have enough of a track, and want it again', async () => {
    await choose('colour', true);
    await tab.sees('singer');
    await choose('colour', false);
    await tab.happened('trackUnsubscribed', { identity: 'singer', name: 'colour' });
    await choose('colour', true);
    await tab.sees('singer');
  });

  await t.test('a publisher keeps a track from somebody, and lets them have it again', async () => {
    const permit = (to) => singer.call('permit', { to });
    await permit({ peer: [colour] });
    await tab.happened('trackSubscriptionPermissionChanged', { identity: 'singer', name: 'colour' });
    const gone = (events) => events.filter((it) => it.type === 'trackUnsubscribed' && it.name === 'colour').length;
    await untilIt('the end of the colour', tab.events, (it) => gone(it) === 2);
    const { frames } = (await peer.call('seen'))['singer/colour'];
    await untilIt('the colour for who may see it', () => peer.call('seen'), (it) => it['singer/colour'].frames > frames + 5);
    await permit(null);
    await tab.sees('singer');
  });
});
