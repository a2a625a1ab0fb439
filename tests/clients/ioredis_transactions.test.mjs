// ioredis: MULTI with and without a pipeline, and WATCH.
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { flavors, open } from './ioredis_flavors.mjs';
import { it, onCorral, range, startServers, unique, uniqueTag } from './support.mjs';

const servers = await startServers();

for (const flavor of flavors) {
  describe(flavor.name, () => {
    it('runs a transaction', async (t) => {
      const redis = open(t, flavor, servers);
      const tag = uniqueTag();
      await redis.set(`${tag}text`, 'x');
      const replies = await redis
        .multi()
        .set(`${tag}a`, 1)
        .incr(`${tag}a`)
        .lpush(`${tag}text`, 'y')
        .hset(`${tag}h`, 'f', 'v')
        .hgetall(`${tag}h`)
        .get(`${tag}a`)
        .exec();
      assert.equal(replies.length, 6);
      assert.match(replies[2][0].message, /^WRONGTYPE /);
      replies[2] = null;
      assert.deepEqual(replies, [[null, 'OK'], [null, 2], null, [null, 1], [null, { f: 'v' }], [null, '2']]);
    });

    it('runs a transaction command by command', async (t) => {
      const redis = open(t, flavor, servers);
      const tag = uniqueTag();
      assert.equal(await redis.multi({ pipeline: false }), 'OK');
      assert.equal(await redis.set(`${tag}a`, 'b'), 'QUEUED');
      assert.equal(await redis.get(`${tag}a`), 'QUEUED');
      assert.deepEqual(await redis.exec(), [[null, 'OK'], [null, 'b']]);
      await redis.multi({ pipeline: false });
      await redis.set(`${tag}a`, 'c');
      assert.equal(await redis.discard(), 'OK');
      assert.equal(await redis.get(`${tag}a`), 'b');
      assert.deepEqual(await redis.multi().exec(), []);
    });

    it('aborts a transaction with a wrong command', async (t) => {
      const redis = open(t, flavor, servers);
      const key = unique();
      const multi = redis.multi().set(key, 1).call('SET', key).set(key, 2);
      await assert.rejects(multi.exec(), (error) => {
        assert.match(error.message, /^EXECABORT Transaction discarded because of previous errors/);
        assert.match(error.previousErrors[0].message, /wrong number of arguments/);
        return true;
      });
      assert.equal(await redis.get(key), null);
      await assert.rejects(redis.exec(), { message: 'ERR EXEC without MULTI' });
      await assert.rejects(redis.discard(), { message: 'ERR DISCARD without MULTI' });
    });

    it('tells what to do about keys of several slots', { skip: !onCorral }, async (t) => {
      const redis = open(t, flavor, servers);
      const multi = redis.multi();
      for (const i of range(20)) multi.set(unique(), i);
      await assert.rejects(multi.exec(), (error) => {
        assert.match([error, ...(error.previousErrors ?? [])].join('\n'), /CROSSSLOT .*hash tag/is);
        return true;
      });
    });

    it('runs scripts in transactions and pipelines with transactions', async (t) => {
      const redis = open(t, flavor, servers);
      redis.defineCommand('double', {
        numberOfKeys: 1,
        lua: "redis.call('SET', KEYS[1], 2 * redis.call('GET', KEYS[1])) return redis.call('GET', KEYS[1])",
      });
      const tag = uniqueTag();
      const replies = await redis.multi().set(`${tag}a`, 21).double(`${tag}a`).get(`${tag}a`).exec();
      assert.deepEqual(replies, [[null, 'OK'], [null, '42'], [null, '42']]);
      const mixed = await redis.pipeline().set(unique(), 1).multi().set(`${tag}b`, 3).get(`${tag}b`).exec().get(`${tag}b`).exec();
      assert.deepEqual(mixed.map(([error, reply]) => error ?? reply), ['OK', 'OK', 'QUEUED', 'QUEUED', ['OK', '3'], '3']);
    });

    it('notices a change of what it watches', async (t) => {
      const redis = open(t, flavor, servers);
      const other = open(t, flavor, servers);
      const tag = uniqueTag();
      await redis.set(`${tag}a`, 1);
      await redis.watch(`${tag}a`, `${tag}b`);
      await other.set(`${tag}b`, 'changed');
      assert.equal(await redis.multi().set(`${tag}a`, 2).exec(), null);
      assert.equal(await redis.get(`${tag}a`), '1');
      await redis.watch(`${tag}a`);
      assert.deepEqual(await redis.multi().set(`${tag}a`, 3).exec(), [[null, 'OK']]);
      await redis.watch(`${tag}a`);
      await other.set(`${tag}a`, 4);
      assert.equal(await redis.unwatch(), 'OK');
      assert.deepEqual(await redis.multi().incr(`${tag}a`).exec(), [[null, 5]]);
    });

    it('loses no increment among clients that watch', async (t) => {
      const key = unique('counter');
      const clients = range(10).map(() => open(t, flavor, servers));
      const increment = async (redis) => {
        for (let done = 0; done < 10; ) {
          await redis.watch(key);
          const value = Number(await redis.get(key));
          const replies = await redis.multi().set(key, value + 1).exec();
          if (replies) ++done;
        }
      };
      await Promise.all(clients.map(increment));
      assert.equal(await clients[0].get(key), '100');
    });
  });
}
