// Clients that authenticate: ioredis, node-redis and redis-cli with a user and a password, alone and in cluster mode.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { before, describe } from 'node:test';
import { promisify } from 'node:util';
import Redis from 'ioredis';
import { flavors as ioredisFlavors, open as openIoredis, openCluster as openIoredisCluster } from './ioredis_flavors.mjs';
import { flavors as nodeRedisFlavors, open as openNodeRedis } from './node_redis_flavors.mjs';
import { it, onCorral, startServers, unique } from './support.mjs';

// What the clients ask of a server when they connect is allowed, too.
const rules = ['on', '>pw', '~app:*', '&app:*', '+@all', '-@dangerous', '+info', '+cluster|slots', '+cluster|nodes'];
const servers = await startServers(`[server]\nusers = ["user app ${rules.join(' ')}"]\n`);
const login = { username: 'app', password: 'pw' };

before(async () => {
  if (onCorral) return;
  for (const port of new Set([servers.port, servers.clusterPort])) {
    const admin = new Redis(port, servers.host);
    await admin.acl('SETUSER', 'app', ...rules);
    admin.disconnect();
  }
});

for (const flavor of ioredisFlavors) {
  describe(flavor.name, () => {
    it('logs in and is held to its rights', async (t) => {
      const client = openIoredis(t, flavor, servers, login);
      const key = unique('app:');
      assert.equal(await client.acl('WHOAMI'), 'app');
      assert.equal(await client.set(key, 'v'), 'OK');
      assert.equal(await client.get(key), 'v');
      await assert.rejects(client.get('other'), /^ReplyError: NOPERM .* keys/);
      await assert.rejects(client.flushall(), /^ReplyError: NOPERM .* 'flushall' command/);
      await assert.rejects(client.publish('other', 'm'), /^ReplyError: NOPERM .* channels/);
      await assert.rejects(client.multi().set(key, 'w').get('other').exec(), /EXECABORT/);
      assert.equal(await client.get(key), 'v');
    });

    it('logs in, in cluster mode', async (t) => {
      const client = openIoredisCluster(t, flavor, servers, { redisOptions: login });
      const key = unique('app:');
      assert.equal(await client.set(key, 'v'), 'OK');
      await assert.rejects(client.get('other'), /^ReplyError: NOPERM/);
    });

    it('hears that the password is wrong', async () => {
      const options = { ...flavor.options, ...login, password: 'wrong', lazyConnect: true, retryStrategy: null };
      const client = new flavor.Redis(servers.port, servers.host, options);
      const failed = new Promise((resolve) => client.on('error', resolve));
      client.connect().catch(() => {});
      assert.match(`${await failed}`, /WRONGPASS/);
      client.disconnect();
    });
  });
}

for (const flavor of nodeRedisFlavors) {
  describe(flavor.name, () => {
    it('logs in and is held to its rights', async (t) => {
      const client = await openNodeRedis(t, flavor, servers, login);
      const key = unique('app:');
      assert.equal(await client.sendCommand(['ACL', 'WHOAMI']), 'app');
      assert.equal(await client.set(key, 'v'), 'OK');
      await assert.rejects(client.get('other'), /NOPERM .* keys/);
      const subscriber = await openNodeRedis(t, flavor, servers, login);
      await assert.rejects(subscriber.subscribe('other', () => {}), /NOPERM .* channels/);
    });
  });
}

describe('redis-cli', () => {
  it('logs in by a URL', async () => {
    const url = `redis://app:pw@${servers.host}:${servers.port}`;
    const { stdout } = await promisify(execFile)('redis-cli', ['--no-auth-warning', '-u', url, 'ACL', 'WHOAMI']);
    assert.equal(stdout, 'app\n');
  });
});
