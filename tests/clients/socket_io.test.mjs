// socket.io's Redis adapters: several servers that broadcast to each other's clients through Corral.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { describe } from 'node:test';
import { createAdapter, createShardedAdapter } from '@socket.io/redis-adapter';
import { Server } from 'socket.io';
import { io as connectTo } from 'socket.io-client';
import * as ioredis from './ioredis_flavors.mjs';
import * as nodeRedis from './node_redis_flavors.mjs';
import { eventually, it, range, startServers, unique, within } from './support.mjs';

const servers = await startServers();

// `quit` lets what was asked for be answered first: the adapters do not wait for their last UNSUBSCRIBE.
const flavors = [
  ...ioredis.flavors.map((flavor) => ({
    name: flavor.name,
    // Once it is ready: ioredis 5 stumbles over an SSUBSCRIBE that comes before its own INFO.
    open: async (t) => {
      const client = ioredis.open(t, flavor, servers);
      if (client.status !== 'ready') await once(client, 'ready');
      return client;
    },
    quit: (client) => client.quit(),
  })),
  ...nodeRedis.flavors.map((flavor) => ({
    name: flavor.name,
    open: (t) => nodeRedis.open(t, flavor, servers),
    quit: (client) => client.close(),
  })),
];

const adapters = {
  plain: (pub, sub, name) => createAdapter(pub, sub, { key: name }),
  sharded: (pub, sub, name) => createShardedAdapter(pub, sub, { channelPrefix: name }),
  'sharded, a channel for each room': (pub, sub, name) =>
    createShardedAdapter(pub, sub, { channelPrefix: name, subscriptionMode: 'dynamic-private' }),
};

// A server with one client of it.
async function startServer(t, adapter) {
  const http = createServer();
  const io = new Server(http, { adapter });
  io.on('connection', (socket) => {
    socket.on('join', (room, done) => {
      socket.join(room);
      done();
    });
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const client = connectTo(`http://127.0.0.1:${http.address().port}`, { transports: ['websocket'] });
  t.after(() => (client.disconnect(), http.close(), http.closeAllConnections?.()));
  client.got = [];
  client.onAny((...args) => {
    if (typeof args.at(-1) === 'function') args.pop()(`answer of ${client.id}`);
    client.got.push(args);
  });
  await within(once(client, 'connect'), 'connect');
  return { io, client };
}

for (const [kind, newAdapter] of Object.entries(adapters)) {
  for (const { name, open, quit } of flavors) {
    describe(`${kind} adapter over ${name}`, () => {
      it('broadcasts among three servers', async (t) => {
        const prefix = unique('socket.io');
        const clients = await Promise.all(range(6).map(() => open(t)));
        const all = await Promise.all(
          range(3).map((i) => startServer(t, newAdapter(clients[2 * i], clients[2 * i + 1], prefix))),
        );
        const [first, second] = all;
        await eventually('the servers know each other', async () => (await first.io.of('/').adapter.serverCount()) === 3);
        first.io.emit('to all', 1, Buffer.from([1, 2]));
        await eventually('all have it', () => all.every(({ client }) => client.got.length === 1));
        for (const { client } of all) assert.deepEqual(client.got.pop(), ['to all', 1, Buffer.from([1, 2])]);
        await second.client.emitWithAck('join', 'room');
        await eventually('the room is known', async () => (await first.io.in('room').fetchSockets()).length === 1);
        first.io.to('room').emit('to room', 'x');
        await eventually('the room has it', () => second.client.got.length === 1);
        assert.deepEqual(second.client.got.pop(), ['to room', 'x']);
        const answers = await first.io.timeout(5000).emitWithAck('ask');
        assert.deepEqual(answers.sort(), all.map(({ client }) => `answer of ${client.id}`).sort());
        assert.equal((await first.io.fetchSockets()).length, 3);
        second.io.on('hello', (text, done) => done(text.toUpperCase()));
        all[2].io.on('hello', (text, done) => done(text));
        assert.deepEqual((await first.io.serverSideEmitWithAck('hello', 'you')).sort(), ['YOU', 'you']);
        assert.ok(!first.client.got.some(([event]) => event === 'to room'));
        for (const { io } of all) await io.close();
        await Promise.all(clients.map(quit));
      });
    });
  }
}
