import type { Gang, Workload } from '@astrago/api';
import { answer, type CommandContext } from '../context.ts';
import { askText, placeText, shareText } from '../show/ask.ts';
import { humanDuration, humanMoment } from '../show/human-time.ts';
import { labelsText } from '../show/labels.ts';
import { humanCpus, humanMemory } from '../show/quantity.ts';
import { facts, table } from '../show/table.ts';
import { gangLine, gangSize, isGang, workloadOrGang } from './gang.ts';

export interface NamedInput {
  readonly name: string;
  readonly workspace?: string;
}

export async function describe(context: CommandContext, input: NamedInput): Promise<void> {
  const client = await context.connect();
  const query = { workspace: input.workspace };
  const found = await workloadOrGang(
    () => client.getWorkload({ params: { workload: input.name }, query }),
    () => client.getGang({ params: { gang: input.name }, query }),
  );
  const now = context.clock.nowMs();
  answer(context, found, () => (isGang(found) ? gangText(found) : workloadText(found, now)));
}

function gangText(gang: Gang): string {
  const members = gang.items.map((member) => [member.name, member.phase, placeText(member), member.exitCode, member.reason]);
  return `${gangLine(gang)} (${gangSize(gang)})\n\n${table(['MEMBER', 'PHASE', 'WHERE', 'EXIT', 'REASON'], members)}`;
}

function workloadText(workload: Workload, now: number): string {
  const until = workload.endedAtMs ?? now;
  const { constraints, eviction, gang, expectedSeconds } = workload;
  const wishes = (constraints?.together ?? []).map((wish) => ['together by', wishText(wish)] as const);
  return facts([
    ['workload', workload.name],
    ['id', workload.id],
    ['workspace', workload.workspace],
    ['gang', gang === undefined ? undefined : `${gang.name} (${gangSize(gang)})`],
    ['phase', workload.phase],
    ['reason', workload.reason],
    ['detail', workload.detail],
    ['exit code', workload.exitCode],
    ['command', workload.command.map(quoted).join(' ')],
    ['asks for', askText(workload)],
    ['cpus', humanCpus(workload.cpuMilli)],
    ['memory', humanMemory(workload.memoryMiB)],
    ['priority', workload.priority],
    ['on nodes with', labelsText(constraints?.nodeLabels ?? {})],
    ['tolerates', constraints?.tolerations?.join(' ')],
    ...wishes,
    ['apart by', constraints?.apart === undefined ? undefined : wishText(constraints.apart)],
    ['may be stopped', workload.interruptible === undefined ? undefined : interruptibleTexts[workload.interruptible]],
    ['node', workload.node],
    ...workload.devices.map((device) => ['device', deviceText(device)] as const),
    ['enforcement', workload.enforcement],
    ['borrows', workload.borrowed === true ? 'more than is guaranteed to its workspace' : undefined],
    ['evicted', eviction === undefined ? undefined : `${eviction.count}x, last ${eviction.cause} for ${eviction.beneficiary}`],
    ['submitted', humanMoment(workload.submittedAtMs, now)],
    ['placed', humanMoment(workload.placedAtMs, now)],
    ['started', humanMoment(workload.startedAtMs, now)],
    ['ended', humanMoment(workload.endedAtMs, now)],
    ['ran for', workload.startedAtMs === undefined ? undefined : humanDuration(until - workload.startedAtMs)],
    ['expected to run', expectedSeconds === undefined ? undefined : humanDuration(expectedSeconds * 1000)],
    ['expected to end', workload.expectedEndMs === undefined ? undefined : endText(workload.expectedEndMs - now)],
  ]);
}

const interruptibleTexts = { restart: 'and begins anew', checkpoint: 'and goes on from what it has saved' } as const;

function wishText({ level, required }: { readonly level: string; readonly required: boolean }): string {
  return required ? level : `${level}, if it can be`;
}

function endText(inMs: number): string {
  return inMs >= 0 ? `in ${humanDuration(inMs)}` : `${humanDuration(-inMs)} ago`;
}

function deviceText({ gpuIndex, gpuUuid, slice, share }: Workload['devices'][number]): string {
  const part = share !== undefined ? shareText(share) : slice === undefined ? 'whole' : `${slice.profile}@${slice.start}`;
  return `${part} of GPU ${gpuIndex ?? '--'} (${gpuUuid})`;
}

/** As it could be typed into a shell. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
