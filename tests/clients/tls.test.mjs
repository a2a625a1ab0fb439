// TLS as people use it: ioredis, node-redis and redis-cli against Corral's TLS address, with a certificate that is checked.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe } from 'node:test';
import { promisify } from 'node:util';
import Redis from 'ioredis';
import { createClient } from 'redis';
import { it, onCorral, range, startServers, unique, within } from './support.mjs';

const run = promisify(execFile);

// A port that nothing listens on.
function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

// What is said here is of Corral's settings, so there is no control.
if (!onCorral) process.exit(0);

const dir = await mkdtemp(join(tmpdir(), 'corral-tls-'));
after(() => rm(dir, { recursive: true }));
const cert = join(dir, 'cert.pem');
const key = join(dir, 'key.pem');
const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
await run('openssl', ['req', '-x509', ...curve, ...names, '-days', '2', '-keyout', key, '-out', cert]);
const port = await freePort();
const settings = `[server.tls]\ncert = "${cert}"\nkey = "${key}"\n`;
await startServers(settings, ['--listen', `tls://127.0.0.1:${port}`]);
const tls = { host: '127.0.0.1', port, ca: await readFile(cert) };

describe('TLS', () => {
  it('ioredis: values, pipelines, messages', async () => {
    const redis = new Redis({ host: tls.host, port, tls: { ca: tls.ca } });
    const subscriber = redis.duplicate();
    try {
      const name = unique();
      const value = 'x'.repeat(3_000_000);
      assert.equal(await redis.set(name, value), 'OK');
      assert.equal(await redis.get(name), value);
      const pipeline = redis.pipeline();
      range(2000).forEach((i) => pipeline.set(`${name}:${i % 50}`, i));
      assert.ok((await pipeline.exec()).every(([error, reply]) => error === null && reply === 'OK'));
      const message = new Promise((resolve) => subscriber.on('message', (channel, text) => resolve(text)));
      await subscriber.subscribe(name);
      assert.equal(await redis.publish(name, 'hello'), 1);
      assert.equal(await within(message, 'the message'), 'hello');
    } finally {
      redis.disconnect();
      subscriber.disconnect();
    }
  });

  it('ioredis refuses a certificate that it does not know', async () => {
    const redis = new Redis({ host: tls.host, port, tls: {}, lazyConnect: true, retryStrategy: null });
    const failure = new Promise((resolve) => redis.on('error', resolve));
    await assert.rejects(redis.connect());
    assert.match((await within(failure, 'the refusal')).code, /SELF_SIGNED/);
  });

  it('node-redis: values and transactions, RESP2 and RESP3', async () => {
    for (const RESP of [2, 3]) {
      const client = createClient({ RESP, socket: { ...tls, tls: true } });
      await client.connect();
      try {
        const name = unique();
        assert.equal(await client.set(name, '1'), 'OK');
        assert.deepEqual(await client.multi().incr(name).incr(name).exec(), [2, 3]);
      } finally {
        client.destroy();
      }
    }
  });

  it('redis-cli --tls', async () => {
    const args = ['-h', 'localhost', '-p', `${port}`, '--tls', '--cacert', cert];
    const name = unique();
    assert.equal((await run('redis-cli', [...args, 'SET', name, 'v'])).stdout, 'OK\n');
    assert.equal((await run('redis-cli', [...args, 'GET', name])).stdout, 'v\n');
  });
});
