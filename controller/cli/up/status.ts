// What `up` says about a running cluster: the same at the first call and at every later one.
import { type ClusterFile, readClusterFile } from '../locate/cluster-file.ts';
import { dataFiles } from '../locate/data-directory.ts';
import { readJsonFile } from '../locate/json-file.ts';
import { plural } from '../show/quantity.ts';
import { facts } from '../show/table.ts';
import { type NodePlan, parsePlan } from './cluster-plan.ts';

export interface ClusterStatus {
  readonly url: string;
  readonly data: string;
  readonly tokenFile: string;
  readonly logs: string;
  /** Of the supervisor; SIGTERM stops everything. */
  readonly pid: number;
  readonly version: string;
  readonly nodes: readonly NodePlan[];
}

/** `undefined` while it is not ready. */
export async function clusterStatus(directory: string): Promise<ClusterStatus | undefined> {
  const files = dataFiles(directory);
  const cluster: ClusterFile | undefined = await readClusterFile(directory);
  const plan = parsePlan(await readJsonFile(files.plan));
  const ready = (await readJsonFile(files.cluster))?.['state'] === 'ready';
  if (cluster === undefined || plan === undefined || !ready) return undefined;
  return {
    url: cluster.url,
    data: directory,
    tokenFile: cluster.tokenFile,
    logs: files.logs,
    pid: cluster.pid,
    version: cluster.version,
    nodes: plan.nodes,
  };
}

/** `prefix` is how the program is called to find this data directory: `./astrago`, or with `--data`. */
export function statusText(status: ClusterStatus, prefix: string, attached: boolean): string {
  const simulated = status.nodes.filter((node) => node.kind === 'simulated');
  const gpus = simulated.reduce((sum, node) => sum + node.gpus, 0);
  const models = [...new Set(simulated.map((node) => node.model))].join(', ');
  const size =
    simulated.length > 0
      ? `${plural(simulated.length, 'simulated node')}, ${plural(gpus, 'GPU')} (${models})`
      : `this machine as node ${status.nodes.map((node) => node.name).join(', ')}`;
  const lines = facts([
    ['size', size],
    ['log in', `${prefix} nodes   works as it is, here`],
    ['elsewhere', `ASTRAGO_URL=${status.url} ASTRAGO_TOKEN="$(cat ${status.tokenFile})"`],
    ['data', status.data],
    ['logs', status.logs],
    ['stop', attached ? `Ctrl-C, or ${prefix} down` : `${prefix} down`],
  ]);
  return `AstraGo is ready at ${status.url}\n${lines.replace(/^/gm, '  ')}`;
}
