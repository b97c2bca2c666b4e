// A printed value in base units, or absent. What is not exactly a number with a unit we know was not measured (I9): the
// excuses of drivers (`[N/A]`, `N/A`, `[Unknown Error]`, `GPU is lost`, an empty cell, whatever comes next) need no list.
import type { Unit } from '#core/telemetry/sample';

interface Scale {
  /** What a printed unit is worth; the empty one is for `nounits` and for columns that never print it. */
  readonly units: Readonly<Record<string, number>>;
  readonly min: number;
  /** Beyond it the driver has printed the bits of an error. */
  readonly max: number;
}

const kibi = 1024;
const scales: Readonly<Record<Exclude<Unit, 'flag'>, Scale>> = {
  ratio: { units: { '': 0.01, '%': 0.01 }, min: 0, max: 1 },
  bytes: { units: { '': kibi ** 2, B: 1, KiB: kibi, MiB: kibi ** 2, GiB: kibi ** 3, TiB: kibi ** 4 }, min: 0, max: kibi ** 5 },
  celsius: { units: { '': 1, C: 1 }, min: -100, max: 300 },
  watts: { units: { '': 1, W: 1, mW: 1e-3, kW: 1e3 }, min: 0, max: 100_000 },
  joules: { units: { '': 1, J: 1, mJ: 1e-3, kJ: 1e3 }, min: 0, max: 1e15 },
  hertz: { units: { '': 1e6, Hz: 1, kHz: 1e3, MHz: 1e6, GHz: 1e9 }, min: 0, max: 1e12 },
  seconds: { units: { '': 1e-6, us: 1e-6, ms: 1e-3, s: 1 }, min: 0, max: 1e13 },
  count: { units: { '': 1, x: 1, 'bank(s)': 1 }, min: 0, max: 2 ** 53 },
  'bytes-per-second': {
    units: { '': 1e3, 'B/s': 1, 'KB/s': 1e3, 'MB/s': 1e6, 'GB/s': 1e9, 'KiB/s': kibi, 'MiB/s': kibi ** 2 },
    min: 0,
    max: 1e15,
  },
};

const number = /^(-?\d{1,18}(?:\.\d{1,9})?) ?([A-Za-z%/()]{0,8})$/;
const whole = /^-?\d+ ?[A-Za-z()]*$/;
const flags: Readonly<Record<string, 0 | 1>> = { Active: 1, 'Not Active': 0, Yes: 1, No: 0 };

export function quantity(text: string, unit: Unit): number | undefined {
  if (unit === 'flag') return Object.hasOwn(flags, text) ? flags[text] : undefined;
  const match = number.exec(text);
  if (match?.[1] === undefined) return undefined;
  const scale = scales[unit];
  const printed = match[2] ?? '';
  const worth = Object.hasOwn(scale.units, printed) ? scale.units[printed] : undefined;
  if (worth === undefined || (unit === 'count' && !whole.test(text))) return undefined;
  // Minus nothing is nothing. A hundredth and a millionth are divided by, so that 58 % is 0.58 and not 0.5800000000000001.
  const value = (worth < 1 ? Number(match[1]) / Math.round(1 / worth) : Number(match[1]) * worth) + 0;
  return value < scale.min || value > scale.max ? undefined : value;
}

/** `P0` is the fastest. */
export function performanceState(text: string): number | undefined {
  const digits = /^P(\d{1,2})$/.exec(text)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
