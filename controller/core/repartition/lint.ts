// An independent look at a plan: it shares no code with what made it, and reads legality off the device's own table.
import type { MigGrid } from '@astrago/shared/domain/mig/grid';
import type { WantedSlice } from '@astrago/shared/domain/mig/slice';
import type { DemandClass } from './demand.ts';
import type { Pool, PoolGpu, UsedSlice } from './pool.ts';
import type { Claim, LayoutChange, Move, RepartitionPlan } from './repartition-plan.ts';

export interface PlanFinding {
  readonly kind:
    | 'unknown-gpu'
    | 'named-twice'
    | 'not-to-be-touched'
    | 'before-differs'
    | 'changes-nothing'
    | 'illegal-layout'
    | 'used-lost'
    | 'move-not-allowed'
    | 'move-without-place'
    | 'claim-without-demand'
    | 'claim-without-place'
    | 'place-claimed-twice'
    | 'node-overfull';
  readonly text: string;
}

type Find = (kind: PlanFinding['kind'], text: string) => void;

/** Empty when the plan may be ordered. */
export function lintPlan(pool: Pool, demand: readonly DemandClass[], plan: RepartitionPlan): readonly PlanFinding[] {
  const findings: PlanFinding[] = [];
  const find: Find = (kind, text) => void findings.push({ kind, text });
  const gpus = new Map(pool.gpus.map((gpu) => [gpu.uuid as string, gpu]));
  const changes = new Map<string, LayoutChange>();
  for (const change of plan.changes) {
    if (changes.has(change.gpu)) find('named-twice', `${change.gpu} is changed twice in one plan`);
    changes.set(change.gpu, change);
    lintChange(gpus.get(change.gpu), change, find);
  }
  const standing = usedAfter(gpus, plan.moves, find);
  for (const gpu of pool.gpus) lintUsed(gpu, standing.get(gpu.uuid) ?? [], changes.get(gpu.uuid), find);
  lintClaims(gpus, changes, standing, demand, plan.claims, find);
  lintNodes(pool, gpus, demand, plan, find);
  return findings;
}

function lintChange(gpu: PoolGpu | undefined, change: LayoutChange, find: Find): void {
  if (gpu === undefined) {
    find('unknown-gpu', `${change.gpu} is not in the pool`);
    return;
  }
  if (change.node !== gpu.node) find('unknown-gpu', `${change.gpu} is on ${gpu.node}, not on ${change.node}`);
  if (gpu.standing !== 'open') find('not-to-be-touched', `${change.gpu} is ${gpu.standing} and would be cut anew`);
  if (gpu.usedWhole) find('used-lost', `${change.gpu} is in use in one piece and would be cut anew`);
  const before = slotsText(change.before);
  if (before !== slotsText(gpu.layout)) find('before-differs', `${change.gpu} is ${slotsText(gpu.layout)}, not ${before} as the plan says`);
  if (before === slotsText(change.layout)) find('changes-nothing', `${change.gpu} stays ${before} and is named as a change`);
  if (change.layout.kind === 'whole') return;
  if (gpu.grid === undefined) find('illegal-layout', `${change.gpu} cannot be cut`);
  else for (const wrong of wrongWith(gpu.grid, change.layout.slices)) find('illegal-layout', `${change.gpu}: ${wrong}`);
}

/** Occupies unit after unit, as the device does. */
function wrongWith(grid: MigGrid, slices: readonly WantedSlice[]): readonly string[] {
  const wrong: string[] = [];
  const units: (string | undefined)[] = Array.from({ length: grid.placementUnits }, () => undefined);
  const counts = new Map<string, number>();
  let compute = 0;
  let media = 0;
  for (const slice of slices) {
    const name = nameOf(slice);
    const row = grid.profiles.find((profile) => profile.name === slice.profile);
    if (row === undefined) {
      wrong.push(`${name} is no profile of the device`);
      continue;
    }
    if (!row.starts.includes(slice.start)) wrong.push(`${name} starts where the device has no placement for it`);
    for (let unit = slice.start; unit < slice.start + row.size; unit += 1) {
      if (unit >= units.length) wrong.push(`${name} reaches beyond the device`);
      else if (units[unit] !== undefined) wrong.push(`${name} takes unit ${unit} from ${units[unit]}`);
      else units[unit] = name;
    }
    counts.set(row.name, (counts.get(row.name) ?? 0) + 1);
    if ((counts.get(row.name) ?? 0) > row.instancesMax) wrong.push(`${name} is one ${row.name} more than the device holds`);
    compute += row.computeSlices;
    media += /\+me(\.all)?$/.test(row.name) ? 1 : 0;
  }
  if (compute > grid.computeSlices) wrong.push(`${compute} compute slices are more than the ${grid.computeSlices} of the device`);
  if (media > 1) wrong.push('the media engines are given out more than once');
  return wrong;
}

/** What is in use on each GPU once all have moved. */
function usedAfter(gpus: ReadonlyMap<string, PoolGpu>, moves: readonly Move[], find: Find): ReadonlyMap<string, readonly UsedSlice[]> {
  const after = new Map<string, readonly UsedSlice[]>([...gpus].map(([uuid, gpu]) => [uuid, gpu.used]));
  const arrivals: { readonly gpu: string; readonly slice: UsedSlice }[] = [];
  for (const { workload, from, to } of moves) {
    const source = gpus.get(from.gpu);
    const target = gpus.get(to.gpu);
    const there = after.get(from.gpu) ?? [];
    const used = there.find((slice) => slice.workload === workload && isSame(slice, from.slice));
    if (source === undefined || target === undefined || used === undefined) {
      find(
        'move-not-allowed',
        `${workload} is to move from ${from.gpu} ${nameOf(from.slice)}, where it is not, or to a GPU of another pool`,
      );
      continue;
    }
    if (used.move.kind === 'stays') find('move-not-allowed', `${workload} does not allow to be moved`);
    if (source.standing !== 'open') find('not-to-be-touched', `${workload} would leave ${from.gpu}, which is ${source.standing}`);
    if (target.standing === 'ailing' || target.standing === 'closed')
      find('not-to-be-touched', `${workload} would come to ${to.gpu}, which is ${target.standing}`);
    if (target.usedWhole) find('move-without-place', `${workload} would come to ${to.gpu}, which is in use in one piece`);
    if (to.slice.profile !== from.slice.profile)
      find('move-not-allowed', `${workload} would get ${to.slice.profile} for ${from.slice.profile}`);
    if (from.gpu === to.gpu && isSame(from.slice, to.slice)) find('move-not-allowed', `${workload} would move to where it is`);
    after.set(
      from.gpu,
      there.filter((slice) => slice !== used),
    );
    arrivals.push({ gpu: to.gpu, slice: { ...used, ...to.slice } });
  }
  for (const { gpu, slice } of arrivals) {
    const there = after.get(gpu) ?? [];
    if (there.some((other) => isSame(other, slice)))
      find('move-without-place', `${slice.workload} would come to ${gpu} ${nameOf(slice)}, which is in use`);
    after.set(gpu, [...there, slice]);
  }
  return after;
}

function lintUsed(gpu: PoolGpu, used: readonly UsedSlice[], change: LayoutChange | undefined, find: Find): void {
  const layout = change?.layout ?? gpu.layout;
  const arrived = used.filter((slice) => !gpu.used.some((other) => other.workload === slice.workload && isSame(other, slice)));
  for (const slice of used) {
    if (layout.kind === 'mig' && layout.slices.some((other) => isSame(other, slice))) continue;
    if (arrived.includes(slice))
      find('move-without-place', `${slice.workload} would come to ${gpu.uuid} ${nameOf(slice)}, which is not cut`);
    else if (change !== undefined) find('used-lost', `${gpu.uuid} would lose ${nameOf(slice)}, which ${slice.workload} uses`);
  }
}

function lintClaims(
  gpus: ReadonlyMap<string, PoolGpu>,
  changes: ReadonlyMap<string, LayoutChange>,
  standing: ReadonlyMap<string, readonly UsedSlice[]>,
  demand: readonly DemandClass[],
  claims: readonly Claim[],
  find: Find,
): void {
  const taken = new Set<string>();
  const wholes = new Set<string>();
  const counts = new Map<string, number>();
  for (const claim of claims) {
    const wanted = demand.find(({ id }) => id === claim.demand);
    const count = (counts.get(claim.demand) ?? 0) + 1;
    counts.set(claim.demand, count);
    if (wanted === undefined) find('claim-without-demand', `nobody asks for ${claim.demand}`);
    else if (count === wanted.count + 1)
      find('claim-without-demand', `${claim.demand} is given more than the ${wanted.count} times it is wanted`);
    const devices = wanted?.want.kind === 'whole' ? wanted.want.gpus : 1;
    if (claim.devices.length !== devices)
      find('claim-without-place', `${claim.demand} is given ${claim.devices.length} devices for ${devices}`);
    for (const { gpu: uuid, slice } of claim.devices) {
      const gpu = gpus.get(uuid);
      if (gpu === undefined || gpu.node !== claim.node) {
        find('claim-without-place', `${claim.demand} is given ${uuid}, which is not on ${claim.node}`);
        continue;
      }
      const profile = wanted?.want.kind === 'slice' ? wanted.want.profile : undefined;
      if (slice?.profile !== profile)
        find('claim-without-place', `${claim.demand} is given ${slice === undefined ? 'a whole GPU' : nameOf(slice)}`);
      if (gpu.standing === 'ailing' || gpu.standing === 'closed')
        find('not-to-be-touched', `${claim.demand} would go to ${uuid}, which is ${gpu.standing}`);
      const layout = changes.get(uuid)?.layout ?? gpu.layout;
      const used = standing.get(uuid) ?? [];
      const place = `${uuid} ${slice === undefined ? 'whole' : nameOf(slice)}`;
      const there =
        slice === undefined ? layout.kind === 'whole' : layout.kind === 'mig' && layout.slices.some((one) => isSame(one, slice));
      const free = !gpu.usedWhole && (slice === undefined ? used.length === 0 : !used.some((one) => isSame(one, slice)));
      if (!there) find('claim-without-place', `${claim.demand} is given ${place}, which is not in the layout`);
      if (!free) find('claim-without-place', `${claim.demand} is given ${place}, which is in use`);
      if (taken.has(place) || wholes.has(uuid)) find('place-claimed-twice', `${place} is given twice`);
      taken.add(place);
      if (slice === undefined) wholes.add(uuid);
    }
  }
}

/** CPU and memory go with what is claimed and what moves. */
function lintNodes(
  pool: Pool,
  gpus: ReadonlyMap<string, PoolGpu>,
  demand: readonly DemandClass[],
  plan: RepartitionPlan,
  find: Find,
): void {
  const left = new Map(pool.nodes.map((node) => [node.name as string, { cpu: node.freeCpuMilli, memory: node.freeMemoryMiB }]));
  const take = (node: string | undefined, cpu: number, memory: number): void => {
    const room = left.get(node ?? '') ?? { cpu: 0, memory: 0 };
    left.set(node ?? '', { cpu: room.cpu - cpu, memory: room.memory - memory });
  };
  for (const { workload, from, to } of plan.moves) {
    const used = gpus.get(from.gpu)?.used.find((slice) => slice.workload === workload);
    if (used === undefined) continue;
    take(gpus.get(from.gpu)?.node, -used.cpuMilli, -used.memoryMiB);
    take(gpus.get(to.gpu)?.node, used.cpuMilli, used.memoryMiB);
  }
  for (const claim of plan.claims) {
    const wanted = demand.find(({ id }) => id === claim.demand);
    take(claim.node, wanted?.cpuMilli ?? 0, wanted?.memoryMiB ?? 0);
  }
  for (const [node, { cpu, memory }] of left) {
    const before = pool.nodes.find(({ name }) => name === node);
    // What is short already and gets no shorter is not the plan's fault.
    if (cpu < Math.min(0, before?.freeCpuMilli ?? 0)) find('node-overfull', `${node} would be short of ${-cpu} thousandths of a CPU`);
    if (memory < Math.min(0, before?.freeMemoryMiB ?? 0)) find('node-overfull', `${node} would be short of ${-memory} MiB of memory`);
  }
}

function isSame(a: WantedSlice, b: WantedSlice): boolean {
  return a.profile === b.profile && a.start === b.start;
}

function nameOf({ profile, start }: WantedSlice): string {
  return `${profile}@${start}`;
}

function slotsText(layout: LayoutChange['layout']): string {
  return layout.kind === 'whole' ? 'in one piece' : `cut as ${layout.slices.map(nameOf).toSorted().join(', ') || 'nothing'}`;
}
