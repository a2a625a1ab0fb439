// express-session with connect-redis: a web application that keeps its sessions behind Corral.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe } from 'node:test';
import { RedisStore } from 'connect-redis';
import express from 'express';
import session from 'express-session';
import { flavors, open, openCluster } from './node_redis_flavors.mjs';
import { it, onCorral, range, startServers, unique } from './support.mjs';

const servers = await startServers();

// An application that counts what each visitor asked for. Gives its address.
async function startApplication(t, store) {
  const app = express();
  app.use(session({ store, secret: 'secret', resave: false, saveUninitialized: false, cookie: { maxAge: 60_000 } }));
  app.get('/count', (request, response) => {
    request.session.count = (request.session.count ?? 0) + 1;
    response.json({ count: request.session.count, id: request.sessionID });
  });
  app.get('/touch', (request, response) => response.json({ count: request.session.count ?? 0 }));
  app.get('/logout', (request, response, next) => {
    request.session.destroy((error) => (error ? next(error) : response.json({})));
  });
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => (server.close(), server.closeAllConnections?.()));
  return `http://127.0.0.1:${server.address().port}`;
}

// A browser, as far as cookies go.
function visitor(address) {
  let cookie;
  return async (path) => {
    const response = await fetch(address + path, { headers: cookie ? { cookie } : {} });
    cookie = response.headers.get('set-cookie')?.split(';')[0] ?? cookie;
    assert.equal(response.status, 200);
    return response.json();
  };
}

for (const flavor of flavors) {
  for (const [kind, connect] of [['', open], [', createCluster', openCluster]]) {
    describe(`connect-redis over ${flavor.name}${kind}`, () => {
      it('keeps the sessions of many visitors over two applications', async (t) => {
        const client = await connect(t, flavor, servers);
        const prefix = `${unique('sess')}:`;
        const stores = range(2).map(() => new RedisStore({ client, prefix, ttl: 60 }));
        const [first, second] = await Promise.all(stores.map((store) => startApplication(t, store)));
        await Promise.all(
          range(20).map(async (i) => {
            const visit = visitor(first);
            assert.deepEqual(await visit('/touch'), { count: 0 });
            const { id } = await visit('/count');
            for (const n of range(3)) assert.deepEqual(await visit('/count'), { count: n + 2, id });
            assert.deepEqual(await visit('/touch'), { count: 4 });
            const ttl = await client.ttl(prefix + id);
            assert.ok(ttl > 50 && ttl <= 60);
            if (i % 4 === 0) {
              await visit('/logout');
              assert.deepEqual(await visit('/touch'), { count: 0 });
            }
          }),
        );
        const visit = visitor(second);
        const { id } = await visit('/count');
        const store = stores[0];
        assert.equal(await store.length(), 16);
        assert.ok((await store.ids()).includes(id));
        assert.equal((await store.get(id)).count, 1);
        await store.touch(id, { cookie: { expires: new Date(Date.now() + 30_000) } });
        assert.ok((await client.ttl(prefix + id)) <= 30);
        if (connect === openCluster && !onCorral) return; // a cluster refuses the MGET and DEL of all(), clear()
        const all = await store.all();
        assert.deepEqual(all.map(({ count }) => count).sort(), [1, ...range(15).map(() => 4)]);
        await store.clear();
        assert.equal(await store.length(), 0);
      });
    });
  }
}
