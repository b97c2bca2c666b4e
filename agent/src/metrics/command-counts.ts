import { type Exposition, type Family, labelText } from './exposition.ts';

export interface CommandSample {
  readonly kind: string;
  readonly ms: number;
  readonly outcome: string;
}

export const commandDuration = {
  name: 'astrago_agent_command_duration_seconds',
  type: 'histogram',
  help: 'How long commands of nvidia-smi took',
  labels: ['kind'],
} as const satisfies Family<string>;

export const commandTimeouts = {
  name: 'astrago_agent_command_timeouts_total',
  type: 'counter',
  help: 'Commands of nvidia-smi that did not end within their time',
  labels: ['command'],
} as const satisfies Family<string>;

const boundsSeconds = [0.025, 0.1, 0.25, 1, 2.5, 10, 30, 60];

interface Counts {
  /** How many took so long and no longer; the last stands for all that took longer than any bound. */
  readonly within: number[];
  sumSeconds: number;
  timeouts: number;
}

/** Counts since the start of the agent. Kinds come from a closed list of the driver's. */
export class CommandCounts {
  readonly #byKind = new Map<string, Counts>();

  add(sample: CommandSample): void {
    const counts = this.#byKind.get(sample.kind) ?? { within: Array(boundsSeconds.length + 1).fill(0), sumSeconds: 0, timeouts: 0 };
    this.#byKind.set(sample.kind, counts);
    const seconds = sample.ms / 1000;
    const bucket = boundsSeconds.findIndex((bound) => seconds <= bound);
    const index = bucket === -1 ? boundsSeconds.length : bucket;
    counts.within[index] = (counts.within[index] ?? 0) + 1;
    counts.sumSeconds += seconds;
    if (sample.outcome === 'timed-out') counts.timeouts += 1;
  }

  describe(out: Exposition): void {
    const { name } = commandDuration;
    for (const [kind, { within, sumSeconds }] of this.#byKind) {
      let count = 0;
      within.forEach((here, index) => {
        count += here;
        out.line(commandDuration, `${name}_bucket${labelText({ kind, le: String(boundsSeconds[index] ?? '+Inf') })} ${count}`);
      });
      out.line(commandDuration, `${name}_sum${labelText({ kind })} ${sumSeconds}`);
      out.line(commandDuration, `${name}_count${labelText({ kind })} ${count}`);
    }
    // From the first command on, so that the first timeout is a rise and not a new series.
    for (const [command, { timeouts }] of this.#byKind) out.add(commandTimeouts, { command }, timeouts);
  }
}
