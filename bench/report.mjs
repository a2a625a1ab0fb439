// Makes the page of bench/report.sh of what the parts have printed:
//
//   node report.mjs RAW OUT
//
// RAW holds about (lines NAME<tab>TEXT), micro.json (Google Benchmark), compare.md and stampede.md (a Markdown table each),
// stampede/*.svg, and hits.txt (columns). Of what is missing the page says so. OUT gets index.html, which holds all plots,
// and the main ones as files of their own, for the README.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { bars } from './plots.mjs';

const [raw, out] = process.argv.slice(2);

const escape = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
const read = (name) => (existsSync(`${raw}/${name}`) ? readFileSync(`${raw}/${name}`, 'utf8') : null);
const cellsOf = (line) => line.split('|').slice(1, -1).map((cell) => cell.trim());

// The tables of a Markdown text: each its heads and rows.
function tablesOf(markdown) {
  const tables = [];
  let rows = null;
  for (const line of markdown.split('\n')) {
    if (!line.startsWith('|')) rows = null;
    else if (/^\|[\s:|-]+\|$/.test(line)) rows = tables.at(-1).rows;
    else if (rows) rows.push(cellsOf(line));
    else tables.push({ heads: cellsOf(line), rows: [] });
  }
  return tables;
}

function table({ heads, rows }) {
  const cell = (tag) => (text) => `<${tag}${/^[\d.,-]+%?$/.test(text) ? ' class="n"' : ''}>${escape(text)}</${tag}>`;
  return `<div class="wide"><table>\n<tr>${heads.map(cell('th')).join('')}</tr>\n`
    + `${rows.map((row) => `<tr>${row.map(cell('td')).join('')}</tr>`).join('\n')}\n</table></div>`;
}

function plot(name, svg) {
  writeFileSync(`${out}/${name}.svg`, svg);
  return `<div class="wide">${svg}</div>`;
}

// CPU for each request, by case and server: the ratio to redis-server of the same round, and the figure itself. The plot
// is of the usual number of connections; the table has all.
function compared() {
  const text = read('compare.md');
  if (text === null) return null;
  const [cases, ...others] = tablesOf(text);
  const figures = new Map(cases.rows.map((row) => [`${row[0]}|${row[1]}`, row]));
  const names = [...new Set(cases.rows.map((row) => row[0]))].filter((name) => name.endsWith(' 50 conn.'));
  const servers = [...new Set(cases.rows.map((row) => row[1]))];
  const svg = bars({
    title: 'CPU for each request, as a ratio to redis-server (and in us)',
    rows: names.map((name) => [/^[^,]*, [^,]*/.exec(name)[0], name.replace(/^[^,]*, [^,]*, /, '')]),
    columns: servers,
    bar: (name, server, what) => {
      const found = figures.get(`${name}, ${what}|${server}`);
      return found && found[7] !== '-' ? { value: Number(found[7]), text: `${found[7]} (${found[6]})` } : undefined;
    },
  });
  return plot('compare', svg) + table(cases) + others.map(table).join('\n');
}

function micro() {
  const text = read('micro.json');
  if (text === null) return null;
  const rows = JSON.parse(text).benchmarks.map((one) => {
    const rate = one.items_per_second ? (1e9 / one.items_per_second).toFixed(1) : '-';
    return [one.name, one.cpu_time.toFixed(1), one.time_unit, rate];
  });
  return table({ heads: ['what', 'CPU time', 'unit', 'ns an item'], rows });
}

// The columns of corral_hit_ratio: trace, requests, keys, size, entries, and one for each policy.
function hits() {
  const text = read('hits.txt');
  if (text === null) return null;
  const [heads, ...lines] = text.trim().split('\n').map((line) => line.trim().split(/\s+/));
  const policies = heads.slice(5);
  const rows = lines.map((line) => [`${line[0]}, ${line[3]}`, `${line[4]} entries`, line]);
  const svg = bars({
    title: 'Requests that hit, in percent: a cache of 1% and 10% of the distinct keys',
    rows: rows.map(([name, what]) => [name, what]),
    columns: policies,
    bar: (name, policy) => {
      const figure = rows.find((row) => row[0] === name)[2][5 + policies.indexOf(policy)];
      return { value: Number(figure), text: figure };
    },
  });
  return plot('hits', svg) + table({ heads, rows: lines });
}

function stampede() {
  const text = read('stampede.md');
  if (text === null) return null;
  const svgs = ['origin_calls', 'latency', 'value', 'stale'].map((name) => [name, read(`stampede/${name}.svg`)]);
  return svgs.filter(([, svg]) => svg).map(([name, svg]) => plot(name, svg)).join('\n') + tablesOf(text).map(table).join('\n');
}

const style = `
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .6rem; text-align: left; border-bottom: 1px solid #8884; white-space: nowrap; }
td.n { text-align: right; }
.wide { overflow-x: auto; margin: 1rem 0; }
svg { border-radius: 4px; }`;

const sections = [
  ['Beside redis-server and twemproxy', compared(),
    'All servers run at once and are asked in turn; ratios are to redis-server in the same round, medians over the rounds.'],
  ['A hot key expires', stampede(), 'Cache-aside clients that nobody changed; what the origin is asked, and how long clients wait.'],
  ['The near cache’s policy', hits(), 'Recorded traces. OPT knows the future; nothing can do better.'],
  ['The pure parts', micro(), 'What a request costs before and behind the sockets; hiredis’ reader is the yardstick for the scanners.'],
];
const about = (read('about') ?? '').trim().split('\n').map((line) => line.split('\t'));
writeFileSync(`${out}/index.html`, `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Corral: the bench report</title><style>${style}</style>
<h1>Corral: the bench report</h1>
${table({ heads: ['', ''], rows: about })}
${sections.map(([title, part, what]) => `<h2>${escape(title)}</h2>\n<p>${escape(what)}</p>\n${part ?? '<p>Not run.</p>'}`).join('\n')}
</html>
`);
