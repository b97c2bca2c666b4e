import type { AllocationRecord, QuotaAmounts, WorkspaceRecord } from '../cluster/records.ts';
import { modelFits } from '../scheduling/gpu-view.ts';

/** What quotas count. Slice units in thousandths, so that shares add up exactly. */
export interface Dimension {
  readonly resource: 'compute' | 'memory' | 'cpuMilli' | 'memoryMiB';
  /** Words that a GPU's model must hold to count; absent: all. */
  readonly model: string | undefined;
}

/** So much of each dimension, in their order. */
export type Charge = readonly number[];

/** Thousandths of a slice unit, milli-CPUs, MiB. */
const unit = { compute: 1000, memory: 1000, cpuMilli: 1, memoryMiB: 1 } as const;

/** The dimensions that some workspace has an amount of. */
export function dimensionsOf(workspaces: Iterable<WorkspaceRecord>): readonly Dimension[] {
  const found = new Map<string, Dimension>();
  for (const { limit, guaranteed } of workspaces) {
    for (const amounts of [limit, guaranteed]) {
      for (const resource of ['compute', 'memory', 'cpuMilli', 'memoryMiB'] as const)
        if (amounts?.[resource] !== undefined) found.set(resource, { resource, model: undefined });
      for (const [model, own] of Object.entries(amounts?.models ?? {}))
        for (const resource of ['compute', 'memory'] as const)
          if (own[resource] !== undefined) found.set(`${resource} ${model}`, { resource, model });
    }
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, dimension]) => dimension);
}

/** The amounts in the units of charges; `undefined` where there is none. */
export function amountsIn(dimensions: readonly Dimension[], amounts: QuotaAmounts | undefined): readonly (number | undefined)[] {
  return dimensions.map(({ resource, model }) => {
    const amount =
      model === undefined
        ? amounts?.[resource]
        : resource === 'compute' || resource === 'memory'
          ? amounts?.models?.[model]?.[resource]
          : undefined;
    return amount === undefined ? undefined : Math.round(amount * unit[resource]);
  });
}

/** @param models of the GPUs; they all count alike for every dimension. */
export function chargeOf(
  dimensions: readonly Dimension[],
  { units, cpuMilli, memoryMiB }: Pick<AllocationRecord, 'units' | 'cpuMilli' | 'memoryMiB'>,
  models: readonly string[],
): Charge {
  return dimensions.map(({ resource, model }) => {
    if (resource === 'cpuMilli') return cpuMilli;
    if (resource === 'memoryMiB') return memoryMiB;
    return model === undefined || models.some((one) => modelFits(one, model)) ? Math.round(units[resource] * unit[resource]) : 0;
  });
}

/** As people write it: slices, CPUs in thousandths, MiB. */
export function amountText({ resource, model }: Dimension, amount: number): string {
  const name = { compute: 'compute slices', memory: 'memory slices', cpuMilli: 'milli-CPUs', memoryMiB: 'MiB of memory' }[resource];
  return `${amount / unit[resource]} ${name}${model === undefined ? '' : ` of ${model}`}`;
}
