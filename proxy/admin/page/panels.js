// What of a snapshot (proxy/admin/page_snapshot.cc) is shown where.
import * as chart from './chart.js';
import { bytes, clock, count, duration, micros, percent, plural, whole } from './format.js';
import { setClass, setText, table } from './table.js';

const kMostPoints = 300; // so that a line has five minutes, at first one
const kFewestPoints = 60;
const of = (id) => document.getElementById(id);
// `exact`: the number that the words are short for.
function text(id, words, exact) {
  setText(of(id), words);
  if (exact !== undefined) of(id).title = whole(exact);
}
const join = (...words) => words.filter(Boolean).join(' · ');

// Of the lines: a second each, as page_snapshot.cc has them.
const kPlaces = { time: 0, requests: 1, hits: 2, times: 3, saved: 4, origin: 5, errors: 6 };
let points = [];

export function showHistory(history) {
  points = history;
}

export function show(snapshot) {
  const { time_ms: time, now, point } = snapshot;
  if (point && (points.length === 0 || point[0] > points.at(-1)[0])) points.push(point);
  points = points.slice(-kMostPoints);
  document.querySelector('main').dataset.time = time;
  showProcess(snapshot);
  showFigures(snapshot);
  showCluster(snapshot.cluster);
  showEvents(snapshot.events);
  showRules(snapshot);
  showGroups(snapshot.groups, now.seconds);
  showKeys(snapshot);
  showSlow(snapshot.slow);
  showClients(snapshot.clients);
}

function showProcess({ process, memory, time_ms: time }) {
  text('about', join(process.version, `Redis ${process.redis_version} (${process.mode})`,
    plural(process.workers, 'worker'), `up ${duration((time - process.started_ms) / 1000)}`, bytes(memory.resident)));
  const readiness = of('readiness');
  readiness.hidden = false;
  readiness.dataset.state = process.not_ready ? 'bad' : 'good';
  setText(readiness, process.not_ready || 'ready');
}

// --- at a glance ---

function figure(id, value, small = '') {
  const element = of(id);
  if (element.children.length === 0) {
    element.textContent = '';
    element.append(document.createElement('span'), document.createElement('small'));
  }
  setText(element.children[0], value);
  setText(element.children[1], small);
}

// `top`: the least that a line's height stands for.
function line(id, top) {
  const values = points.map((point) => point[kPlaces[id]]);
  chart.line(of(`${id}-line`), values, Math.max(points.length, kFewestPoints), top);
}

function showFigures({ now, counters, errors, clients }) {
  figure('requests', count(now.requests));
  of('requests').title = whole(now.requests);
  text('requests-note', join(`${count(counters.requests)} in all`, plural(clients.connected, 'client')), counters.requests);

  const looked = counters.near_cache_hits + counters.near_cache_misses;
  figure('hits', percent(now.hit_share));
  text('hits-note', looked === 0 ? 'no reads for the near cache yet'
    : `${percent(counters.near_cache_hits / looked)} in all`, counters.near_cache_hits);

  figure('times', micros(now.p50_us), now.p99_us === null ? '' : ` / ${micros(now.p99_us)}`);
  text('times-note', `of ${Math.round(now.seconds)} s; the line is p99`);

  figure('saved', percent(now.saved_share));
  text('saved-note', join(`${count(now.answered_here)}/s`,
    `${count(counters.near_cache_hits + counters.reads_shared)} in all`));

  figure('origin', count(now.origin_saved), '/s');
  text('origin-note', join('by leases', `${count(counters.waits_filled + counters.stale_served)} in all`));

  const all = Object.values(errors).reduce((sum, number) => sum + number, 0);
  const most = Object.entries(errors).sort((a, b) => b[1] - a[1]).slice(0, 2);
  figure('errors', count(now.errors), '/s');
  setClass(of('errors'), now.errors > 0 ? 'figure bad' : 'figure');
  text('errors-note', join(`${count(all)} in all`, ...most.map(([code, number]) => `${code} ${count(number)}`)));

  const tops = { requests: 10, hits: 1, times: 1000, saved: 1, origin: 1, errors: 1 };
  for (const [id, top] of Object.entries(tops)) line(id, top);
}

// --- the cluster ---

const kNodeColumns = [
  { name: 'Node', of: (node, place) => ({ text: node.name, note: node.ranges,
    inner: `key swatch ${node.slots > 0 ? chart.nodeClass(place) : 'standby'}` }) },
  { name: 'Slots', number: true, of: (node) => whole(node.slots) },
  { name: 'State', plain: true, of: (node) => ({
    text: node.slots === 0 && node.state === 'idle' ? 'standby' : node.state,
    inner: `badge ${node.state === 'up' ? 'good' : node.state === 'idle' ? '' : 'bad'}` }) },
  { name: 'Requests/s', number: true, of: (node) => count(node.per_s) },
  { name: 'p50', number: true, of: (node) => micros(node.p50_us) },
  { name: 'p99', number: true, of: (node) => micros(node.p99_us) },
  { name: 'In flight', number: true, of: (node) => whole(node.in_flight) },
  { name: 'Links', number: true, title: 'Connections that are ready', of: (node) => whole(node.connections) },
  { name: 'Redirects', number: true, title: 'MOVED and ASK', of: (node) => count(node.moved + node.asked) },
  { name: 'Failures', number: true, title: 'Connections that failed', of: (node) => count(node.failures) },
];

function showCluster(cluster) {
  const masters = cluster.nodes.filter((node) => node.slots > 0).length;
  text('cluster-note', join(plural(masters, 'master'), `topology version ${cluster.version}`,
    cluster.unowned > 0 && `${plural(cluster.unowned, 'slot')} without an owner`,
    cluster.held > 0 && `${whole(cluster.held)} held`));
  chart.slots(of('slots'), cluster.map, cluster.cells, cluster.nodes);
  table(of('nodes'), kNodeColumns, cluster.nodes, 'No node has been found yet.');
  setClass(of('nodes'), 'cards');
}

// --- events ---

function showEvents(events) {
  const list = of('events');
  while (list.children.length > events.length) list.lastChild.remove();
  events.forEach((event, i) => {
    let item = list.children[i];
    if (!item) {
      item = document.createElement('li');
      item.append(document.createElement('span'), document.createElement('time'), document.createElement('p'));
      item.children[0].className = 'dot';
      list.append(item);
    }
    setClass(item, event.kind + (event.bad ? ' bad' : ''));
    setText(item.children[1], clock(event.time_ms));
    setText(item.children[2], event.text + (event.times > 1 ? ` (${event.times} times)` : ''));
  });
  text('events-note', events.length === 0 ? 'nothing yet' : 'newest first');
}

// --- rules ---

const kRuleColumns = [
  { name: 'Rule', of: (rule) => ({ text: rule.name, note: rule.in_force ? rule.about : 'no longer in the settings',
    inner: 'key' }) },
  { name: 'Hits', number: true, of: (rule) => count(rule.hits) },
  { name: 'Misses', number: true, of: (rule) => count(rule.misses) },
  { name: 'Hit ratio', number: true,
    of: (rule) => percent(rule.hits + rule.misses > 0 ? rule.hits / (rule.hits + rule.misses) : null) },
  { name: 'Shared', number: true, title: 'Reads that joined an identical one under way', of: (rule) => count(rule.shared) },
  { name: 'Invalidated', number: true, of: (rule) => count(rule.invalidations) },
  { name: 'Leases', number: true, title: 'Given, and of these lapsed',
    of: (rule) => ({ text: count(rule.granted), note: rule.lapsed > 0 ? `${count(rule.lapsed)} lapsed` : '' }) },
  { name: 'Waits', number: true, title: 'For the holder of a lease, and of these timed out',
    of: (rule) => ({ text: count(rule.waits), note: rule.waits_timed_out > 0 ? `${count(rule.waits_timed_out)} in vain` : '' }) },
  { name: 'Stale', number: true, title: 'Answered with a value past its soft TTL', of: (rule) => count(rule.stale) },
  { name: 'Early', number: true, title: 'Computed anew before the TTL was over', of: (rule) => count(rule.early) },
  { name: 'TTL set', title: 'Writes that were given the default', number: true, of: (rule) => count(rule.defaulted) },
  { name: 'TTL cut', title: 'Writes whose TTL was over the maximum', number: true, of: (rule) => count(rule.clamped) },
  { name: 'TTL refused', number: true, of: (rule) => count(rule.rejected) },
  { name: 'No TTL', number: true, title: 'Writes without a TTL that were seen, keys found without one',
    of: (rule) => count(rule.observed + rule.missing) },
  { name: 'Too big', number: true, of: (rule) => count(rule.too_big) },
];

function showRules({ rules, rules_in_force: inForce, counters, memory }) {
  const told = rules.filter((rule) => rule.in_force).length;
  text('rules-note', join(plural(inForce, 'rule') + (told < inForce ? `, the first ${told} are shown` : ''),
    memory.near_cache_limit > 0 && `near cache ${bytes(counters.near_cache_bytes)} of ${bytes(memory.near_cache_limit)}, ` +
      plural(counters.near_cache_keys, 'key')));
  table(of('rules'), kRuleColumns, rules, 'There are no rules: every command goes to Redis as it is.');
  setClass(of('rules'), 'cards');
}

// --- times, keys, slow requests, clients ---

const kGroupColumns = [
  { name: 'Commands', of: (group) => group.name.replace('_', ' ') },
  { name: 'Requests/s', number: true, of: (group) => count(group.per_s) },
  { name: 'p50', number: true, of: (group) => micros(group.p50_us) },
  { name: 'p99', number: true, of: (group) => micros(group.p99_us) },
  { name: 'In all', number: true, of: (group) => count(group.count) },
];

function showGroups(groups, seconds) {
  text('groups-note', `as clients see it, of the last ${Math.round(seconds)} s`);
  table(of('groups'), kGroupColumns, groups, 'No requests yet.');
}

const kHotColumns = [
  { name: 'Key', of: (hot) => ({ text: hot.key + (hot.cut ? '…' : ''), inner: 'key', className: 'bar', share: hot.share }) },
  { name: 'Reads/s', number: true, of: (hot) => count(hot.reads) },
];

const kBigColumns = [
  { name: 'Key', key: true, of: (big) => big.key },
  { name: 'Bytes', number: true, of: (big) => bytes(big.bytes) },
  { name: 'Elements', number: true, of: (big) => (big.elements === 0 ? '–' : count(big.elements)) },
  { name: 'By', plain: true, of: (big) => big.command },
];

function showKeys({ hot_keys: hot, big_keys: big }) {
  const rows = hot.map((key) => ({ ...key, share: key.reads / hot[0].reads }));
  table(of('hot'), kHotColumns, rows, 'No key has been read lately.');
  table(of('big'), kBigColumns, big, 'No value or collection of 16 KiB or more.');
}

const kSlowColumns = [
  { name: 'Command', of: (slow) => ({ text: slow.args.join(' '), note: join(slow.client_name, slow.client, slow.node),
    inner: 'key' }) },
  { name: 'Took', number: true, of: (slow) => micros(slow.us) },
  { name: 'Queue', number: true, title: 'Within Corral: held while a slot moved, sent elsewhere first, waiting for a connection',
    of: (slow) => part(slow.queue_us) },
  { name: 'Node', number: true, title: 'At the node and on the way', of: (slow) => part(slow.upstream_us) },
  { name: 'Lease', number: true, title: 'Waiting for who computes the key', of: (slow) => part(slow.lease_us) },
  { name: 'At', plain: true, of: (slow) => clock(slow.time_ms) },
];

function part(us) {
  return us === 0 ? '–' : micros(us);
}

function showSlow(slow) {
  table(of('slow'), kSlowColumns, slow, 'No request was slow.');
  setClass(of('slow'), 'cards');
}

const kClientColumns = [
  { name: 'Client', of: (client) => ({ text: client.name || client.addr,
    note: join(client.name && client.addr, client['lib-name']), inner: 'key' }) },
  { name: 'User', plain: true, key: true, of: (client) => client.user },
  { name: 'Last command', plain: true, key: true, of: (client) => client.cmd },
  { name: 'Database', number: true, of: (client) => client.db },
  { name: 'Connected', number: true, of: (client) => duration(Number(client.age)) },
  { name: 'Idle', number: true, of: (client) => duration(Number(client.idle)) },
  { name: 'Memory', number: true, of: (client) => bytes(Number(client['tot-mem'])) },
];

function showClients(clients) {
  text('clients-note', join(`${whole(clients.connected)} of at most ${whole(clients.max)}`,
    clients.blocked > 0 && `${whole(clients.blocked)} blocked`,
    clients.monitors > 0 && plural(clients.monitors, 'monitor'),
    clients.list.length < clients.connected && `${clients.list.length} are shown`));
  table(of('clients'), kClientColumns, clients.list, 'No client is connected.');
  setClass(of('clients'), 'cards');
}
