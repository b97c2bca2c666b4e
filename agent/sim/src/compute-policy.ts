import { invalidCombination, parseCommandLine } from './command-line.ts';
import { exitCodeFor, type Machine, Refusal, requireRoot } from './machine.ts';
import type { GpuState } from './machine-state.ts';
import { visibleGpus } from './selected-gpus.ts';
import { changeGpu } from './state-change.ts';

const grammar = {
  flags: { '-l': 'list', '--list': 'list', '-h': 'help', '--help': 'help' },
  values: { '-i': 'id', '--id': 'id', '--set-timeslice': 'set-timeslice' },
  optional: [],
};

/** Of `--set-timeslice`. */
const words = ['default', 'short', 'medium', 'long'];

/** `compute-policy -l` and `compute-policy [-i …] --set-timeslice n`; no recording shows its words. */
export function runComputePolicy(machine: Machine, args: readonly string[]): number {
  const { flags, values } = parseCommandLine(args, grammar);
  const value = values.get('set-timeslice');
  if (flags.has('list') === (value !== undefined)) throw invalidCombination();
  const visible = visibleGpus(machine, values.get('id'));
  if (value === undefined) list(machine, visible.gpus);
  else setTimeslice(machine, visible.gpus, value);
  if (visible.lostLine !== undefined) machine.answer.print(visible.lostLine);
  return visible.exitCode;
}

function setTimeslice(machine: Machine, gpus: readonly GpuState[], value: string): void {
  const word = words[Number(value || 'none')];
  if (word === undefined) throw new Refusal(exitCodeFor(machine, 'invalid'), `Invalid timeslice value ${value}: it is 0 to 3`);
  requireRoot(machine, ...gpus.map((gpu) => `Failed to set timeslice for GPU ${gpu.busId}: Insufficient Permissions`));
  for (const gpu of gpus) {
    // The slices of a cut GPU are not shared in time by this.
    if (gpu.migCurrent) throw new Refusal(3, `Failed to set timeslice for GPU ${gpu.busId}: Not Supported`);
    changeGpu(machine, gpu.uuid, (fresh) => {
      fresh.timeslice = Number(value);
    });
    machine.answer.print(`Successfully set timeslice to ${word} for GPU ${gpu.busId}`);
  }
}

function list(machine: Machine, gpus: readonly GpuState[]): void {
  const rule = `+${'-'.repeat(43)}+`;
  machine.answer.print(rule);
  machine.answer.print('| GPU compute policies:                     |');
  machine.answer.print('| GPU     Name                Value         |');
  machine.answer.print(`|${'='.repeat(43)}|`);
  for (const gpu of gpus) {
    const value = words[gpu.timeslice ?? 0] ?? '';
    machine.answer.print(
      `|${String(gpu.index).padStart(4)}     ${'Timeslice'.padEnd(20)}${`${value[0]?.toUpperCase()}${value.slice(1)}`.padEnd(14)}|`,
    );
    machine.answer.print(rule);
  }
}
