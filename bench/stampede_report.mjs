// What bench/stampede.sh shows of its runs: a table in Markdown on standard output, and plots as SVG in the folder given.
//
//   node stampede_report.mjs DIR TTL_MS
//
// DIR/order names the modes, a line each with its name and what it is, separated by a tab; DIR/MODE.CLIENT.csv is what
// cache_aside.cc or cache_aside.mjs printed. An expiry is what happens around the first of some clients that are told that
// the key is missing, which is why a cold start is one too; it has a column of its own.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { grid, bars } from './plots.mjs';

const [dir, ttlText] = process.argv.slice(2);
const ttl = Number(ttlText);
// Around an expiry: the first client that is told nil is at 0.
const before = ttl / 10;
const behind = ttl / 5;

const clients = ['ioredis', 'autopipelining', 'blocking'];
const modes = readFileSync(`${dir}/order`, 'utf8').trim().split('\n').map((line) => line.split('\t'));

function readRun(file) {
  const reads = readFileSync(file, 'utf8').trim().split('\n').map((line) => {
    const [at, get, value, kind, computed] = line.split(',');
    const read = { at: +at, get: +get, value: +value, kind };
    // How long the value was over its TTL when it was given.
    if (kind === 'hit') read.stale = Math.max(0, read.at + read.get - computed - ttl);
    return read;
  });
  return reads.sort((a, b) => a.at - b.at);
}

// Groups of calls to the origin: one begins half a TTL after the last one did, or later.
function findExpiries(reads) {
  const expiries = [];
  const nils = reads.filter(({ kind }) => kind === 'nil').map(({ at, get }) => at + get).sort((a, b) => a - b);
  for (const at of nils) {
    if (expiries.length > 0 && at < expiries.at(-1).at + ttl / 2) expiries.at(-1).calls += 1;
    else expiries.push({ at, calls: 1 });
  }
  return expiries;
}

// The reads around all expiries but the first, with their place: ms from the expiry.
function around(reads, expiries) {
  const found = [];
  let first = 0;
  for (const { at } of expiries) {
    while (first < reads.length && reads[first].at < at - before) first += 1;
    for (let i = first; i < reads.length && reads[i].at < at + behind; i += 1) {
      found.push({ ...reads[i], place: reads[i].at - at });
    }
  }
  return found;
}

function quantile(sorted, share) {
  return sorted.length === 0 ? NaN : sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}
const sorted = (values) => [...values].sort((a, b) => a - b);
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const shown = (value, digits = 1) => (Number.isFinite(value) ? value.toFixed(digits) : '-');

function judge(reads) {
  const [cold, ...expiries] = findExpiries(reads);
  const near = around(reads, expiries);
  const gets = sorted(near.map(({ get }) => get));
  const values = sorted(near.map(({ value }) => value));
  const stale = reads.reduce((most, read) => Math.max(most, read.stale ?? 0), 0);
  return { reads, cold, expiries, near, gets, values, calls: expiries.map(({ calls }) => calls), stale };
}

function row(mode, client, { reads, cold, expiries, gets, values, calls, stale }) {
  const failed = reads.filter(({ kind }) => kind === 'error').length;
  const cells = [mode, client, reads.length, cold?.calls ?? 0, expiries.length, shown(mean(calls), 2),
    shown(Math.max(...calls), 0), shown(quantile(gets, 0.5)), shown(quantile(gets, 0.99)), shown(gets.at(-1)),
    shown(quantile(values, 0.5)), shown(quantile(values, 0.99)), shown(values.at(-1)), shown(stale, 0), failed];
  return `| ${cells.join(' | ')} |`;
}

// A line of a plot: for each bin around the expiry what `pick` makes of the values there.
function line(near, field, pick) {
  const width = (before + behind) / 60;
  const bins = new Map();
  for (const read of near) {
    if (read[field] === undefined) continue;
    const bin = Math.floor(read.place / width);
    if (!bins.has(bin)) bins.set(bin, []);
    bins.get(bin).push(read[field]);
  }
  return sorted([...bins.keys()]).map((bin) => ({ x: (bin + 0.5) * width, y: pick(sorted(bins.get(bin))) }));
}

const runs = new Map();
const head = ['mode', 'client', 'reads', 'calls, cold', 'expiries', 'calls each', 'most', 'GET p50 ms', 'p99', 'max',
  'value p50 ms', 'p99', 'max', 'stale max ms', 'failed'];
console.log(`| ${head.join(' | ')} |\n| --- | --- |${' ---: |'.repeat(head.length - 2)}`);
for (const [mode] of modes) {
  for (const client of clients) {
    const file = `${dir}/${mode}.${client}.csv`;
    if (!existsSync(file)) continue;
    const run = judge(readRun(file));
    runs.set(`${mode}.${client}`, run);
    console.log(row(mode, client, run));
  }
}

writeFileSync(`${dir}/origin_calls.svg`, bars({
  title: 'Calls to the origin for each expiry: mean (most)', rows: modes, columns: clients,
  bar: (mode, client) => {
    const run = runs.get(`${mode}.${client}`);
    return run && { value: mean(run.calls), text: `${shown(mean(run.calls), 2)} (${shown(Math.max(...run.calls), 0)})` };
  },
}));
const plots = [
  ['latency', 'ms until a GET is answered, around an expiry (at 0): p50, p99, max', 'get', { log: true, least: 0.1 }],
  ['value', 'ms until a client has a value, around an expiry (at 0): p50, p99, max', 'value', { log: true, least: 0.1 }],
  ['stale', 'ms that values are over their TTL, around an expiry (at 0): p50, p99, max', 'stale', { log: false, least: 0 }],
];
for (const [name, title, field, scale] of plots) {
  writeFileSync(`${dir}/${name}.svg`, grid({
    title, rows: modes, columns: clients, from: -before, to: behind, ...scale,
    lines: (mode, client) => {
      const near = runs.get(`${mode}.${client}`)?.near;
      return near && [0.5, 0.99, 1].map((share) => line(near, field, (values) => quantile(values, share)));
    },
  }));
}
