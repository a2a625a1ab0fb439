// Numbers, times and names as people read them.

const kNothing = '–';

// 1234567 -> "1.23M"; three digits at most before the unit.
export function count(number) {
  if (number === null || number === undefined) return kNothing;
  for (const [limit, unit] of [[1e9, 'G'], [1e6, 'M'], [1e4, 'k']]) {
    if (number >= limit) {
      const scaled = number / (unit === 'k' ? 1e3 : limit);
      return scaled.toFixed(scaled < 10 ? 2 : scaled < 100 ? 1 : 0) + unit;
    }
  }
  if (number > 0 && number < 10 && !Number.isInteger(number)) return number.toFixed(1);
  return Math.round(number).toLocaleString('en');
}

export function whole(number) {
  return Math.round(number).toLocaleString('en');
}

export function percent(share) {
  if (share === null || share === undefined) return kNothing;
  const digits = share > 0.999 && share < 1 ? 2 : 1;
  return (share * 100).toFixed(digits) + '%';
}

export function micros(us) {
  if (us === null || us === undefined) return kNothing;
  if (us < 1000) return `${us} µs`;
  if (us < 1e6) return `${(us / 1e3).toPrecision(3)} ms`;
  return `${(us / 1e6).toPrecision(3)} s`;
}

export function bytes(number) {
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (number < 1024 || unit === 'GiB') return `${number < 10 && unit !== 'B' ? number.toFixed(1) : Math.round(number)} ${unit}`;
    number /= 1024;
  }
}

export function duration(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

export function clock(ms) {
  const time = new Date(ms);
  const day = time.toDateString() === new Date().toDateString() ? '' : `${time.toLocaleDateString()} `;
  return day + time.toLocaleTimeString('en-GB');
}

export function plural(number, noun) {
  return `${whole(number)} ${noun}${number === 1 ? '' : 's'}`;
}
