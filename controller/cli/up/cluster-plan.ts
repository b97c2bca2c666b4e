// Which nodes a data directory has. Pure: from what was asked, what was recorded, and what this machine is.

export type NodePlan =
  | { readonly kind: 'real'; readonly name: string }
  | { readonly kind: 'simulated'; readonly name: string; readonly model: string; readonly gpus: number; readonly seed: number };

export interface ClusterPlan {
  /** Of the controller's HTTP door; 0 is any free one, anew at each start. */
  readonly port: number;
  readonly nodes: readonly NodePlan[];
}

export interface PlanFlags {
  readonly port?: number;
  readonly nodes?: number;
  readonly gpus?: number;
  readonly model?: string;
}

export interface PlanConflict {
  readonly conflict: string;
  readonly remedy: string;
}

const defaults = { port: 8420, nodes: 2, gpus: 2, model: 'h100-80gb' };

/** Nodes are never taken away or changed here: work may be recorded on them. */
export function planCluster(
  flags: PlanFlags,
  recorded: ClusterPlan | undefined,
  machine: { readonly hostname: string; readonly hasGpus: boolean },
): ClusterPlan | PlanConflict {
  const port = flags.port ?? recorded?.port ?? defaults.port;
  const simulationAsked = flags.nodes !== undefined || flags.gpus !== undefined || flags.model !== undefined;
  const another = 'Leave the option away, or start another cluster with another --data.';
  if (recorded === undefined) {
    if (machine.hasGpus && !simulationAsked) return { port, nodes: [{ kind: 'real', name: nodeName(machine.hostname) }] };
    return { port, nodes: simulated(0, flags.nodes ?? defaults.nodes, flags.gpus ?? defaults.gpus, flags.model ?? defaults.model) };
  }

  const first = recorded.nodes[0];
  if (first === undefined || !simulationAsked) return { port, nodes: recorded.nodes };
  if (first.kind === 'real')
    return { conflict: 'This data directory is of a cluster of real GPUs, so simulated nodes cannot be added.', remedy: another };
  if (flags.model !== undefined && flags.model !== first.model)
    return { conflict: `The simulated nodes of this data directory have the model ${first.model}, not ${flags.model}.`, remedy: another };
  if (flags.gpus !== undefined && flags.gpus !== first.gpus)
    return { conflict: `The simulated nodes of this data directory have ${first.gpus} GPUs each, not ${flags.gpus}.`, remedy: another };
  const count = recorded.nodes.length;
  if (flags.nodes !== undefined && flags.nodes < count)
    return { conflict: `This data directory has ${count} nodes, and up takes none away.`, remedy: another };
  return { port, nodes: [...recorded.nodes, ...simulated(count, flags.nodes ?? count, first.gpus, first.model)] };
}

function simulated(from: number, to: number, gpus: number, model: string): NodePlan[] {
  const nodes: NodePlan[] = [];
  for (let index = from + 1; index <= to; index += 1) nodes.push({ kind: 'simulated', name: `sim-${index}`, model, gpus, seed: index });
  return nodes;
}

/** A host name as a DNS label. */
function nodeName(hostname: string): string {
  const label = hostname
    .toLowerCase()
    .split('.')[0]
    ?.replace(/[^a-z0-9-]/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 63);
  return label || 'node-1';
}

/** From up.json; `undefined` when it is absent or not of this shape. */
export function parsePlan(value: Readonly<Record<string, unknown>> | undefined): ClusterPlan | undefined {
  if (value === undefined || typeof value['port'] !== 'number' || !Array.isArray(value['nodes'])) return undefined;
  const nodes = (value['nodes'] as readonly Readonly<Record<string, unknown>>[]).map(parseNode);
  return nodes.every((node) => node !== undefined) ? { port: value['port'], nodes } : undefined;
}

function parseNode(value: Readonly<Record<string, unknown>>): NodePlan | undefined {
  const { kind, name, model, gpus, seed } = value;
  if (typeof name !== 'string') return undefined;
  if (kind === 'real') return { kind, name };
  if (kind !== 'simulated' || typeof model !== 'string' || typeof gpus !== 'number' || typeof seed !== 'number') return undefined;
  return { kind, name, model, gpus, seed };
}
