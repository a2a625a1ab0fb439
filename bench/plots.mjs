// Plots as SVG, for stampede_report.mjs and report.mjs: rows are modes or cases, each its name and what it is; columns are
// clients or servers.
const colours = ['#1f6fb4', '#c77700', '#b3261e', '#4a7f2b'];
const [left, panelWidth, panelHeight, gap, top] = [230, 260, 90, 26, 64];

const escape = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

function text(x, y, content, more = '') {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${more}>${escape(content)}</text>`;
}

function page(width, height, title, parts) {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" `
    + 'font-family="sans-serif" font-size="11" fill="#222">\n'
    + `<rect width="${width}" height="${height}" fill="#fff"/>\n${text(12, 22, title, 'font-size="15"')}\n${parts.join('\n')}\n</svg>\n`;
}

function headings(rows, columns, height) {
  const parts = columns.map((column, i) => text(left + i * (panelWidth + gap), top - 10, column, 'font-weight="bold"'));
  rows.forEach(([name, what], i) => {
    const y = top + i * height + 16;
    parts.push(text(12, y, name, 'font-weight="bold"'), text(12, y + 15, what, 'fill="#666" font-size="10"'));
  });
  return parts;
}

const widthOf = (columns) => left + columns.length * (panelWidth + gap);

// A bar for each row and column, of what bar(name, column, what it is) finds.
export function bars({ title, rows, columns, bar }) {
  const height = 40;
  const parts = headings(rows, columns, height);
  const all = rows.flatMap(([row, what]) => columns.map((column) => bar(row, column, what)?.value)).filter(Number.isFinite);
  const most = Math.max(1, ...all);
  rows.forEach(([row, what], i) => columns.forEach((column, j) => {
    const found = bar(row, column, what);
    if (!found || !Number.isFinite(found.value)) return;
    const [x, y] = [left + j * (panelWidth + gap), top + i * height + 6];
    const width = (found.value / most) * (panelWidth - 70);
    parts.push(`<rect x="${x}" y="${y}" width="${width.toFixed(1)}" height="16" fill="${colours[j % colours.length]}"/>`,
      text(x + width + 5, y + 12, found.text));
  }));
  return page(widthOf(columns), top + rows.length * height + 12, title, parts);
}

// Round values of an axis.
function ticksOf(least, most, log) {
  if (log) {
    const ticks = [];
    for (let tick = least; tick <= most * 1.001; tick *= 10) ticks.push(tick);
    return ticks;
  }
  const step = 10 ** Math.floor(Math.log10(Math.max(most, 1)));
  return [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((i) => i * step).filter((tick) => tick <= most && (tick * 2) % step === 0);
}

// A panel for each row and column, with the lines p50, p99 and max of points {x, y}; one scale for all of them.
export function grid({ title, rows, columns, from, to, log, least, lines }) {
  const drawn = rows.map(([row]) => columns.map((column) => lines(row, column)));
  const ys = drawn.flat(3).filter(Boolean).map(({ y }) => y);
  const most = Math.max(least * 10, 1, ...ys) * 1.05;
  const share = (y) => (log ? Math.log(Math.max(y, least) / least) / Math.log(most / least) : (y - least) / (most - least));
  const parts = headings(rows, columns, panelHeight + gap);
  const ticks = ticksOf(least, most, log);
  drawn.forEach((row, i) => row.forEach((panel, j) => {
    if (!panel) return;
    const [x0, y0] = [left + j * (panelWidth + gap), top + i * (panelHeight + gap)];
    const px = (x) => x0 + ((x - from) / (to - from)) * panelWidth;
    const py = (y) => y0 + panelHeight * (1 - share(y));
    parts.push(`<rect x="${x0}" y="${y0}" width="${panelWidth}" height="${panelHeight}" fill="none" stroke="#bbb"/>`);
    for (const tick of ticks) {
      parts.push(`<path d="M${x0} ${py(tick).toFixed(1)}h${panelWidth}" stroke="#eee"/>`,
        text(x0 - 4, py(tick) + 4, tick, 'text-anchor="end" font-size="9" fill="#666"'));
    }
    parts.push(`<path d="M${px(0).toFixed(1)} ${y0}v${panelHeight}" stroke="#bbb" stroke-dasharray="3 3"/>`);
    for (const x of [from, 0, to]) parts.push(text(px(x), y0 + panelHeight + 11, x, 'text-anchor="middle" font-size="9" fill="#666"'));
    [2, 1, 0].forEach((k) => { // the max lies below
      const points = panel[k];
      if (points.length === 0) return;
      const path = points.map(({ x, y }) => `${px(x).toFixed(1)},${py(y).toFixed(1)}`).join(' ');
      parts.push(`<polyline points="${path}" fill="none" stroke="${colours[k]}" stroke-width="1.3"/>`);
    });
  }));
  ['p50', 'p99', 'max'].forEach((name, k) => {
    parts.push(text(12 + 40 * k, top - 22, name, `fill="${colours[k]}" font-weight="bold"`));
  });
  return page(widthOf(columns), top + rows.length * (panelHeight + gap) + 8, title, parts);
}
