// ioredis: channels, patterns, shard channels and keyspace notifications.
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { flavors, open } from './ioredis_flavors.mjs';
import { eventually, it, onCorral, range, startServers, unique } from './support.mjs';

const servers = await startServers();

for (const flavor of flavors) {
  describe(flavor.name, () => {
    it('receives the messages of its channels in order', async (t) => {
      const sender = open(t, flavor, servers);
      const receiver = open(t, flavor, servers);
      const channels = range(10).map(() => unique('channel'));
      assert.equal(await receiver.subscribe(...channels), 10);
      const got = new Map(channels.map((channel) => [channel, []]));
      receiver.on('message', (channel, text) => got.get(channel).push(text));
      const pipeline = sender.pipeline();
      for (const i of range(500)) pipeline.publish(channels[i % 10], `m${i}`);
      const replies = await pipeline.exec();
      assert.deepEqual(replies, range(500).map(() => [null, 1]));
      await eventually('50 messages a channel', () => [...got.values()].every((texts) => texts.length >= 50));
      for (const [i, channel] of channels.entries()) {
        assert.deepEqual(got.get(channel), range(50).map((k) => `m${10 * k + i}`));
      }
      assert.equal(await receiver.unsubscribe(...channels.slice(0, 4)), 6);
      assert.equal(await sender.publish(channels[0], 'nobody'), 0);
      assert.equal(await sender.publish(channels[9], 'one'), 1);
      assert.equal(await receiver.unsubscribe(), 0);
      assert.equal(await receiver.get(unique()), null, 'an ordinary connection again');
    });

    it('receives by pattern, once for each subscription that matches', async (t) => {
      const sender = open(t, flavor, servers);
      const receiver = open(t, flavor, servers);
      const name = unique('news');
      const got = [];
      receiver.on('message', (channel, text) => got.push(['message', channel, text]));
      receiver.on('pmessageBuffer', (pattern, channel, text) => got.push([`${pattern}`, `${channel}`, `${text}`]));
      assert.equal(await receiver.psubscribe(`${name}.*`, `${name}.a?`), 2);
      assert.equal(await receiver.subscribe(`${name}.ab`), 3);
      assert.equal(await sender.publish(`${name}.ab`, 'x'), 3);
      assert.equal(await sender.publish(`${name}.b`, 'y'), 1);
      await eventually('four messages', () => got.length >= 4);
      assert.deepEqual(
        got.map((message) => message.join(' ')).sort(),
        [`message ${name}.ab x`, `${name}.* ${name}.ab x`, `${name}.* ${name}.b y`, `${name}.a? ${name}.ab x`].sort(),
      );
      await receiver.punsubscribe(`${name}.*`);
      assert.equal(await sender.publish(`${name}.b`, 'z'), 0);
    });

    it('tells who listens', async (t) => {
      const asking = open(t, flavor, servers);
      const receivers = [open(t, flavor, servers), open(t, flavor, servers)];
      const name = unique('channel');
      for (const receiver of receivers) await receiver.subscribe(name);
      await receivers[0].psubscribe(`${name}*`);
      assert.deepEqual(await asking.pubsub('CHANNELS', `${name}*`), [name]);
      assert.deepEqual(await asking.pubsub('NUMSUB', name, 'none'), [name, 2, 'none', 0]);
      assert.ok((await asking.pubsub('NUMPAT')) >= 1);
      receivers[0].disconnect();
      await eventually('one subscriber is gone', async () => (await asking.pubsub('NUMSUB', name))[1] === 1);
    });

    it('subscribes again after it lost its connection', async (t) => {
      const sender = open(t, flavor, servers);
      const receiver = open(t, flavor, servers, { retryStrategy: () => 5 });
      const name = unique('channel');
      const got = [];
      receiver.on('message', (_, text) => got.push(text));
      receiver.on('pmessage', (_, __, text) => got.push(text));
      const id = await receiver.client('ID');
      await receiver.subscribe(name);
      await receiver.psubscribe(`${name}*`);
      assert.equal(await sender.client('KILL', 'ID', id), 1);
      await eventually('both are back', async () =>
        (await sender.pubsub('NUMSUB', name))[1] === 1 && (await sender.pubsub('NUMPAT')) === 1);
      assert.equal(await sender.publish(name, 'back'), 2);
      await eventually('two messages', () => got.length >= 2);
      assert.deepEqual(got, ['back', 'back']);
    });

    it('publishes and subscribes by shard', async (t) => {
      const sender = open(t, flavor, servers);
      const receiver = open(t, flavor, servers);
      const channels = range(10).map(() => unique('shard'));
      const got = [];
      receiver.on('smessage', (name, text) => got.push(`${name} ${text}`));
      for (const [i, channel] of channels.entries()) assert.equal(await receiver.ssubscribe(channel), i + 1);
      for (const channel of channels) assert.equal(await sender.spublish(channel, 'hello'), 1);
      await eventually('10 messages', () => got.length >= 10);
      assert.deepEqual(got.sort(), channels.map((channel) => `${channel} hello`).sort());
      assert.deepEqual(await sender.pubsub('SHARDNUMSUB', channels[3]), [channels[3], 1]);
      assert.deepEqual(await sender.pubsub('SHARDCHANNELS', channels[3]), [channels[3]]);
      assert.equal(await receiver.sunsubscribe(channels[3]), 9);
      assert.equal(await sender.spublish(channels[3], 'nobody'), 0);
    });

    it('hears of changes of keys, on whatever node they are', async (t) => {
      const sender = open(t, flavor, servers);
      const receiver = open(t, flavor, servers);
      const prefix = unique('watched');
      const keys = range(20).map((i) => `${prefix}:${i}`);
      const got = [];
      receiver.on('pmessage', (_, channel, event) => got.push(`${channel.split('__:')[1]} ${event}`));
      receiver.on('message', (channel, key) => key.startsWith(prefix) && got.push(`${channel.split('__:')[1]} ${key}`));
      assert.equal(await sender.config('SET', 'notify-keyspace-events', 'KEA'), 'OK');
      assert.equal((await sender.config('GET', 'notify-keyspace-events')).length, 2);
      await receiver.psubscribe(`__keyspace@0__:${prefix}:*`);
      await receiver.subscribe('__keyevent@0__:set');
      for (const key of keys) await sender.set(key, 'x');
      await eventually('a notification of both kinds for each key', () => got.length >= 40);
      assert.deepEqual(got.sort(), keys.flatMap((key) => [`${key} set`, `set ${key}`]).sort());
      await sender.config('SET', 'notify-keyspace-events', '');
    });
  });
}

describe('between versions', () => {
  it('serves many subscribers of one channel with one copy each', async (t) => {
    const sender = open(t, flavors[0], servers);
    const channel = unique('popular');
    const receivers = range(60).map((i) => open(t, flavors[i % flavors.length], servers));
    const counts = receivers.map(() => 0);
    receivers.forEach((receiver, i) => receiver.on('message', () => ++counts[i]));
    await Promise.all(receivers.map((receiver) => receiver.subscribe(channel)));
    for (const i of range(50)) assert.equal(await sender.publish(channel, `m${i}`), receivers.length);
    await eventually('50 messages for each', () => counts.every((count) => count >= 50));
    assert.deepEqual(new Set(counts), new Set([50]));
    if (!onCorral) return;
    // One upstream subscription a channel, however many clients listen: what the nodes themselves say.
    const nodes = servers.nodes.map((port) => open(t, flavors[0], { ...servers, port }));
    const upstream = await Promise.all(nodes.map(async (node) => (await node.pubsub('NUMSUB', channel))[1]));
    assert.equal(upstream.reduce((sum, count) => sum + count), 1);
  });
});
