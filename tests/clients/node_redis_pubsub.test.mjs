// node-redis: channels, patterns, shard channels, keyspace notifications and MONITOR.
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { flavors, open } from './node_redis_flavors.mjs';
import { eventually, it, range, startServers, unique } from './support.mjs';

const servers = await startServers();

for (const flavor of flavors) {
  describe(flavor.name, () => {
    it('receives the messages of its channels in order', async (t) => {
      const sender = await open(t, flavor, servers);
      const receiver = await open(t, flavor, servers);
      const channels = range(10).map(() => unique('channel'));
      const got = new Map(channels.map((channel) => [channel, []]));
      await receiver.subscribe(channels, (text, channel) => got.get(channel).push(text));
      const counts = await Promise.all(range(500).map((i) => sender.publish(channels[i % 10], `m${i}`)));
      assert.deepEqual(new Set(counts), new Set([1]));
      await eventually('50 messages a channel', () => [...got.values()].every((texts) => texts.length >= 50));
      for (const [i, channel] of channels.entries()) {
        assert.deepEqual(got.get(channel), range(50).map((k) => `m${10 * k + i}`));
      }
      await receiver.unsubscribe(channels.slice(0, 4));
      assert.equal(await sender.publish(channels[0], 'nobody'), 0);
      assert.equal(await sender.publish(channels[9], 'one'), 1);
      await receiver.unsubscribe();
      assert.equal(await receiver.get(unique()), null, 'an ordinary connection again');
    });

    it('receives by pattern, and pings meanwhile', async (t) => {
      const sender = await open(t, flavor, servers);
      const receiver = await open(t, flavor, servers);
      const name = unique('news');
      const got = [];
      await receiver.pSubscribe(`${name}.*`, (text, channel) => got.push(`${channel} ${text}`));
      await receiver.subscribe(`${name}.a`, (text) => got.push(`${text}`), true);
      assert.equal(await sender.publish(`${name}.a`, 'x'), 2);
      assert.equal(await sender.publish(`${name}.b`, 'y'), 1);
      await eventually('three messages', () => got.length >= 3);
      assert.deepEqual([...got].sort(), ['x', `${name}.a x`, `${name}.b y`].sort());
      assert.equal(`${await receiver.ping()}`, flavor.resp3 ? 'PONG' : 'pong');
      assert.equal(`${await receiver.ping('hello')}`, 'hello');
      await receiver.pUnsubscribe(`${name}.*`);
      assert.equal(await sender.publish(`${name}.b`, 'z'), 0);
    });

    it('tells who listens', async (t) => {
      const asking = await open(t, flavor, servers);
      const receiver = await open(t, flavor, servers);
      const name = unique('channel');
      await receiver.subscribe(name, () => {});
      assert.deepEqual(await asking.pubSubChannels(`${name}*`), [name]);
      assert.deepEqual({ ...(await asking.pubSubNumSub([name, 'none'])) }, { [name]: 1, none: 0 });
      assert.equal(await asking.pubSubNumPat(), 0);
    });

    it('subscribes again after it lost its connection', async (t) => {
      const sender = await open(t, flavor, servers);
      const receiver = flavor.redis.createClient({
        url: servers.url,
        ...flavor.options,
        socket: { reconnectStrategy: () => 5 },
      });
      receiver.on('error', () => {});
      t.after(() => receiver.destroy());
      await receiver.connect();
      const id = await receiver.clientId();
      const name = unique('channel');
      const got = [];
      await receiver.subscribe(name, (text) => got.push(text));
      await receiver.pSubscribe(`${name}*`, (text) => got.push(text));
      await receiver.sSubscribe(name, (text) => got.push(text));
      assert.equal(await sender.clientKill({ filter: 'ID', id }), 1);
      await eventually('all three are back', async () =>
        (await sender.pubSubNumSub([name]))[name] === 1 &&
        (await sender.pubSubNumPat()) === 1 &&
        (await sender.pubSubShardNumSub([name]))[name] === 1);
      assert.equal(await sender.publish(name, 'back'), 2);
      assert.equal(await sender.sPublish(name, 'shard'), 1);
      await eventually('three messages', () => got.length >= 3);
      assert.deepEqual(got.sort(), ['back', 'back', 'shard']);
    });

    it('publishes and subscribes by shard', async (t) => {
      const sender = await open(t, flavor, servers);
      const receiver = await open(t, flavor, servers);
      const channels = range(10).map(() => unique('shard'));
      const got = [];
      for (const channel of channels) {
        await receiver.sSubscribe(channel, (text, name) => got.push(`${name} ${text}`));
      }
      for (const channel of channels) assert.equal(await sender.sPublish(channel, 'hello'), 1);
      await eventually('10 messages', () => got.length >= 10);
      assert.deepEqual(got.sort(), channels.map((channel) => `${channel} hello`).sort());
      assert.deepEqual(await sender.pubSubShardChannels(channels[3]), [channels[3]]);
      await receiver.sUnsubscribe(channels[3]);
      assert.equal(await sender.sPublish(channels[3], 'nobody'), 0);
    });

    it('hears of changes of keys, on whatever node they are', async (t) => {
      const sender = await open(t, flavor, servers);
      const receiver = await open(t, flavor, servers);
      const prefix = unique('watched');
      const keys = range(20).map((i) => `${prefix}:${i}`);
      const got = [];
      await sender.configSet('notify-keyspace-events', 'KEA');
      await receiver.pSubscribe(`__keyspace@0__:${prefix}:*`, (event, channel) => got.push(`${channel.split('__:')[1]} ${event}`));
      for (const key of keys) await sender.set(key, 'x');
      await eventually('a notification for each key', () => got.length >= 20);
      assert.deepEqual(got.sort(), keys.map((key) => `${key} set`).sort());
      await sender.configSet('notify-keyspace-events', '');
    });

    it('monitors', async (t) => {
      const client = await open(t, flavor, servers);
      const monitor = await open(t, flavor, servers);
      const got = [];
      await monitor.monitor((line) => got.push(`${line}`));
      const key = unique();
      await client.set(key, 'seen');
      await eventually('the SET is shown', () => got.some((line) => line.includes(key)));
      assert.match(got.find((line) => line.includes(key)), /^\d+\.\d{6} \[0 127\.0\.0\.1:\d+\] "SET" "key-[0-9a-f]+" "seen"$/i);
    });
  });

  if (!flavor.resp3) continue;
  describe(`${flavor.name}, one connection for everything`, () => {
    it('mixes commands and subscriptions', async (t) => {
      const client = await open(t, flavor, servers);
      const name = unique('channel');
      const got = [];
      await client.subscribe(name, (text) => got.push(text));
      const replies = await Promise.all(
        range(50).flatMap((i) => [client.set(`${name}:${i}`, `${i}`), client.publish(name, `m${i}`), client.get(`${name}:${i}`)]),
      );
      assert.deepEqual(replies, range(50).flatMap((i) => ['OK', 1, `${i}`]));
      await eventually('50 messages', () => got.length >= 50);
      assert.deepEqual(got, range(50).map((i) => `m${i}`));
    });
  });
}
