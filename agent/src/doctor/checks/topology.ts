// How the GPUs are connected, as far as the driver tells.
import { nvlinkGroups } from '#core/topology/nvlink-groups';
import { DriverFault } from '../../app/ports.ts';
import { type Finding, ok, unknown } from '../finding.ts';
import type { Surroundings } from '../surroundings.ts';

/** Nothing that a GPU does depends on it, so that not to know it is no problem. */
export async function checkTopology({ driver }: Surroundings): Promise<Finding> {
  try {
    const rows = await driver.topology(new AbortController().signal);
    const members = new Map<number, number[]>();
    for (const [index, group] of nvlinkGroups(rows))
      members.set(
        group,
        [...(members.get(group) ?? []), index].sort((a, b) => a - b),
      );
    const groups = [...members].sort(([a], [b]) => a - b).map(([, indexes]) => `GPU ${indexes.join(', ')}`);
    const nodes = [...new Set(rows.flatMap(({ numaNode }) => numaNode ?? []))].sort((a, b) => a - b);
    const parts = [
      `${rows.length} GPU${rows.length === 1 ? '' : 's'}`,
      groups.length === 0 ? 'no NVLink' : `NVLink between ${groups.join(' and ')}`,
      nodes.length === 0 ? 'NUMA nodes not told' : `NUMA node${nodes.length === 1 ? '' : 's'} ${nodes.join(', ')}`,
    ];
    return ok('topology', parts.join(', '));
  } catch (fault) {
    if (!(fault instanceof DriverFault)) throw fault;
    return unknown('topology', `the driver does not tell how its GPUs are connected (${fault.message.slice(0, 200)})`);
  }
}
