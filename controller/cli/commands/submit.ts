import type { Gang, SubmitGangInput, SubmitWorkloadInput, Workload } from '@astrago/api';
import type { Client } from '@astrago/api/client';
import { answer, type CommandContext } from '../context.ts';
import { exitCodes } from '../exit-codes.ts';
import { usageFailure } from '../failure.ts';
import { inParallel } from '../in-parallel.ts';
import type { LeastSlice } from '../parse/part-of-gpu.ts';
import type { LevelWish } from '../parse/where.ts';
import { type Followed, follow, lineOf } from './follow.ts';
import { gangSize, isGang } from './gang.ts';

export interface SubmitInput {
  readonly name: string;
  readonly command: readonly string[];
  readonly slice?: string;
  readonly atLeast?: LeastSlice;
  readonly slices?: number;
  readonly share?: number;
  readonly shareBy?: 'mps' | 'time-slicing';
  readonly shareMemory?: number;
  readonly gpus?: number;
  readonly model?: string;
  readonly cpus?: number;
  readonly memory?: number;
  readonly workspace?: string;
  readonly priority?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly members?: number;
  readonly atLeastMembers?: number;
  readonly restartable?: boolean;
  readonly checkpoints?: boolean;
  readonly expect?: number;
  readonly on?: readonly (readonly [string, string])[];
  readonly tolerate?: readonly string[];
  readonly together?: readonly LevelWish[];
  readonly apart?: LevelWish;
  readonly wait?: boolean;
  readonly timeout?: number;
}

export async function submit(context: CommandContext, input: SubmitInput): Promise<number> {
  refuseHalves(input);
  // Whoever waits also waits for a controller that is being restarted.
  const client = await context.connect(input.wait === true ? { retryDelaysMs: [100, 300, 1000, 2000, 5000, 10_000, 10_000] } : {});
  const accepted = await send(client, input);
  if (input.wait === true) return follow(context, followedOf(client, accepted), input.timeout);
  answer(context, accepted, () => (isGang(accepted) ? `${accepted.name} queued (${gangSize(accepted)})` : lineOf(accepted)));
  return exitCodes.ok;
}

/** What says nothing without something else is a slip, and not left out in silence. */
function refuseHalves(input: SubmitInput): void {
  if (input.command.length === 0)
    throw usageFailure('There is no command to run.', 'Put it after --: astrago submit train-a --slice 1g.10gb -- python train.py');
  if (input.slices !== undefined && input.slice === undefined && input.atLeast === undefined)
    throw usageFailure('--slices says how many, not which.', 'Give --slice PROFILE or --at-least SIZE, too.');
  if ((input.shareBy ?? input.shareMemory) !== undefined && input.share === undefined)
    throw usageFailure('--share-by and --share-memory are of a share.', 'Give --share PART, too, for example --share 30%.');
  if (input.atLeastMembers !== undefined && input.members === undefined)
    throw usageFailure('--at-least-members is of a gang.', 'Give --members N, too.');
  if (input.restartable === true && input.checkpoints === true)
    throw usageFailure('A workload begins anew or goes on, not both.', 'Give --restartable or --checkpoints.');
}

async function send(client: Client, input: SubmitInput): Promise<Workload | Gang> {
  const body = bodyOf(input);
  if (input.members === undefined) return client.submitWorkload({ body });
  const gang: SubmitGangInput = { ...body, members: { count: input.members, least: input.atLeastMembers } };
  return client.submitGang({ body: gang });
}

function bodyOf(input: SubmitInput): SubmitWorkloadInput {
  const { slices, atLeast, share } = input;
  return {
    name: input.name,
    command: [...input.command],
    slice: input.slice,
    count: atLeast === undefined ? slices : undefined,
    atLeast: atLeast === undefined ? undefined : { ...atLeast, count: slices },
    share: share === undefined ? undefined : { by: input.shareBy, milli: share, memoryMiB: input.shareMemory },
    gpus: input.gpus,
    model: input.model,
    cpuMilli: input.cpus,
    memoryMiB: input.memory,
    workspace: input.workspace,
    priority: input.priority,
    environment: input.env === undefined ? undefined : { ...input.env },
    constraints: constraintsOf(input),
    expectedSeconds: input.expect,
    interruptible: input.restartable === true ? 'restart' : input.checkpoints === true ? 'checkpoint' : undefined,
  };
}

function constraintsOf({ on, tolerate, together, apart }: SubmitInput): SubmitWorkloadInput['constraints'] {
  if ((on ?? tolerate ?? together ?? apart) === undefined) return undefined;
  return {
    nodeLabels: on === undefined ? undefined : Object.fromEntries(on),
    tolerations: tolerate === undefined ? undefined : [...tolerate],
    together: together?.map((wish) => ({ ...wish })),
    apart: apart === undefined ? undefined : { ...apart },
  };
}

function followedOf(client: Client, accepted: Workload | Gang): Followed {
  const look = async (before: readonly Workload[]): Promise<readonly Workload[]> => {
    const now = new Map<string, Workload>();
    // By id: the names may be those of other work by then.
    await inParallel(before, 16, async ({ id, endedAtMs }) => {
      if (endedAtMs === undefined) now.set(id, await client.getWorkload({ params: { workload: id } }));
    });
    return before.map((member) => now.get(member.id) ?? member);
  };
  if (isGang(accepted)) return { name: accepted.name, first: accepted.items, look, document: (items) => ({ ...accepted, items }) };
  return { name: accepted.name, first: [accepted], look, document: ([workload]) => workload };
}
