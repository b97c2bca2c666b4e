import { answer, type CommandContext } from '../context.ts';
import { humanMemory, percent, usedOf } from '../show/quantity.ts';
import { slotMap } from '../show/slot-map.ts';
import { table } from '../show/table.ts';

export interface GpusInput {
  readonly node?: string;
}

export async function gpus(context: CommandContext, input: GpusInput): Promise<void> {
  const client = await context.connect();
  const list = await client.listGpus(input.node === undefined ? {} : { query: { node: input.node } });
  answer(context, list, () => {
    if (list.items.length === 0) return 'No GPU is known yet.';
    return table(
      ['GPU', 'MODEL', 'COMPUTE', 'MEMORY', 'UTIL', 'USED', 'TEMP', 'POWER', 'SLOTS', ''],
      list.items.map((gpu) => [
        `${gpu.node}/${gpu.index}`,
        gpu.model,
        usedOf(gpu.allocatedUnits.compute, gpu.units.compute),
        usedOf(gpu.allocatedUnits.memory, gpu.units.memory),
        percent(gpu.utilizationRatio),
        humanMemory(gpu.memoryUsedMiB),
        gpu.temperatureCelsius === undefined ? undefined : `${gpu.temperatureCelsius}C`,
        gpu.powerWatts === undefined ? undefined : `${Math.round(gpu.powerWatts)}W`,
        slotMap(gpu),
        // A blank and not "unknown": nothing to remark.
        [gpu.layoutPinned ? 'pinned' : '', ...gpu.conditions.map((condition) => condition.kind)].filter(Boolean).join(' ') || ' ',
      ]),
    );
  });
}
