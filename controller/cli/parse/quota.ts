// What workspaces have, as people write it. `none` takes an amount away.
import type { ChangeWorkspace } from '@astrago/api';
import { parseCpus } from './cpus.ts';
import { parseMemory } from './memory.ts';

type Amounts = NonNullable<ChangeWorkspace['limit']>;

/** `14` compute slices, or `compute=14,memory=16,cpus=64,ram=512Gi` in any choice. */
export function parseAmounts(text: string): Amounts | undefined {
  const slices = parseNumber(text);
  if (slices !== undefined) return { compute: slices };
  const amounts: Amounts = {};
  for (const part of text.split(',')) {
    const match = /^(compute|memory|cpus|ram)=(\S+)$/.exec(part.trim());
    const value = match?.[2] === undefined ? undefined : amountOf(match[1] as keyof typeof kinds, match[2]);
    if (match === null || value === undefined) return undefined;
    amounts[kinds[match[1] as keyof typeof kinds].key] = value;
  }
  return amounts;
}

const kinds = {
  compute: { key: 'compute', parse: parseNumber },
  memory: { key: 'memory', parse: parseNumber },
  cpus: { key: 'cpuMilli', parse: parseCpus },
  ram: { key: 'memoryMiB', parse: parseMemory },
} as const;

function amountOf(kind: keyof typeof kinds, text: string): number | null | undefined {
  return text === 'none' ? null : kinds[kind].parse(text);
}

/** `h100=14` compute slices, `h100=14/16` with memory slices, or `h100=none`. */
export function parseModelAmounts(text: string): NonNullable<Amounts['models']> | undefined {
  const match = /^([^=]+)=(?:(none)|(\d+(?:\.\d+)?)(?:\/(\d+(?:\.\d+)?))?)$/.exec(text.trim());
  if (match?.[1] === undefined) return undefined;
  const memory = match[4] === undefined ? {} : { memory: Number(match[4]) };
  return { [match[1].toLowerCase()]: match[2] === 'none' ? null : { compute: Number(match[3]), ...memory } };
}

/** `500/week`, `500/week:hard` or `500/week:soft`, in slice hours. */
export function parseBudget(text: string): NonNullable<ChangeWorkspace['budget']> | undefined {
  const match = /^(\d+(?:\.\d+)?)\/(day|week|month)(?::(hard|soft))?$/.exec(text.trim());
  if (match === null) return undefined;
  return { sliceHours: Number(match[1]), period: match[2] as 'day' | 'week' | 'month', kind: match[3] === 'soft' ? 'soft' : 'hard' };
}

function parseNumber(text: string): number | undefined {
  return /^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : undefined;
}
