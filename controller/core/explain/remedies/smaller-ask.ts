import type { Profile } from '@astrago/shared/domain/mig/profile';
import type { GpuAsk, WorkloadRecord } from '../../cluster/records.ts';
import { modelFits } from '../../scheduling/gpu-view.ts';
import { nodeViews } from '../node-view.ts';
import type { Candidate, SmallerAsk } from '../remedy.ts';
import { changedAsk, fitsAfter, type Trial } from '../trial.ts';
import { counted, cpus, memory } from '../words.ts';

/** Alternatives that are told. */
const toldMax = 2;
const cpuStepMilli = 500;
const memoryStepMiB = 1024;
const shareStepMilli = 50;

/** One amount that may be less: the levels it could have, the largest first. */
interface Lowered {
  readonly levels: number;
  /** 0 is the largest below what is asked. */
  readonly at: (level: number) => {
    readonly ask: SmallerAsk;
    readonly text: string;
    readonly change: (record: WorkloadRecord) => WorkloadRecord;
  };
}

/** The largest smaller asks that would fit now: of each amount the next that does, the others staying as they are. */
export function smallerAsk(trial: Trial): readonly Candidate[] {
  const found: Candidate[] = [];
  for (const lowered of amountsOf(trial)) {
    const fits = (level: number): boolean => fitsAfter(trial, changedAsk(trial, lowered.at(level).change));
    const level = firstThat(lowered.levels, fits);
    if (level === undefined) continue;
    const { ask, text, change } = lowered.at(level);
    const remedy = { kind: 'smaller-ask', ask, text: `fits now as a smaller ask: ${text}` } as const;
    found.push({ remedy, changes: changedAsk(trial, change) });
    if (found.length >= toldMax) break;
  }
  return found;
}

/** The lowest number below `count` that passes, where all above one that passes do. */
function firstThat(count: number, passes: (at: number) => boolean): number | undefined {
  if (count === 0 || !passes(count - 1)) return undefined;
  let low = 0;
  for (let high = count - 1; low < high; ) {
    const middle = (low + high) >> 1;
    if (passes(middle)) high = middle;
    else low = middle + 1;
    if (low >= high) break;
  }
  return low;
}

function amountsOf(trial: Trial): readonly Lowered[] {
  const { workload, least, members } = trial;
  const { cpuMilli, memoryMiB, gang } = workload;
  return [
    ...gpusOf(trial, workload.ask),
    ...(gang === undefined || least < 2
      ? []
      : [
          stepped(least - 1, (level) => ({
            ask: { members: least - 1 - level },
            text: `a gang that starts with ${least - 1 - level} of its ${members.length} members instead of ${least}`,
            change: (record: WorkloadRecord) =>
              record.gang === undefined ? record : { ...record, gang: { ...record.gang, least: record.gang.least - 1 - level } },
          })),
        ]),
    stepped(Math.ceil(cpuMilli / cpuStepMilli), (level) => {
      const less = (Math.ceil(cpuMilli / cpuStepMilli) - 1 - level) * cpuStepMilli;
      return {
        ask: { cpuMilli: less },
        text: `${cpus(less)} instead of ${cpus(cpuMilli)}`,
        change: (record) => ({ ...record, cpuMilli: less }),
      };
    }),
    stepped(Math.ceil(memoryMiB / memoryStepMiB), (level) => {
      const less = (Math.ceil(memoryMiB / memoryStepMiB) - 1 - level) * memoryStepMiB;
      return {
        ask: { memoryMiB: less },
        text: `${memory(less)} of memory instead of ${memory(memoryMiB)}`,
        change: (record) => ({ ...record, memoryMiB: less }),
      };
    }),
  ];
}

function stepped(levels: number, at: Lowered['at']): Lowered {
  return { levels: Math.max(0, levels), at };
}

function asking(ask: GpuAsk): (record: WorkloadRecord) => WorkloadRecord {
  return (record) => ({ ...record, ask });
}

function gpusOf(trial: Trial, ask: GpuAsk): readonly Lowered[] {
  switch (ask.kind) {
    case 'none':
      return [];
    case 'whole':
      return [
        stepped(ask.count - 1, (level) => {
          const count = ask.count - 1 - level;
          return { ask: { gpus: count }, text: `${counted(count, 'GPU')} instead of ${ask.count}`, change: asking({ ...ask, count }) };
        }),
        ...(ask.count === 1 ? [smallerProfiles(trial, undefined, 1, 'a whole GPU')] : []),
      ];
    case 'share':
      return [
        stepped(Math.ceil(ask.milli / shareStepMilli) - 1, (level) => {
          const milli = (Math.ceil(ask.milli / shareStepMilli) - 1 - level) * shareStepMilli;
          return { ask: { milli }, text: `${milli / 10} % of a GPU instead of ${ask.milli / 10} %`, change: asking({ ...ask, milli }) };
        }),
      ];
    case 'slice':
    case 'least': {
      const count = ask.count ?? 1;
      const what = ask.kind === 'slice' ? ask.profile : `at least ${memory(ask.memoryMiB)}`;
      return [
        stepped(count - 1, (level) => {
          const fewer = count - 1 - level;
          return {
            ask: { count: fewer },
            text: `${counted(fewer, 'slice')} instead of ${count}`,
            change: asking({ ...ask, count: fewer }),
          };
        }),
        smallerProfiles(trial, ask, count, what),
      ];
    }
    default:
      return ask satisfies never;
  }
}

/** Plain profiles of GPUs it may go to that are smaller than what is asked, the largest first. */
function smallerProfiles(
  trial: Trial,
  ask: Extract<GpuAsk, { kind: 'slice' | 'least' }> | undefined,
  count: number,
  what: string,
): Lowered {
  const profiles = new Map<string, Profile>();
  const grids = new Set(
    nodeViews(trial.cluster).flatMap(({ groups }) =>
      groups.filter(({ model }) => modelFits(model, trial.workload.model)).flatMap(({ views }) => views[0]?.grid ?? []),
    ),
  );
  for (const grid of grids) {
    const asked = ask?.kind === 'slice' ? grid.profiles.find(({ name }) => name === ask.profile) : undefined;
    if (ask?.kind === 'slice' && asked === undefined) continue;
    const size = asked?.size ?? grid.placementUnits;
    const compute = asked?.computeSlices ?? grid.computeSlices;
    for (const profile of grid.profiles) {
      const isSmaller =
        ask?.kind === 'least'
          ? profile.memoryMiB < ask.memoryMiB || profile.computeSlices < ask.computeSlices
          : profile.size <= size && profile.computeSlices <= compute && profile.name !== asked?.name;
      if (isSmaller && /^\d+g\.\d+gb$/.test(profile.name)) profiles.set(profile.name, profile);
    }
  }
  const sorted = [...profiles.values()].sort((a, b) => b.computeSlices - a.computeSlices || b.size - a.size);
  return stepped(sorted.length, (level) => {
    const profile = sorted[level];
    const next: GpuAsk = { kind: 'slice', profile: profile?.name as Profile['name'], count };
    const text = count === 1 ? `a ${profile?.name} slice` : `${count} ${profile?.name} slices`;
    return { ask: { profile: profile?.name ?? '', count }, text: `${text} instead of ${what}`, change: asking(next) };
  });
}
