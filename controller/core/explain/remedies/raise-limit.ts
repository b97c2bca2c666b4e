import type { WorkspaceName } from '@astrago/shared/domain/ids';
import type { QuotaAmounts, WorkspaceRecord } from '../../cluster/records.ts';
import type { Bind } from '../../scheduling/decision.ts';
import { tryNow } from '../../scheduling/fits.ts';
import { modelFits } from '../../scheduling/gpu-view.ts';
import { liftLimits, lineOf } from '../limits.ts';
import type { Candidate, RaisedAmounts } from '../remedy.ts';
import type { Trial } from '../trial.ts';
import { counted, cpus, listed, memory } from '../words.ts';

/** By how much the limit of its workspace, or of the one above that bounds it, would have to be raised; all of them where several do. */
export function raiseLimit(trial: Trial): readonly Candidate[] {
  const { cluster, workload, nowMs } = trial;
  const above = lineOf(cluster, workload.workspace);
  return cluster.attempt(() => {
    // Without limits: where it would go, and so what it would count for.
    liftLimits(cluster, workload.workspace);
    const free = tryNow(cluster, workload, nowMs);
    if (free.kind === 'no') return [];
    const raised = above.flatMap((record) => raisedFor(trial, record, free.binds));
    const [first] = raised;
    if (first === undefined) return [];
    const changes = raised.map(({ record }) => ({ kind: 'workspace', record }) as const);
    const text = `fits if ${listed(
      raised.map(({ text }) => text),
      'and',
    )}`;
    return [{ remedy: { kind: 'raise-limit', workspace: first.record.name, by: first.by, to: first.to, text }, changes }];
  });
}

interface Raised {
  readonly record: WorkspaceRecord;
  readonly by: RaisedAmounts;
  readonly to: RaisedAmounts;
  readonly text: string;
}

type Amounts = Required<Pick<QuotaAmounts, 'compute' | 'memory' | 'cpuMilli' | 'memoryMiB'>>;
type Counted = { -readonly [Key in keyof Amounts]: number };

/** What all below a workspace hold, and the binds beside it; of GPUs whose model holds the words, where some are given. */
function needOf(trial: Trial, { name }: WorkspaceRecord, binds: readonly Bind[], model: string | undefined): Counted {
  const { cluster } = trial;
  const sum: Counted = { compute: 0, memory: 0, cpuMilli: 0, memoryMiB: 0 };
  const add = (
    of: { readonly units: { readonly compute: number; readonly memory: number }; readonly devices: readonly { readonly gpu: string }[] },
    cpuMilli: number,
    memoryMiB: number,
  ): void => {
    const gpu = of.devices[0] === undefined ? undefined : cluster.gpu(of.devices[0].gpu as Parameters<typeof cluster.gpu>[0]);
    if (model !== undefined && (gpu === undefined || !modelFits(gpu.model, model))) return;
    sum.compute += of.units.compute;
    sum.memory += of.units.memory;
    sum.cpuMilli += cpuMilli;
    sum.memoryMiB += memoryMiB;
  };
  const below = new Map<WorkspaceName, boolean>();
  for (const allocation of cluster.allocations.values()) {
    const known = below.get(allocation.workspace) ?? lineOf(cluster, allocation.workspace).some((record) => record.name === name);
    below.set(allocation.workspace, known);
    if (known) add(allocation, allocation.cpuMilli, allocation.memoryMiB);
  }
  for (const { placement } of binds) add(placement, trial.workload.cpuMilli, trial.workload.memoryMiB);
  for (const key of Object.keys(sum) as (keyof Counted)[]) sum[key] = Math.round(sum[key] * 1000) / 1000;
  return sum;
}

function raisedFor(trial: Trial, record: WorkspaceRecord, binds: readonly Bind[]): readonly Raised[] {
  const need = needOf(trial, record, binds, undefined);
  const keys = (['compute', 'memory', 'cpuMilli', 'memoryMiB'] as const).filter(
    (key) => need[key] > (record.limit[key] ?? Number.POSITIVE_INFINITY),
  );
  const by: Record<string, number> = {};
  const to: Record<string, number> = {};
  for (const key of keys) {
    by[key] = Math.round((need[key] - (record.limit[key] ?? 0)) * 1000) / 1000;
    to[key] = need[key];
  }
  const models: Record<string, { compute?: number; memory?: number }> = {};
  const modelsBy: Record<string, { compute?: number; memory?: number }> = {};
  const parts = keys.map((key) => amountText(key, by[key] ?? 0));
  for (const [words, limit] of Object.entries(record.limit.models ?? {})) {
    const own = needOf(trial, record, binds, words);
    for (const key of ['compute', 'memory'] as const) {
      const bound = limit[key];
      if (bound === undefined || own[key] <= bound) continue;
      models[words] = { ...models[words], [key]: own[key] };
      modelsBy[words] = { ...modelsBy[words], [key]: Math.round((own[key] - bound) * 1000) / 1000 };
      parts.push(`${amountText(key, Math.round((own[key] - bound) * 1000) / 1000)} of ${words}`);
    }
  }
  if (parts.length === 0) return [];
  const hasModels = Object.keys(models).length > 0;
  const raisedModels = Object.fromEntries(
    Object.entries(record.limit.models ?? {}).map(([words, limit]) => [words, { ...limit, ...models[words] }]),
  );
  return [
    {
      record: { ...record, limit: { ...record.limit, ...to, ...(hasModels ? { models: raisedModels } : {}) } },
      by: { ...by, ...(hasModels ? { models: modelsBy } : {}) },
      to: { ...to, ...(hasModels ? { models } : {}) },
      text: `the limit of ${record.name} is raised by ${listed(parts, 'and')}`,
    },
  ];
}

function amountText(key: keyof Amounts, by: number): string {
  switch (key) {
    case 'compute':
      return counted(by, 'compute slice');
    case 'memory':
      return counted(by, 'memory slice');
    case 'cpuMilli':
      return cpus(by);
    case 'memoryMiB':
      return memory(by);
    default:
      return key satisfies never;
  }
}
