// ioredis: commands one by one, in pipelines and in automatic pipelines, scripts and scans.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe } from 'node:test';
import { flavors, open } from './ioredis_flavors.mjs';
import { it, range, startServers, unique, uniqueTag } from './support.mjs';

const servers = await startServers();

for (const flavor of flavors) {
  describe(flavor.name, () => {
    it('serves every type of value', async (t) => {
      const redis = open(t, flavor, servers);
      const key = uniqueTag();
      assert.equal(await redis.set(key, 'value', 'EX', 100), 'OK');
      assert.equal(await redis.get(key), 'value');
      assert.equal(await redis.set(key, 'other', 'NX'), null);
      assert.ok((await redis.ttl(key)) > 95);
      assert.equal(await redis.get(`${key}absent`), null);
      assert.equal(await redis.incr(`${key}n`), 1);
      assert.equal(await redis.incrbyfloat(`${key}n`, 0.5), '1.5');
      await redis.hset(`${key}h`, { a: 1, b: 'two' });
      assert.deepEqual(await redis.hgetall(`${key}h`), { a: '1', b: 'two' });
      assert.deepEqual(await redis.hmget(`${key}h`, 'b', 'c'), ['two', null]);
      await redis.rpush(`${key}l`, 'a', 'b', 'c');
      assert.deepEqual(await redis.lrange(`${key}l`, 0, -1), ['a', 'b', 'c']);
      await redis.sadd(`${key}s`, 'x', 'y');
      assert.deepEqual((await redis.smembers(`${key}s`)).sort(), ['x', 'y']);
      await redis.zadd(`${key}z`, 1, 'one', 2.5, 'more');
      assert.deepEqual(await redis.zrange(`${key}z`, 0, -1, 'WITHSCORES'), ['one', '1', 'more', '2.5']);
      assert.equal(await redis.zscore(`${key}z`, 'more'), '2.5');
      await redis.geoadd(`${key}g`, 13.361389, 38.115556, 'Palermo');
      assert.equal((await redis.geopos(`${key}g`, 'Palermo'))[0].length, 2);
      await redis.pfadd(`${key}p`, 'a', 'b');
      assert.equal(await redis.pfcount(`${key}p`), 2);
      await redis.setbit(`${key}b`, 7, 1);
      assert.equal(await redis.bitcount(`${key}b`), 1);
    });

    it('hands binary values through unchanged', async (t) => {
      const redis = open(t, flavor, servers);
      const value = randomBytes(3 << 20);
      const key = Buffer.concat([Buffer.from(unique()), Buffer.from([0, 255, 13, 10])]);
      await redis.set(key, value);
      assert.ok(value.equals(await redis.getBuffer(key)));
    });

    it('gives errors as errors of the command', async (t) => {
      const redis = open(t, flavor, servers);
      const key = unique();
      await redis.set(key, 'text');
      await assert.rejects(redis.lpush(key, 'x'), { name: 'ReplyError', message: /^WRONGTYPE / });
      await assert.rejects(redis.call('NOSUCH', key), { name: 'ReplyError', message: /^ERR unknown command/ });
      await assert.rejects(redis.call('GET'), { message: /^ERR wrong number of arguments for 'get' command/ });
      assert.equal(await redis.get(key), 'text');
    });

    it('reads and writes keys of many slots in one command', async (t) => {
      const redis = open(t, flavor, servers);
      const keys = range(100).map(() => unique());
      await redis.mset(Object.fromEntries(keys.map((key, i) => [key, `v${i}`])));
      assert.deepEqual(
        await redis.mget([...keys, 'absent']),
        [...range(100).map((i) => `v${i}`), null],
      );
      assert.equal(await redis.exists(keys), 100);
      assert.equal(await redis.unlink(keys.slice(0, 10)), 10);
      assert.equal(await redis.del(keys), 90);
    });

    it('keeps the options of a connection', async (t) => {
      const name = unique('connection');
      const redis = open(t, flavor, servers, { connectionName: name, db: 0, lazyConnect: true, keyPrefix: 'pre:' });
      await redis.connect();
      assert.equal(await redis.client('GETNAME'), name);
      assert.match(await redis.client('LIST'), new RegExp(`\\bname=${name}\\b`));
      const id = await redis.client('ID');
      assert.match(await redis.client('INFO'), new RegExp(`^id=${id} .*\\bname=${name}\\b`));
      assert.match(await redis.info('server'), /^redis_version:7/m);
      const key = unique();
      await redis.set(key, 'prefixed');
      assert.equal(await open(t, flavor, servers).get(`pre:${key}`), 'prefixed');
    });

    it('answers a pipeline in order, errors among the replies', async (t) => {
      const redis = open(t, flavor, servers);
      const keys = range(5000).map(() => unique());
      const pipeline = redis.pipeline();
      for (const [i, key] of keys.entries()) pipeline.set(key, i).get(key);
      pipeline.lpush(keys[0], 'x');
      pipeline.hgetall('absent');
      const replies = await pipeline.exec();
      for (const i of keys.keys()) {
        assert.deepEqual(replies[2 * i], [null, 'OK']);
        assert.deepEqual(replies[2 * i + 1], [null, `${i}`]);
      }
      assert.match(replies.at(-2)[0].message, /^WRONGTYPE /);
      assert.deepEqual(replies.at(-1), [null, {}]);
    });

    it('pipelines by itself', async (t) => {
      const redis = open(t, flavor, servers, { enableAutoPipelining: true });
      const keys = range(2000).map(() => unique());
      await Promise.all(keys.map((key, i) => redis.set(key, i, 'PX', 60_000)));
      const values = await Promise.all(keys.map((key) => redis.get(key)));
      assert.deepEqual(values, keys.map((_, i) => `${i}`));
      await redis.del(keys[0]);
      const [first, second, failed] = await Promise.allSettled([
        redis.get(keys[0]),
        redis.get(keys[1]),
        redis.llen(keys[2]),
      ]);
      assert.equal(first.value, null);
      assert.equal(second.value, '1');
      assert.match(failed.reason.message, /^WRONGTYPE /);
    });

    it('runs scripts that it defined as commands', async (t) => {
      const redis = open(t, flavor, servers, {
        scripts: { firstOf: { numberOfKeys: 1, lua: "return redis.call('LINDEX', KEYS[1], 0)", readOnly: true } },
      });
      const lua = "redis.call('INCRBY', KEYS[1], ARGV[1]) return {KEYS[2], redis.call('GET', KEYS[1]), ARGV[2]}";
      redis.defineCommand('addAndTell', { numberOfKeys: 2, lua });
      const tag = uniqueTag();
      for (const sum of ['3', '6']) {
        assert.deepEqual(await redis.addAndTell(`${tag}:sum`, `${tag}:2`, 3, 'word'), [`${tag}:2`, sum, 'word']);
      }
      const list = unique('list');
      await redis.rpush(list, 'head', 'tail');
      assert.equal(await redis.firstOf(list), 'head');
      assert.ok(Buffer.from('head').equals(await redis.firstOfBuffer(list)));
      // In a pipeline ioredis asks SCRIPT EXISTS first, and loads what is missing.
      const tags = range(50).map(() => uniqueTag());
      const pipeline = redis.pipeline();
      for (const tag of tags) pipeline.addAndTell(tag, `${tag}:2`, 7, 'x');
      const replies = await pipeline.exec();
      assert.deepEqual(replies, tags.map((tag) => [null, [`${tag}:2`, '7', 'x']]));
    });

    it('runs a script again after all scripts were dropped', async (t) => {
      const redis = open(t, flavor, servers);
      redis.defineCommand('putAndGet', {
        numberOfKeys: 1,
        lua: `-- ${unique()}\nredis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])`,
      });
      const keys = range(20).map(() => unique());
      for (const key of keys) assert.equal(await redis.putAndGet(key, 'a'), 'a');
      assert.equal(await redis.script('FLUSH'), 'OK');
      for (const key of keys) assert.equal(await redis.putAndGet(key, 'b'), 'b');
    });

    it('loads scripts and functions', async (t) => {
      const redis = open(t, flavor, servers);
      const sha = await redis.script('LOAD', `return {KEYS[1], ARGV[1]} -- ${unique()}`);
      assert.match(sha, /^[0-9a-f]{40}$/);
      assert.deepEqual(await redis.script('EXISTS', sha, '0'.repeat(40)), [1, 0]);
      for (const key of range(20).map(() => unique())) {
        assert.deepEqual(await redis.evalsha(sha, 1, key, 'x'), [key, 'x']);
      }
      await assert.rejects(redis.evalsha('0'.repeat(40), 1, 'key'), { message: /^NOSCRIPT / });
      assert.equal(await redis.eval('return 7', 0), 7);
      assert.equal(await redis.eval_ro("return redis.call('EXISTS', KEYS[1])", 1, unique()), 0);
      const name = unique('lib').replace('-', '_');
      const code = `#!lua name=${name}\nredis.register_function('f_${name}', function(keys, args) return args[1] end)`;
      assert.equal(await redis.function('LOAD', code), name);
      for (const key of range(20).map(() => unique())) {
        assert.equal(await redis.fcall(`f_${name}`, 1, key, 'argument'), 'argument');
      }
      assert.equal(await redis.function('DELETE', name), 'OK');
    });

    it('scans all keys, and into hashes, sets and sorted sets', async (t) => {
      const redis = open(t, flavor, servers);
      const prefix = unique('scan');
      const keys = range(3000).map((i) => `${prefix}:${i}`);
      await redis.mset(keys.flatMap((key) => [key, 'x']));
      const seen = new Set();
      for await (const batch of redis.scanStream({ match: `${prefix}:*`, count: 100, type: 'string' })) {
        for (const key of batch) seen.add(key);
      }
      assert.deepEqual([...seen].sort(), keys.sort());
      const tag = uniqueTag();
      const members = range(1000).map((i) => `m${i}`);
      await redis.sadd(`${tag}s`, members);
      await redis.hset(`${tag}h`, Object.fromEntries(members.map((member) => [member, 'v'])));
      await redis.zadd(`${tag}z`, members.flatMap((member, i) => [i, member]));
      for (const [stream, fieldsPerMember] of [
        [redis.sscanStream(`${tag}s`), 1],
        [redis.hscanStream(`${tag}h`), 2],
        [redis.zscanStream(`${tag}z`), 2],
      ]) {
        const found = [];
        for await (const batch of stream) found.push(...batch);
        const names = found.filter((_, i) => i % fieldsPerMember === 0);
        assert.deepEqual([...new Set(names)].sort(), [...members].sort());
      }
    });

    it('survives the loss of its connection', async (t) => {
      const redis = open(t, flavor, servers, { retryStrategy: () => 5 });
      const key = unique();
      await redis.set(key, 'kept');
      const other = open(t, flavor, servers);
      assert.equal(await other.client('KILL', 'ID', await redis.client('ID')), 1);
      assert.equal(await redis.get(key), 'kept');
    });
  });
}

describe('ioredis 6 with the shapes of RESP3', () => {
  it('gets maps, numbers and what has neither in RESP2', async (t) => {
    const redis = open(t, { Redis: flavors[1].Redis, options: { replyMapping: 'resp3' } }, servers);
    const tag = uniqueTag();
    await redis.hset(`${tag}h`, { a: 1, b: 'two' });
    assert.deepEqual({ ...(await redis.hgetall(`${tag}h`)) }, { a: '1', b: 'two' });
    await redis.zadd(`${tag}z`, 1, 'one', 2.5, 'more');
    assert.equal(await redis.zscore(`${tag}z`, 'more'), 2.5);
    assert.deepEqual(await redis.zrange(`${tag}z`, 0, -1, 'WITHSCORES'), [['one', 1], ['more', 2.5]]);
    assert.equal((await redis.config('GET', 'maxmemory-policy'))['maxmemory-policy'], 'noeviction');
    await redis.xadd(`${tag}x`, '1-1', 'f', 'v');
    assert.deepEqual({ ...(await redis.xread('STREAMS', `${tag}x`, 0)) }, { [`${tag}x`]: [['1-1', ['f', 'v']]] });
    assert.deepEqual(await redis.mget(`${tag}absent`, unique()), [null, null]);
    assert.equal(await redis.eval("redis.setresp(3) return redis.call('HGETALL', KEYS[1])", 1, `${tag}h`).then((map) => map.b), 'two');
  });
});
