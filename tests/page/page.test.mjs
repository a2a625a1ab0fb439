// The live page as people see it, in headless Chromium: it shows what INFO tells, stays live through a failover and says
// what happened, and does what its buttons say; on a desk and on a phone, light and dark.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe } from 'node:test';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import { eventually, it, startServers } from './support.mjs';

const kRule = `
[upstream]
connect_timeout = "300ms"
request_timeout = "1s"
refresh_interval = "500ms"
[[rule]]
name = "cached"
match = ["key:*", "page:*"]
ttl = { default = "10m" }
near_cache = {}
stampede = { lease = "5s", wait = "200ms" }
[[rule]]
name = "sessions"
match = ["session:*"]
ttl = { default = "30m", max = "1h" }
`;
const servers = await startServers(kRule, [], 'tests/page/servers.sh');
const run = promisify(execFile);

async function redis(...words) {
  return (await run('redis-cli', ['-p', String(servers.port), ...words])).stdout.trim();
}

// INFO's # Corral: numbers by name.
async function info() {
  const lines = (await redis('info', 'corral')).split('\n');
  return Object.fromEntries(lines.filter((l) => l.includes(':')).map((l) => [l.split(':')[0], Number(l.split(':')[1])]));
}

// redis-benchmark over and over, since it may end by an error: `words` are its arguments. The result stops it.
function load(...words) {
  let child;
  let stopped = false;
  const ended = (async () => {
    while (!stopped) {
      child = spawn('redis-benchmark', ['-p', String(servers.port), '-q', ...words], { stdio: 'ignore' });
      await once(child, 'exit');
    }
  })();
  const stop = async () => {
    stopped = true;
    child.kill();
    await ended;
  };
  after(stop); // also if the test fails
  return stop;
}

let browser;
const complaints = []; // of the browser: errors, what the Content-Security-Policy forbade, dialogs
before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
});
after(() => browser.close());

async function open(options = {}, port = servers.admin) {
  const context = await browser.newContext({ viewport: { width: 1360, height: 900 }, ...options });
  const page = await context.newPage();
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('dialog', (dialog) => complaints.push(`dialog: ${dialog.message()}`) && dialog.dismiss());
  page.on('console', (message) => {
    const expected = message.text().includes('401'); // the token is wanted
    if (['error', 'warning'].includes(message.type()) && !expected) complaints.push(message.text());
  });
  await page.goto(`http://127.0.0.1:${port}/`);
  return page;
}

const shown = (page, selector) => page.locator(selector).innerText();
const live = (page) => eventually('it is live', async () => (await shown(page, '#live')) === 'live');
const snapshotTime = async (page) => Number(await page.locator('main').getAttribute('data-time'));
const exact = async (page, selector) => Number((await page.locator(selector).getAttribute('title')).replaceAll(',', ''));
const sees = (page, selector, text) =>
  eventually(`${selector} tells ${text}`, async () => (await shown(page, selector)).includes(text));

// Waits for what was true after this call.
async function nextSnapshot(page) {
  const now = Date.now();
  await eventually('there is a newer snapshot', async () => (await snapshotTime(page)) > now);
}

describe('the live page', () => {
  it('says what there is before there is anything', async () => {
    const page = await open();
    await live(page);
    assert.equal(await page.title(), 'Corral');
    assert.equal(await shown(page, '#hits'), '–');
    await sees(page, '#readiness', 'ready');
    await sees(page, '#cluster-note', '3 masters');
    await sees(page, '#slow ~ .empty', 'No request was slow.');
    await sees(page, '#hot ~ .empty', 'No key has been read lately.');
    assert.equal(await page.locator('#nodes tbody tr').count(), 4);
    assert.equal(await page.locator('#slots rect').count(), 3);
    await page.screenshot({ path: 'page-empty.png', fullPage: true });
    await page.context().close();
  });

  it('purges and reloads', async () => {
    const page = await open();
    await live(page);
    await redis('set', 'page:1', 'v');
    await eventually('it is kept', async () => {
      const before = (await info()).near_cache_hits;
      await redis('get', 'page:1');
      return (await info()).near_cache_hits > before;
    });
    await page.fill('#purge-glob', 'page:*');
    await page.click('#purge button');
    await sees(page, '#action-note', '1 key purged');
    await sees(page, '#events', '1 key purged from the near cache: page:*');
    await page.click('#reload');
    await sees(page, '#action-note', 'have been loaded again');
    await sees(page, '#events', 'the settings have been loaded again: 2 rules');
    await page.context().close();
  });

  it('shows the hit ratio climbing, in numbers that agree with INFO', async () => {
    const page = await open();
    await live(page);
    const requests = async () => exact(page, '#requests-note');
    const share = async () => parseFloat(await shown(page, '#hits-note'));
    await run('redis-benchmark', ['-p', String(servers.port), '-q', '-t', 'set', '-r', '5000', '-n', '20000', '-P', '16']);
    await nextSnapshot(page);
    const begun = await requests();
    const stop = load('-t', 'get', '-r', '5000', '-n', '10000000', '-c', '8');
    await eventually('there are reads', async () => (await requests()) > begun + 1000);
    let least = await share();
    for (let i = 0; i < 3; ++i) least = await eventually('it climbs', async () => (await share()) > least && share());
    await eventually('most is found', async () => parseFloat(await shown(page, '#hits')) > 90);

    await nextSnapshot(page);
    const before = await info();
    await nextSnapshot(page);
    const told = {
      requests: await exact(page, '#requests-note'),
      near_cache_hits: await exact(page, '#hits-note'),
    };
    const rate = await exact(page, '#requests');
    const after = await info();
    for (const [name, number] of Object.entries(told)) {
      assert.ok(before[name] <= number && number <= after[name], `${name}: ${before[name]} <= ${number} <= ${after[name]}`);
    }
    assert.ok(rate > 100 && rate < after.requests, `${rate} requests a second`);
    await page.screenshot({ path: 'page-load.png', fullPage: true });
    await stop();
    await eventually('it comes to rest', async () => (await exact(page, '#requests')) < 50);
    const last = await info();
    await nextSnapshot(page);
    // INFO is itself a request.
    assert.equal(await exact(page, '#hits-note'), last.near_cache_hits);
    assert.ok((await exact(page, '#requests-note')) - last.requests <= 1);
    await page.context().close();
  });

  it('shows names as text, whatever they are', async () => {
    const name = '<img/src=x/onerror=alert(1)>';
    const page = await open();
    await live(page);
    const client = spawn('redis-cli', ['-p', String(servers.port)], { stdio: ['pipe', 'ignore', 'ignore'] });
    client.stdin.write(`client setname ${name}\n`);
    await sees(page, '#clients', name);
    assert.equal(await page.locator('#clients img').count(), 0);
    client.stdin.end();
    await page.context().close();
  });

  it('tells hot keys, big keys and slow requests, and where their time went', async () => {
    const page = await open();
    await live(page);
    await redis('set', 'session:big', 'x'.repeat(100_000));
    const stop = load('get', 'session:hot');
    await sees(page, '#hot tbody tr:first-child', 'session:hot');
    await sees(page, '#big', 'session:big');
    await stop();
    await redis('eval', 'local n = 0; for i = 1, 3e6 do n = n + i end; return n', '1', 'session:slow');
    await sees(page, '#slow', 'session:slow');
    assert.match(await page.locator('#slow tbody tr').first().innerText(), /127\.0\.0\.1.*ms/s);
    await page.context().close();
  });

  it('wants the token where one is set', async () => {
    const page = await open({}, servers.closedAdmin);
    await page.locator('#token').waitFor();
    assert.equal(await page.locator('#figures').isVisible(), false);
    await page.fill('#token-text', 'wrong');
    await page.click('#token button');
    await sees(page, '#token-note', 'That is not the token.');
    await page.fill('#token-text', 's3cret');
    await page.click('#token button');
    await live(page);
    await page.click('#reload');
    await sees(page, '#action-note', 'have been loaded again');
    assert.ok(!page.url().includes('s3cret'));
    await page.reload();
    await live(page);
    await page.context().close();
  });

  it('fits a phone, light and dark', async () => {
    const grounds = [];
    for (const colorScheme of ['light', 'dark']) {
      const page = await open({ viewport: { width: 375, height: 740 }, deviceScaleFactor: 2, isMobile: true, colorScheme });
      await live(page);
      await sees(page, '#rules', 'cached');
      const wide = await page.evaluate(() => ({
        page: document.scrollingElement.scrollWidth,
        beyond: [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 0.5)
          .map((e) => e.outerHTML.slice(0, 80)),
      }));
      assert.ok(wide.page <= 375, `${wide.page} px are wide`);
      assert.deepEqual(wide.beyond, []);
      for (const width of [768, 1024, 1300]) {
        await page.setViewportSize({ width, height: 900 });
        assert.ok((await page.evaluate(() => document.scrollingElement.scrollWidth)) <= width, `${width} px are enough`);
      }
      await page.setViewportSize({ width: 375, height: 740 });
      grounds.push(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
      await page.screenshot({ path: `page-phone-${colorScheme}.png`, fullPage: true });
      await page.context().close();
    }
    assert.notEqual(grounds[0], grounds[1]);
  });

  it('stays live through a failover, and says what happened', async () => {
    const page = await open({ colorScheme: 'dark' });
    await live(page);
    const stop = load('-t', 'get,set', '-r', '5000', '-n', '10000000', '-c', '8', '-P', '4');
    await eventually('there is load', async () => (await exact(page, '#requests')) > 100);
    const lost = `127.0.0.1:${servers.nodes[0]}`;
    process.kill(servers.masterPid, 'SIGKILL');
    await eventually('it is not ready', async () => (await shown(page, '#readiness')) !== 'ready');
    await sees(page, '#events', `127.0.0.1:${servers.replica} is the master in place of ${lost} (5461 slots)`);
    await eventually('it is ready', async () => (await shown(page, '#readiness')) === 'ready');
    await eventually('it goes on', async () => (await exact(page, '#requests')) > 100);
    assert.equal(await shown(page, '#live'), 'live');
    await nextSnapshot(page);
    await sees(page, '#events', `node ${lost}: `);
    const row = page.locator('#nodes tbody tr', { hasText: lost });
    assert.match(await row.innerText(), /failed|unreachable|given up/);
    await page.screenshot({ path: 'page-failover-dark.png', fullPage: true });
    await stop();
    await page.context().close();
  });

  it('makes the browser complain of nothing', () => assert.deepEqual(complaints, []));
});
