import { BucketedGpus } from '@astrago/controller/core/mig/bucketed-gpus';
import { type Arrivals, ChurnMeter, type ChurnOutcome } from '@astrago/controller/core/mig/churn';
import { EndQueue } from '@astrago/controller/core/mig/end-queue';
import type { Occupant } from '@astrago/controller/core/mig/holdings';
import { placeByEnds, remainingOf } from '@astrago/controller/core/mig/known-ends';
import type { PlacementTable } from '@astrago/controller/core/mig/placement-table';
import { relocate } from '@astrago/controller/core/mig/relocate';

/** The table in force, asked for at each arrival: it may be another one by then. */
export type TableSource = (arrival: number) => PlacementTable;

export interface Stream extends Arrivals {
  /** Profile names by kind. */
  readonly profiles: readonly Occupant['profile'][];
  /** What each says it will stay, in mean lifetimes; absent where nothing is said. */
  readonly declared?: Float64Array;
  /** 1 where the workload may be moved. */
  readonly movable: Uint8Array;
}

export interface SimulationSetting {
  readonly gpus: number;
  readonly warmUp: number;
  /** Most moves for one arrival. */
  readonly moves: number;
}

export interface SimulationOutcome extends ChurnOutcome {
  readonly accepted: number;
  readonly moves: number;
  readonly unitsMoved: number;
}

interface Resident extends Occupant {
  readonly arrival: number;
}

/** The loss system with whole layouts, moves and known ends: through the functions that a scheduler calls. */
export function simulate(source: TableSource, stream: Stream, setting: SimulationSetting): SimulationOutcome {
  const { catalogue } = source(0);
  const units = setting.gpus * catalogue.sets.units;
  const gpus = new BucketedGpus();
  const residents: Resident[][] = [];
  for (let gpu = 0; gpu < setting.gpus; gpu += 1) {
    gpus.enter(gpu, 0);
    residents.push([]);
  }
  const gpuOf = new Int32Array(stream.kinds.length);
  const ends = new EndQueue(units);
  const meter = new ChurnMeter(units);
  let accepted = 0;
  let moves = 0;
  let unitsMoved = 0;
  const put = (gpu: number, one: Resident): void => {
    const layout = catalogue.add(gpus.of(gpu) ?? 0, one.profile, one.start);
    if (layout === undefined) throw new Error(`${one.profile}@${one.start} is not free on GPU ${gpu}`);
    gpus.enter(gpu, layout);
    residents[gpu]?.push(one);
    gpuOf[one.arrival] = gpu;
  };
  const takeOut = (gpu: number, is: (one: Resident) => boolean): Resident => {
    const [one] = residents[gpu]?.splice(residents[gpu].findIndex(is), 1) ?? [];
    const layout = one === undefined ? undefined : catalogue.remove(gpus.of(gpu) ?? 0, one.profile, one.start);
    if (one === undefined || layout === undefined) throw new Error(`GPU ${gpu} does not hold what is taken from it`);
    gpus.enter(gpu, layout);
    return one;
  };
  for (let at = 0; at < stream.kinds.length; at += 1) {
    const now = stream.at[at] ?? 0;
    while (ends.next <= now) {
      const end = ends.next;
      const arrival = ends.take();
      takeOut(gpuOf[arrival] ?? 0, (one) => one.arrival === arrival);
      meter.uses(end, -(catalogue.sets.kinds[stream.kinds[arrival] ?? 0]?.size ?? 0));
    }
    if (at === setting.warmUp) {
      meter.start(now);
      accepted = 0;
      moves = 0;
      unitsMoved = 0;
    }
    const kind = stream.kinds[at] ?? 0;
    const size = catalogue.sets.kinds[kind]?.size ?? 0;
    const profile = stream.profiles[kind];
    if (profile === undefined) throw new Error(`kind ${kind} has no profile`);
    const table = source(at);
    const { declared } = stream;
    const occupantsOf = (gpu: number): readonly Occupant[] =>
      declared === undefined
        ? (residents[gpu] ?? [])
        : (residents[gpu] ?? []).map((one) => ({
            ...one,
            remaining: remainingOf(declared[one.arrival] ?? 0, now - (stream.at[one.arrival] ?? 0)),
          }));
    let place: { readonly gpu: number; readonly start: number } | undefined;
    if (declared !== undefined) place = placeByEnds(table, { gpus, occupantsOf }, profile, declared[at]);
    else {
      const gpu = gpus.cheapest(table.costsOf(profile));
      const start = gpu === undefined ? undefined : table.startOf(profile, gpus.of(gpu) ?? 0);
      if (gpu !== undefined && start !== undefined) place = { gpu, start };
    }
    if (place === undefined && setting.moves > 0) {
      const relocation = relocate(table, { gpus, occupantsOf }, profile, { movesMax: setting.moves, gpusPerLayout: 16 });
      if (relocation !== undefined) {
        const moved = relocation.moves.map(({ gpu, slice, toGpu, toStart }) => ({
          one: takeOut(gpu, ({ profile: own, start }) => own === slice.profile && start === slice.start),
          toGpu,
          toStart,
        }));
        for (const { one, toGpu, toStart } of moved) put(toGpu, { ...one, start: toStart });
        moves += moved.length;
        unitsMoved += relocation.unitsMoved;
        place = relocation;
      }
    }
    meter.asked(size, place !== undefined);
    if (place === undefined) continue;
    put(place.gpu, { profile, start: place.start, movable: stream.movable[at] === 1, arrival: at });
    ends.add(now + (stream.lifetimes[at] ?? 0), at);
    meter.uses(now, size);
    accepted += 1;
  }
  return { ...meter.outcome(stream.at.at(-1) ?? 0), accepted, moves, unitsMoved };
}
