import { type CommandLine, invalidCombination, mainGrammar, parseCommandLine } from './command-line.ts';
import { type Machine, Refusal } from './machine.ts';

const onceOnly = ['reset-gpu-clocks', 'reset-memory-clocks', 'list-gpus', 'version', 'help', 'help-query-gpu', 'help-query-compute-apps'];

/** Time between two rounds, absent for a call that runs once. A command line that is wrong runs once, to say so. */
export function loopPeriodMs(args: readonly string[]): number | undefined {
  if (!args.some((arg) => /^(-l|-lms|--loop|--loop-ms)(=|$)/.test(arg)) || /^[a-z]/.test(args[0] ?? '')) return undefined;
  try {
    const line = parseCommandLine(args, mainGrammar);
    return loops(line) ? periodMs(line) : undefined;
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    throw error;
  }
}

/** The help lists the loop for the summary and the queries only; elsewhere it is no combination. */
export function refuseLoop(machine: Machine, line: CommandLine): void {
  const period = periodMs(line);
  if (period === undefined || loops(line) || machine.faults.behaviour?.loopOutsideQueries === 'once') return;
  throw invalidCombination();
}

function loops({ flags, values }: CommandLine): boolean {
  const queries = ['id', 'loop', 'loop-ms', 'filename', 'format', 'query-gpu', 'query-compute-apps', 'display'];
  return !onceOnly.some((name) => flags.has(name)) && [...values.keys()].every((name) => queries.includes(name));
}

/** Five seconds where `-l` has no number. */
function periodMs({ values }: CommandLine): number | undefined {
  const ms = values.get('loop-ms');
  const seconds = values.get('loop');
  if (ms === undefined && seconds === undefined) return undefined;
  const period = ms === undefined ? Number(seconds || '5') * 1000 : Number(ms);
  if (!(period >= 1)) {
    const [option, given] = ms === undefined ? ['-l', seconds] : ['-lms', ms];
    throw new Refusal(2, `Invalid value ${given} for option ${option}. Please run 'nvidia-smi -h' for help.`);
  }
  return period;
}
