// node-redis: commands one by one and in pipelines, scripts, scans, transactions and pools.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe } from 'node:test';
import { flavors, open, openPool } from './node_redis_flavors.mjs';
import { it, onCorral, range, startServers, unique, uniqueTag } from './support.mjs';

const servers = await startServers();

for (const flavor of flavors) {
  const { redis } = flavor;
  const script = (lua, numberOfKeys) =>
    redis.defineScript({
      SCRIPT: lua,
      NUMBER_OF_KEYS: numberOfKeys,
      parseCommand: (parser, keys, ...args) => (parser.pushKeys(keys), parser.push(...args)),
      transformReply: (reply) => reply,
    });

  describe(flavor.name, () => {
    it('serves every type of value', async (t) => {
      const client = await open(t, flavor, servers);
      const key = uniqueTag();
      assert.equal(await client.set(key, 'value', { EX: 100 }), 'OK');
      assert.equal(await client.get(key), 'value');
      assert.equal(await client.set(key, 'other', { NX: true }), null);
      assert.ok((await client.ttl(key)) > 95);
      assert.equal(await client.get(`${key}absent`), null);
      assert.equal(await client.incr(`${key}n`), 1);
      await client.hSet(`${key}h`, { a: '1', b: 'two' });
      assert.deepEqual({ ...(await client.hGetAll(`${key}h`)) }, { a: '1', b: 'two' });
      assert.deepEqual(await client.hmGet(`${key}h`, ['b', 'c']), ['two', null]);
      await client.rPush(`${key}l`, ['a', 'b', 'c']);
      assert.deepEqual(await client.lRange(`${key}l`, 0, -1), ['a', 'b', 'c']);
      await client.sAdd(`${key}s`, ['x', 'y']);
      assert.deepEqual((await client.sMembers(`${key}s`)).sort(), ['x', 'y']);
      const members = [{ value: 'one', score: 1 }, { value: 'more', score: 2.5 }];
      await client.zAdd(`${key}z`, members);
      assert.deepEqual(await client.zRangeWithScores(`${key}z`, 0, -1), members);
      assert.equal(await client.zScore(`${key}z`, 'more'), 2.5);
      assert.deepEqual(await client.zPopMin(`${key}z`), members[0]);
      assert.equal(await client.zRank(`${key}z`, 'none'), null);
      await client.xAdd(`${key}x`, '1-1', { f: 'v' });
      const [entry] = await client.xRange(`${key}x`, '-', '+');
      assert.deepEqual([entry.id, { ...entry.message }], ['1-1', { f: 'v' }]);
      await client.geoAdd(`${key}g`, { longitude: 13.361389, latitude: 38.115556, member: 'Palermo' });
      assert.equal((await client.geoPos(`${key}g`, 'Palermo')).length, 1);
      assert.equal(await client.objectEncoding(`${key}z`), 'listpack');
      assert.ok((await client.memoryUsage(key)) > 0);
      assert.deepEqual(await client.lPos(`${key}l`, 'b'), 1);
    });

    it('hands binary values through unchanged', async (t) => {
      const client = await open(t, flavor, servers);
      const buffers = client.withTypeMapping({ [redis.RESP_TYPES.BLOB_STRING]: Buffer });
      const value = randomBytes(3 << 20);
      const key = Buffer.concat([Buffer.from(unique()), Buffer.from([0, 255, 13, 10])]);
      await client.set(key, value);
      assert.ok(value.equals(await buffers.get(key)));
    });

    it('gives errors as errors of the command', async (t) => {
      const client = await open(t, flavor, servers);
      const key = unique();
      await client.set(key, 'text');
      await assert.rejects(client.lPush(key, 'x'), { message: /^WRONGTYPE / });
      await assert.rejects(client.sendCommand(['NOSUCH', key]), { message: /^ERR unknown command/ });
      assert.equal(await client.get(key), 'text');
    });

    it('keeps the options of a connection', async (t) => {
      const name = unique('connection');
      const client = await open(t, flavor, servers, { name, database: 0, pingInterval: 20, clientInfoTag: 'tag' });
      assert.equal(await client.clientGetName(), name);
      const { id } = await client.clientInfo();
      const listed = (await client.clientList()).find((one) => one.id === id);
      assert.equal(listed.name, name);
      assert.equal(typeof (await client.clientId()), 'number');
      assert.match(await client.info(), /^redis_version:7.*^loading:0/ms);
      assert.equal((await client.hello(flavor.resp3 ? 3 : 2)).mode, 'standalone');
      assert.ok((await client.dbSize()) >= 0);
      const policy = await client.configGet('maxmemory-policy');
      assert.equal(policy['maxmemory-policy'], 'noeviction');
    });

    it('reads and writes keys of many slots in one command', async (t) => {
      const client = await open(t, flavor, servers);
      const keys = range(100).map(() => unique());
      assert.equal(await client.mSet(keys.map((key, i) => [key, `v${i}`])), 'OK');
      assert.deepEqual(await client.mGet([...keys, 'absent']), [...range(100).map((i) => `v${i}`), null]);
      assert.equal(await client.exists(keys), 100);
      assert.equal(await client.del(keys), 100);
    });

    it('pipelines what is asked for at once', async (t) => {
      const client = await open(t, flavor, servers);
      const keys = range(3000).map(() => unique());
      await Promise.all(keys.map((key, i) => client.set(key, `${i}`)));
      const replies = await Promise.allSettled([...keys.map((key) => client.get(key)), client.lLen(keys[0])]);
      assert.match(replies.pop().reason.message, /^WRONGTYPE /);
      assert.deepEqual(replies.map(({ value }) => value), keys.map((_, i) => `${i}`));
      const tag = uniqueTag();
      const piped = await client.multi().set(`${tag}a`, '1').set(unique(), '2').get(`${tag}a`).execAsPipeline();
      assert.deepEqual(piped, ['OK', 'OK', '1']);
    });

    it('runs scripts that it was given as commands', async (t) => {
      const lua = "redis.call('INCRBY', KEYS[1], ARGV[1]) return {KEYS[2], redis.call('GET', KEYS[1]), ARGV[2]}";
      const client = await open(t, flavor, servers, {
        scripts: { addAndTell: script(lua, 2), absent: script(`-- ${unique()}\nreturn redis.call('EXISTS', KEYS[1])`, 1) },
      });
      for (const tag of range(20).map(() => uniqueTag())) {
        assert.deepEqual(await client.addAndTell([tag, `${tag}2`], '3', 'word'), [`${tag}2`, '3', 'word']);
      }
      assert.equal(await client.scriptFlush(), 'OK');
      assert.deepEqual(await Promise.all(range(20).map(() => client.absent([unique()]))), range(20).map(() => 0));
      const tag = uniqueTag();
      const replies = await client.multi().addAndTell([`${tag}a`, `${tag}b`], '4', 'x').get(`${tag}a`).exec();
      assert.deepEqual(replies, [[`${tag}b`, '4', 'x'], '4']);
      const sha = await client.scriptLoad(`return {KEYS[1], ARGV[1]} -- ${unique()}`);
      assert.deepEqual([...(await client.scriptExists(sha))].map(Number), [1]);
      for (const key of range(20).map(() => unique())) {
        assert.deepEqual(await client.evalSha(sha, { keys: [key], arguments: ['x'] }), [key, 'x']);
      }
    });

    it('scans all keys, and into hashes, sets and sorted sets', async (t) => {
      const client = await open(t, flavor, servers);
      const prefix = unique('scan');
      const keys = range(2000).map((i) => `${prefix}:${i}`);
      await client.mSet(keys.map((key) => [key, 'x']));
      const seen = new Set();
      for await (const batch of client.scanIterator({ MATCH: `${prefix}:*`, COUNT: 100, TYPE: 'string' })) {
        for (const key of batch) seen.add(key);
      }
      assert.deepEqual([...seen].sort(), keys.sort());
      const tag = uniqueTag();
      const members = range(1000).map((i) => `m${i}`);
      await client.sAdd(`${tag}s`, members);
      await client.hSet(`${tag}h`, Object.fromEntries(members.map((member) => [member, 'v'])));
      await client.zAdd(`${tag}z`, members.map((value, score) => ({ value, score })));
      for (const iterator of [
        client.sScanIterator(`${tag}s`),
        client.hScanIterator(`${tag}h`),
        client.zScanIterator(`${tag}z`),
      ]) {
        const found = [];
        for await (const batch of iterator) found.push(...batch);
        const names = found.map((one) => one.field ?? one.value ?? one);
        assert.deepEqual([...new Set(names)].sort(), [...members].sort());
      }
    });

    it('runs transactions', async (t) => {
      const client = await open(t, flavor, servers);
      const tag = uniqueTag();
      const replies = await client
        .multi()
        .set(`${tag}a`, '1')
        .incr(`${tag}a`)
        .zAdd(`${tag}z`, { value: 'm', score: 1.5 })
        .zScore(`${tag}z`, 'm')
        .hSet(`${tag}h`, 'f', 'v')
        .hGetAll(`${tag}h`)
        .exec();
      replies[5] = { ...replies[5] };
      assert.deepEqual(replies, ['OK', 2, 1, 1.5, 1, { f: 'v' }]);
      assert.deepEqual(await client.multi().exec(), []);
      await client.set(`${tag}text`, 'x');
      await assert.rejects(client.multi().set(`${tag}a`, '5').lPush(`${tag}text`, 'y').exec(), (error) => {
        assert.equal(error.constructor.name, 'MultiErrorReply');
        assert.deepEqual(error.replies[0], 'OK');
        assert.match([...error.errors()][0].message, /^WRONGTYPE /);
        return true;
      });
      await assert.rejects(client.multi().addCommand(['SET', 'only']).exec(), /EXECABORT|wrong number of arguments/);
    });

    it('tells what to do about keys of several slots', { skip: !onCorral }, async (t) => {
      const client = await open(t, flavor, servers);
      const multi = client.multi();
      for (const i of range(20)) multi.set(unique(), `${i}`);
      await assert.rejects(multi.exec(), /CROSSSLOT|EXECABORT/);
      const keys = range(20).map(() => unique());
      await assert.rejects(client.eval('return 1', { keys }), { message: /^CROSSSLOT .*hash tag/i });
    });

    it('notices a change of what it watches', async (t) => {
      const client = await open(t, flavor, servers);
      const other = await open(t, flavor, servers);
      const tag = uniqueTag();
      await client.watch([`${tag}a`, `${tag}b`]);
      await other.set(`${tag}b`, 'changed');
      await assert.rejects(client.multi().set(`${tag}a`, '2').exec(), redis.WatchError);
      await client.watch(`${tag}a`);
      assert.deepEqual(await client.multi().set(`${tag}a`, '3').exec(), ['OK']);
      await client.watch(`${tag}a`);
      await other.set(`${tag}a`, '4');
      assert.equal(await client.unwatch(), 'OK');
      assert.deepEqual(await client.multi().incr(`${tag}a`).exec(), [5]);
    });

    it('loses no increment among the clients of a pool', async (t) => {
      const pool = await openPool(t, flavor, servers, { minimum: 2, maximum: 8 });
      const key = unique('counter');
      const incrementOnce = () =>
        pool.execute(async (client) => {
          for (;;) {
            await client.watch(key);
            const value = Number(await client.get(key));
            try {
              return await client.multi().set(key, `${value + 1}`).exec();
            } catch (error) {
              if (!(error instanceof redis.WatchError)) throw error;
            }
          }
        });
      await Promise.all(range(60).map(incrementOnce));
      assert.equal(await pool.get(key), '60');
    });
  });
}
