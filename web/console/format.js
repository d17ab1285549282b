/* Numbers as people read them. */

const LOCALE = "en-GB";
const whole = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 1 });
const two = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 2 });

const NOTHING = "–";
const isNothing = (n) => n === null || n === undefined || Number.isNaN(n);

/** 1234567 → "1,234,567"; 3.456 → "3.46". */
export function number(n) {
  if (isNothing(n)) return NOTHING;
  const size = Math.abs(n);
  return (size >= 100 || Number.isInteger(n) ? whole : size >= 10 ? one : two).format(n);
}

/** As number, but short: 12,345 → "12.3k". For axes and tiles. */
export function short(n) {
  if (isNothing(n)) return NOTHING;
  for (const [limit, unit] of [
    [1e9, "G"],
    [1e6, "M"],
    [1e4, "k"],
  ])
    if (Math.abs(n) >= limit) return one.format(n / (unit === "k" ? 1e3 : limit)) + unit;
  return number(n);
}

export function bytes(n) {
  if (isNothing(n)) return NOTHING;
  for (const [size, unit] of [
    [2 ** 30, "GiB"],
    [2 ** 20, "MiB"],
    [2 ** 10, "KiB"],
  ])
    if (Math.abs(n) >= size) return `${one.format(n / size)} ${unit}`;
  return `${whole.format(n)} B`;
}

/** Milliseconds: "0.42 ms", "1.3 s", "5 min", "3 h", "2 d". */
export function duration(ms) {
  if (isNothing(ms)) return NOTHING;
  for (const [size, unit] of [
    [86_400_000, "d"],
    [3_600_000, "h"],
    [60_000, "min"],
    [1000, "s"],
  ])
    if (ms >= size) return `${one.format(ms / size)} ${unit}`;
  return `${ms >= 10 ? whole.format(ms) : two.format(ms)} ms`;
}

export function rate(n) {
  return `${typeof n === "number" && Math.abs(n) < 100 ? one.format(n) : short(n)}/s`;
}

/** A time of day, of seconds since 1970. */
export function clock(seconds) {
  return new Date(seconds * 1000).toLocaleString(LOCALE, {
    dateStyle: "medium",
    timeStyle: "medium",
  });
}
