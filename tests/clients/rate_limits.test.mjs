// Rate limits under concurrency, where only the exact number may pass: rate-limiter-flexible, and the two Lua scripts that
// people write themselves, a sliding window and a token bucket.
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { BurstyRateLimiter, RateLimiterQueue, RateLimiterRedis, RateLimiterUnion } from 'rate-limiter-flexible';
import * as ioredis from './ioredis_flavors.mjs';
import * as nodeRedis from './node_redis_flavors.mjs';
import { it, range, startServers, unique } from './support.mjs';

const servers = await startServers();

const flavors = [
  ...ioredis.flavors.map(({ name, ...flavor }) => ({
    name,
    open: (t) => ioredis.open(t, flavor, servers),
    evaluate: (client, lua, keys, args) => client.eval(lua, keys.length, ...keys, ...args),
  })),
  ...nodeRedis.flavors.map(({ name, ...flavor }) => ({
    name,
    open: (t) => nodeRedis.open(t, flavor, servers),
    evaluate: (client, lua, keys, args) => client.eval(lua, { keys, arguments: args.map(String) }),
  })),
];

// Entries of the last `window` ms are counted in a sorted set; the clock is the server's.
const slidingWindow = `
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, ms - ARGV[1])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], ms, ms .. '-' .. redis.call('INCR', KEYS[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[1])
return 1`;

// A hash holds the tokens and when they were last counted; the clock is the client's.
const tokenBucket = `
local capacity, perSecond, now = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'time')
local tokens = tonumber(bucket[1]) or capacity
tokens = math.min(capacity, tokens + math.max(0, now - (tonumber(bucket[2]) or now)) * perSecond / 1000)
local allowed = 0
if tokens >= 1 then allowed, tokens = 1, tokens - 1 end
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'time', now)
redis.call('PEXPIRE', KEYS[1], math.ceil(capacity / perSecond * 1000))
return {allowed, tostring(tokens)}`;

for (const { name, open, evaluate } of flavors) {
  const openSome = (t) => Promise.all(range(4).map(() => open(t)));

  describe(name, () => {
    it('rate-limiter-flexible lets exactly its points pass', async (t) => {
      const clients = await openSome(t);
      const keyPrefix = unique('limit');
      const options = { points: 50, duration: 60, keyPrefix, useRedisPackage: name.startsWith('node-redis') };
      const limiters = clients.map((storeClient) => new RateLimiterRedis({ storeClient, ...options }));
      const users = range(5).map(() => unique('user'));
      const results = await Promise.allSettled(
        range(400).map((i) => limiters[i % 4].consume(users[i % 5]).then(() => users[i % 5])),
      );
      for (const user of users) assert.equal(results.filter(({ value }) => value === user).length, 50);
      for (const { reason } of results.filter(({ status }) => status === 'rejected')) {
        assert.ok(!(reason instanceof Error), `${reason}`);
        assert.equal(reason.remainingPoints, 0);
      }
      const state = await limiters[0].get(users[0]);
      assert.equal(state.consumedPoints, 80);
      assert.ok(state.msBeforeNext > 0 && state.msBeforeNext <= 60_000);
      await limiters[1].reward(users[0], 31);
      assert.equal((await limiters[2].consume(users[0])).remainingPoints, 0);
      await limiters[3].penalty(users[1], 5);
      await limiters[3].block(users[2], 30);
      await assert.rejects(limiters[0].consume(users[2]), (reason) => reason.msBeforeNext > 20_000);
      assert.equal(await limiters[0].delete(users[2]), true);
      assert.equal((await limiters[0].consume(users[2])).remainingPoints, 49);
      assert.equal(await limiters[0].get('nobody'), null);
    });

    it('rate-limiter-flexible combines limits', async (t) => {
      const [storeClient] = await openSome(t);
      const shared = { storeClient, useRedisPackage: name.startsWith('node-redis') };
      const limiter = (points) => new RateLimiterRedis({ ...shared, points, duration: 60, keyPrefix: unique('limit') });
      const bursty = new BurstyRateLimiter(limiter(2), limiter(3));
      const passed = await Promise.allSettled(range(10).map(() => bursty.consume('user')));
      assert.equal(passed.filter(({ status }) => status === 'fulfilled').length, 5);
      const union = new RateLimiterUnion(limiter(5), limiter(3));
      const both = await Promise.allSettled(range(10).map(() => union.consume('user')));
      assert.equal(both.filter(({ status }) => status === 'fulfilled').length, 3);
      const queue = new RateLimiterQueue(new RateLimiterRedis({ ...shared, points: 5, duration: 1, keyPrefix: unique('limit') }));
      await Promise.all(range(7).map(() => queue.removeTokens(1)));
    });

    it('a sliding window lets exactly its limit pass', async (t) => {
      const clients = await openSome(t);
      const users = range(4).map(() => unique('user'));
      const replies = await Promise.all(
        range(400).map((i) => {
          const user = users[(i >> 2) % 4];
          return evaluate(clients[i % 4], slidingWindow, [`{${user}}`, `{${user}}:n`], [60_000, 25]).then((passed) => passed && user);
        }),
      );
      for (const user of users) assert.equal(replies.filter((one) => one === user).length, 25);
    });

    it('a token bucket lets exactly its tokens pass', async (t) => {
      const clients = await openSome(t);
      const buckets = range(4).map(() => unique('bucket'));
      const spend = (client, bucket, now) => evaluate(client, tokenBucket, [bucket], [30, 10, now]);
      const replies = await Promise.all(range(320).map((i) => spend(clients[i % 4], buckets[(i >> 2) % 4], 1_000_000)));
      assert.equal(replies.filter(([allowed]) => allowed === 1).length, 4 * 30);
      // Half a second later there are five more.
      const later = await Promise.all(range(20).map((i) => spend(clients[i % 4], buckets[0], 1_000_500)));
      assert.equal(later.filter(([allowed]) => allowed === 1).length, 5);
    });
  });
}
