// What the control daemon prints, line by line. Its formats are documented in part only: what is not understood is
// said to be so, and nothing here throws.
import type { MpsServerNow } from '#core/sharing/next-sharing-step';

/** Process ids, one a line; `undefined` when there is anything else. */
export function parsePids(text: string): readonly number[] | undefined {
  const lines = linesOf(text);
  return lines.every((line) => isPid(line)) ? lines.map(Number) : undefined;
}

/**
 * Clients of one server from the table of `ps`: the column below PID of the lines whose column below SERVER names it.
 * `undefined` without a header that has both.
 */
export function parseClientTable(text: string, server: number): readonly number[] | undefined {
  const [header, ...rows] = linesOf(text).map((line) => line.split(/\s+/));
  const pidAt = header?.indexOf('PID') ?? -1;
  const serverAt = header?.indexOf('SERVER') ?? -1;
  if (pidAt < 0 || serverAt < 0) return undefined;
  return rows.flatMap((row) => (row[serverAt] === String(server) && isPid(row[pidAt] ?? '') ? [Number(row[pidAt])] : []));
}

export function parseServerState(text: string): MpsServerNow['state'] {
  const word = /\b(INITIALIZING|ACTIVE|FAULT)\b/.exec(text)?.[1];
  return word === 'INITIALIZING' ? 'initializing' : word === 'ACTIVE' ? 'active' : word === 'FAULT' ? 'fault' : 'unknown';
}

/** `100.0`: above 0, at most 100. */
export function parsePercentage(text: string): number | undefined {
  const [line, ...more] = linesOf(text);
  const value = line !== undefined && more.length === 0 && /^\d+(?:\.\d+)?$/.test(line) ? Number(line) : undefined;
  return value !== undefined && value > 0 && value <= 100 ? value : undefined;
}

const mebibytes: Readonly<Record<string, number>> = { K: 1 / 1024, M: 1, G: 1024, T: 1024 * 1024 };

/** `1024M`, in MiB; `undefined` also where it is no whole number of them. */
export function parseMemory(text: string): number | undefined {
  const [, amount, unit] = /^(\d{1,12}(?:\.\d+)?)\s*([KMGT])(?:i?B)?$/i.exec(text.trim()) ?? [];
  const value = Number(amount) * (mebibytes[unit?.toUpperCase() ?? ''] ?? Number.NaN);
  return Number.isInteger(value) ? value : undefined;
}

/** A CUDA error number, 0 for none. */
export function parseCudaError(text: string): number | undefined {
  const [line, ...more] = linesOf(text);
  return line !== undefined && more.length === 0 && /^\d{1,6}$/.test(line) ? Number(line) : undefined;
}

/** Nobody listens at the socket. */
export function saysNoDaemon(text: string): boolean {
  return /Cannot find MPS control daemon process/i.test(text);
}

export function saysAlreadyRunning(text: string): boolean {
  return /instance of this daemon is already running/i.test(text);
}

function linesOf(text: string): readonly string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

function isPid(text: string): boolean {
  return /^[1-9]\d{0,9}$/.test(text);
}
