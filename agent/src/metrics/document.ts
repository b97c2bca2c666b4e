// The table of all metrics for people, made from the same families that are printed.

import {
  buildInfo,
  collectDuration,
  collectSuccess,
  collectSuccessTime,
  fieldSupported,
  hungCommands,
  readerAbandoned,
  readerRestarts,
  readerState,
} from './agent-series.ts';
import { allocationInfo, allocationMemory, mpsClients, mpsState } from './allocation-series.ts';
import { commandDuration, commandTimeouts } from './command-counts.ts';
import { compatibilityFamilies } from './compatibility.ts';
import type { Family } from './exposition.ts';
import { periodsKept } from './freshness.ts';
import { foreignProcesses, gpuCondition, gpuInfo, gpuShown, nodeCondition, sliceInfo, sliceShown } from './gpu-families.ts';
import { hostFamilies } from './host-series.ts';
import { xidFamilies } from './xid-series.ts';

export const nativeFamilies: readonly Family<string>[] = [
  gpuInfo,
  ...gpuShown.map(({ family }) => family),
  foreignProcesses,
  gpuCondition,
  nodeCondition,
  ...xidFamilies,
  sliceInfo,
  ...sliceShown.map(({ family }) => family),
  allocationInfo,
  allocationMemory,
  mpsState,
  mpsClients,
  ...hostFamilies,
  buildInfo,
  collectSuccess,
  collectSuccessTime,
  collectDuration,
  readerState,
  readerRestarts,
  readerAbandoned,
  commandDuration,
  commandTimeouts,
  hungCommands,
  fieldSupported,
];

/** The whole of METRICS.md. */
export function metricsDocument(): string {
  return `# Metrics of the agent

Made from the code by the test beside it; \`ASTRAGO_WRITE_METRICS=1 ./astrago test agent/src/metrics/document\` writes it anew.

\`GET /metrics\` on \`ASTRAGO_METRICS_BIND\` (127.0.0.1:9410) in the text format 0.0.4, from memory: a scrape never asks the driver.
\`/healthz\` answers while the agent runs, \`/readyz\` once the GPUs were listed.

- Base units, and ratios from 0 to 1. What was not measured has no series; it is never 0.
- What is older than ${periodsKept} of its periods has no series, for each GPU by itself. A slice that is gone has none at the next scrape. Of a
  lost GPU only its conditions are left.
- A GPU has one series with all that identifies it, and a slice has one. Join the others with them:
  \`astrago_gpu_power_watts * on(uuid) group_left(node, gpu, model) astrago_gpu_info\`,
  \`astrago_mig_memory_used_bytes * on(uuid, gi) group_left(profile) max by (uuid, gi, profile) (astrago_mig_instance_info)\`.
- Why there is no data is told apart from the data, by \`astrago_agent_last_collect_success\` and its neighbours.
- A GPU has at most 24 series and one for each finding, a slice at most 25, those of allocations aside.

## Our names

${table(nativeFamilies)}

## The names of dcgm-exporter

Beside ours with \`ASTRAGO_METRICS_COMPATIBILITY=dcgm\`, in that exporter's units, so that dashboards made for it work, such as
Grafana's 12239. The label with the name of the node is \`hostname\`, or \`Hostname\` as in older versions with
\`ASTRAGO_METRICS_HOSTNAME_LABEL=Hostname\`; there is never both.

- nvidia-smi does not supply profiling fields (\`DCGM_FI_PROF_*\`), except the activity of MIG slices on Hopper and later. Panels that
  show \`DCGM_FI_PROF_PIPE_TENSOR_ACTIVE\` stay empty, and those of \`DCGM_FI_PROF_GR_ENGINE_ACTIVE\` do on a GPU in one piece, where
  \`DCGM_FI_DEV_GPU_UTIL\` is the nearest.
- Of a GPU that is cut, memory is told for each GPU instance and everything else once for the board. dcgm-exporter repeats the board's
  values for each instance; \`max by (gpu)\` gives the same from both, and \`sum\` is right here.
- Some of these names break the rules that promtool checks, counters without \`_total\` above all. They are not ours to change.

Labels of all: ${listed(compatibilityFamilies[0]?.labels ?? [])}; a label without a value is left out.

${table(compatibilityFamilies, ['name', 'type', 'meaning'])}
`;
}

const columns = {
  name: ({ name }) => `\`${name}\``,
  type: ({ type }) => type,
  labels: ({ labels }) => listed(labels),
  meaning: ({ help }) => help,
} as const satisfies Readonly<Record<string, (family: Family<string>) => string>>;

function table(
  families: readonly Family<string>[],
  shown: readonly (keyof typeof columns)[] = ['name', 'type', 'labels', 'meaning'],
): string {
  const rows = families.map((family) => shown.map((column) => columns[column](family)));
  return [shown, shown.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function listed(labels: readonly string[]): string {
  return labels.map((label) => `\`${label}\``).join(' ');
}
