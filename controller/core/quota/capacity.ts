import { wholeUnits } from '@astrago/shared/domain/units';
import type { Cluster } from '../cluster/cluster.ts';
import { modelFits } from '../scheduling/gpu-view.ts';
import { type Amounts, entriesOf, type ResourceName } from './amounts.ts';
import type { QuotaSpec } from './quota-spec.ts';

/** All that a cluster has, and of that the GPUs of every model that a quota names. */
export function capacityOf(cluster: Cluster, specs: readonly QuotaSpec[]): Amounts {
  const classes = new Set(
    specs
      .flatMap(({ guaranteed, limit }) => [guaranteed, limit].flatMap(entriesOf))
      .flatMap(([name]) => (name.includes('/') ? [name] : [])),
  );
  const sums: Partial<Record<ResourceName, number>> = { cpu: 0, memory: 0, compute: 0, 'gpu-memory': 0 };
  for (const name of classes) sums[name] = 0;
  const countedByModel = new Map<string, readonly ResourceName[]>();
  const countedFor = (model: string): readonly ResourceName[] => {
    const known = countedByModel.get(model) ?? [
      ...(['compute', 'gpu-memory'] as const),
      ...[...classes].filter((name) => modelFits(model, name.slice(name.indexOf('/') + 1))),
    ];
    countedByModel.set(model, known);
    return known;
  };
  for (const { cpuMilli, memoryMiB, gpus } of cluster.observed.values()) {
    sums.cpu = (sums.cpu ?? 0) + cpuMilli;
    sums.memory = (sums.memory ?? 0) + memoryMiB;
    for (const { grid, model } of gpus) {
      const units = wholeUnits(grid);
      for (const name of countedFor(model)) sums[name] = (sums[name] ?? 0) + (name.startsWith('compute') ? units.compute : units.memory);
    }
  }
  return sums;
}
