import type { Workspace } from '@astrago/api';
import { humanCpus, humanMemory } from './quantity.ts';

/** As it could be given to `workspace set`: `compute=14 ram=64Gi h100=7/8`; empty for none. */
export function amountsText({ compute, memory, cpuMilli, memoryMiB, models = {} }: Workspace['limit']): string {
  const named = [
    ['compute', compute],
    ['memory', memory],
    ['cpus', humanCpus(cpuMilli)],
    ['ram', humanMemory(memoryMiB)],
    ...Object.entries(models).map(([model, one]) => [model, one.memory === undefined ? one.compute : `${one.compute ?? 0}/${one.memory}`]),
  ] as const;
  return named.flatMap(([what, value]) => (value === undefined ? [] : [`${what}=${value}`])).join(' ');
}

/** `500/week:soft`. */
export function budgetText({ sliceHours, period, kind }: NonNullable<Workspace['budget']>): string {
  return `${sliceHours}/${period}:${kind}`;
}
