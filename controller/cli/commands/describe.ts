import { answer, type CommandContext } from '../context.ts';
import { askText } from '../show/ask.ts';
import { humanDuration, humanMoment } from '../show/human-time.ts';
import { humanCpus, humanMemory } from '../show/quantity.ts';
import { facts } from '../show/table.ts';

export interface NamedInput {
  readonly name: string;
  readonly workspace?: string;
}

export async function describe(context: CommandContext, input: NamedInput): Promise<void> {
  const client = await context.connect();
  const workload = await client.getWorkload({ params: { workload: input.name }, query: { workspace: input.workspace } });
  answer(context, workload, () => {
    const now = context.clock.nowMs();
    const until = workload.endedAtMs ?? now;
    return facts([
      ['workload', workload.name],
      ['id', workload.id],
      ['workspace', workload.workspace],
      ['phase', workload.phase],
      ['reason', workload.reason],
      ['detail', workload.detail],
      ['exit code', workload.exitCode],
      ['command', workload.command.map(quoted).join(' ')],
      ['asks for', askText(workload)],
      ['cpus', humanCpus(workload.cpuMilli)],
      ['memory', humanMemory(workload.memoryMiB)],
      ['priority', workload.priority],
      ['node', workload.node],
      ...workload.devices.map((device) => ['device', deviceText(device)] as const),
      ['enforcement', workload.enforcement],
      ['submitted', humanMoment(workload.submittedAtMs, now)],
      ['placed', humanMoment(workload.placedAtMs, now)],
      ['started', humanMoment(workload.startedAtMs, now)],
      ['ended', humanMoment(workload.endedAtMs, now)],
      ['ran for', workload.startedAtMs === undefined ? undefined : humanDuration(until - workload.startedAtMs)],
    ]);
  });
}

function deviceText(device: {
  readonly gpuUuid: string;
  readonly gpuIndex?: number | undefined;
  readonly slice?: { readonly profile: string; readonly start: number } | undefined;
}): string {
  const part = device.slice === undefined ? 'whole' : `${device.slice.profile}@${device.slice.start}`;
  return `${part} of GPU ${device.gpuIndex ?? '--'} (${device.gpuUuid})`;
}

/** As it could be typed into a shell. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
