// One node as an ask meets it. Remembered until something about the node changes, since a census looks at all of them.
import type { NodeName } from '@astrago/shared/domain/ids';
import type { Cluster } from '../cluster/cluster.ts';
import type { ObservedNode } from '../cluster/observed.ts';
import type { NodeRecord } from '../cluster/records.ts';
import type { WaitingReason } from '../reason.ts';
import { type GpuView, viewGpu } from '../scheduling/gpu-view.ts';
import { ailmentsOf } from './ailments.ts';

/** GPUs that are alike; an ask is met by one of these groups. */
export interface ModelGroup {
  readonly model: string;
  readonly views: readonly GpuView[];
}

export interface NodeView {
  readonly node: ObservedNode;
  readonly record: NodeRecord | undefined;
  /** Why nothing goes there, whatever is asked; absent where something may. */
  readonly closed: 'NodeUnreachable' | 'NodeCordoned' | 'NodeUnhealthy' | undefined;
  readonly cpuMilli: number;
  readonly memoryMiB: number;
  readonly groups: readonly ModelGroup[];
}

/** What is held of the node: of it as it is, or as it would be. */
type Held = ReturnType<Cluster['useOf']>;

export function viewNode(cluster: Cluster, node: ObservedNode, held: Held): NodeView {
  const record = cluster.nodes.get(node.name);
  const groups = new Map<string, GpuView[]>();
  for (const gpu of node.gpus) {
    // GPUs of one model are not alike if their memory differs, or what they can be cut into.
    const key = `${gpu.memoryMiB}|${gpu.grid?.placementUnits}|${gpu.grid?.profiles.length}|${gpu.model}`;
    const group = groups.get(key);
    const view = viewGpu(cluster, gpu, held.ofGpu(gpu.uuid));
    if (group === undefined) groups.set(key, [view]);
    else group.push(view);
  }
  return {
    node,
    record,
    closed: closedBy(node, record),
    // A node may hold more than it has, after it was reported smaller.
    cpuMilli: Math.max(0, node.cpuMilli - held.cpuMilli),
    memoryMiB: Math.max(0, node.memoryMiB - held.memoryMiB),
    groups: [...groups.values()].map((views) => ({ model: views[0]?.gpu.model ?? '', views })),
  };
}

function closedBy(node: ObservedNode, record: NodeRecord | undefined): Extract<WaitingReason, NodeView['closed']> | undefined {
  if (node.state === 'unreachable') return 'NodeUnreachable';
  if (record?.cordoned === true) return 'NodeCordoned';
  return ailmentsOf(node.conditions).length > 0 ? 'NodeUnhealthy' : undefined;
}

const remembered = new WeakMap<Cluster, Map<NodeName, NodeView>>();

function memoryOf(cluster: Cluster): Map<NodeName, NodeView> {
  const known = remembered.get(cluster);
  if (known !== undefined) return known;
  const made = new Map<NodeName, NodeView>();
  cluster.watch((node) => made.delete(node));
  remembered.set(cluster, made);
  return made;
}

/** All nodes that have reported; equal objects as long as nothing about a node changes. */
export function nodeViews(cluster: Cluster): readonly NodeView[] {
  const memory = memoryOf(cluster);
  const views: NodeView[] = [];
  for (const node of cluster.observed.values()) {
    if (node.state === 'joining') continue;
    let view = memory.get(node.name);
    if (view === undefined) {
      view = viewNode(cluster, node, cluster.useOf(node.name));
      memory.set(node.name, view);
    }
    views.push(view);
  }
  return views;
}
