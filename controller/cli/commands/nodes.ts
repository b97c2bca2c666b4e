import { answer, type CommandContext } from '../context.ts';
import { humanAge } from '../show/human-time.ts';
import { labelsText } from '../show/labels.ts';
import { humanCpus, humanMemory, usedOf } from '../show/quantity.ts';
import { tableOfKnown } from '../show/table.ts';

export async function nodes(context: CommandContext): Promise<void> {
  const client = await context.connect();
  const list = await client.listNodes();
  answer(context, list, () => {
    if (list.items.length === 0) return 'No node has joined yet.';
    const now = context.clock.nowMs();
    return tableOfKnown(
      ['NODE', 'STATE', 'GPUS', 'MODEL', 'COMPUTE', 'MEMORY', 'CPUS', 'RAM', 'SEEN', 'CONDITIONS', 'LABELS', 'TAINTS', 'RESERVED'],
      list.items.map((node) => [
        node.name,
        node.cordoned ? `${node.state},cordoned` : node.state,
        node.gpuCount,
        node.models.join(', '),
        usedOf(node.allocatedUnits.compute, node.units.compute),
        usedOf(node.allocatedUnits.memory, node.units.memory),
        usedOf(humanCpus(node.cpuMilliAllocated), humanCpus(node.cpuMilli)),
        usedOf(humanMemory(node.memoryMiBAllocated), humanMemory(node.memoryMiB)),
        humanAge(node.lastSeenMs, now),
        node.conditions.map((condition) => condition.kind).join(',') || 'none',
        labelsText(node.labels),
        node.taints.join(' '),
        node.reservations.map(({ name }) => name).join(' '),
      ]),
      ['LABELS', 'TAINTS', 'RESERVED'],
    );
  });
}
