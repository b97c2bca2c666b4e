import { ChurnMeter } from '@astrago/controller/core/mig/churn';
import { EndQueue } from '@astrago/controller/core/mig/end-queue';
import type { WindowSets } from '@astrago/controller/core/mig/window-sets';
import type { SimulationOutcome, SimulationSetting, Stream } from './simulate.ts';

/** The same arrivals in one pool without any geometry: what no placement can do better by than by refusing large asks. */
export function pool(sets: WindowSets, stream: Stream, setting: SimulationSetting): SimulationOutcome {
  const units = setting.gpus * sets.units;
  const ends = new EndQueue(units);
  const meter = new ChurnMeter(units);
  let free = units;
  let accepted = 0;
  for (let at = 0; at < stream.kinds.length; at += 1) {
    const now = stream.at[at] ?? 0;
    while (ends.next <= now) {
      const end = ends.next;
      const size = ends.take();
      free += size;
      meter.uses(end, -size);
    }
    if (at === setting.warmUp) {
      meter.start(now);
      accepted = 0;
    }
    const size = sets.kinds[stream.kinds[at] ?? 0]?.size ?? 0;
    meter.asked(size, size <= free);
    if (size > free) continue;
    free -= size;
    accepted += 1;
    ends.add(now + (stream.lifetimes[at] ?? 0), size);
    meter.uses(now, size);
  }
  return { ...meter.outcome(stream.at.at(-1) ?? 0), accepted, moves: 0, unitsMoved: 0 };
}
