import type { NodeName } from '@astrago/shared/domain/ids';
import type { Cluster } from '../../cluster/cluster.ts';

/** The node, or one of its GPUs, is well again. */
export function conditionsGone(cluster: Cluster, name: NodeName, index: number | undefined): void {
  const node = cluster.observed.get(name);
  if (node === undefined) throw new Error(`there is no node ${name}`);
  const gpus = node.gpus.map((gpu) => (gpu.index === index ? { ...gpu, conditions: [] } : gpu));
  cluster.apply({ kind: 'observed-node', node: index === undefined ? { ...node, conditions: [] } : { ...node, gpus } });
}
