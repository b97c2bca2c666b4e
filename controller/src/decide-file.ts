// Makes the decision that a saved cluster stands before, without a controller: `decide-file FILE [--json]`.
import { readFileSync } from 'node:fs';
import { formatSlice } from '@astrago/shared/domain/mig/slice';
import type { Cluster } from '#core/cluster/cluster';
import { decide } from '#core/scheduling/decide';
import type { Bind, Decision } from '#core/scheduling/decision';
import { trialIds } from '#core/scheduling/fits';
import { loadSnapshot } from '#core/snapshot/load';

const [file = '', ...options] = process.argv.slice(2);

function fail(text: string): never {
  process.stderr.write(`astrago: ${file} cannot be decided on: ${text}. Save another with astrago snapshot.\n`);
  process.exit(2);
}

function read(): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    return fail(cause instanceof Error ? cause.message : String(cause));
  }
}

const loaded = loadSnapshot(read());
if (loaded.kind === 'unreadable') fail(loaded.text);
const { cluster, nowMs } = loaded;
const decision = decide(cluster, { nextAllocationId: trialIds(), nowMs });
process.stdout.write(options.includes('--json') ? `${JSON.stringify({ nowMs, ...decision }, undefined, 2)}\n` : textOf(cluster, decision));

function textOf(cluster: Cluster, { binds, evictions, relabels, waiting }: Decision): string {
  const nameOf = (id: Bind['workload']): string => cluster.workloads.get(id)?.name ?? id;
  const obstacles = Map.groupBy(waiting, ({ obstacle }) => obstacle);
  const lines = [
    `${cluster.observed.size} nodes, ${cluster.allocations.size} allocations, ${cluster.queuedCount} queued: ${binds.length} start, ${evictions.length} are stopped, ${relabels.length} change between guaranteed and borrowed, ${waiting.length} wait.`,
    ...binds.map((bind) => `${nameOf(bind.workload)} on ${placeText(cluster, bind)}`),
    ...evictions.map(({ workload, cause, beneficiary }) => `${nameOf(workload)} stops for ${nameOf(beneficiary)} (${cause})`),
    ...[...obstacles].map(([obstacle, all]) => `${all.length} wait for ${obstacle}`),
  ];
  return `${lines.join('\n')}\n`;
}

function placeText(cluster: Cluster, { placement }: Bind): string {
  const devices = placement.devices.map(({ gpu, slice, share }) => {
    const part = slice === undefined ? (share === undefined ? '' : ` ${share.milli / 10} %`) : ` ${formatSlice(slice)}`;
    return `${cluster.gpu(gpu)?.index ?? gpu}${part}`;
  });
  return devices.length === 0 ? placement.node : `${placement.node}/${devices.join(',')}`;
}
