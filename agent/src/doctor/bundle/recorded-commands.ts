import { invariant } from '@astrago/shared/domain/invariant';
import type { Surroundings } from '../surroundings.ts';

/** One command as it ended. */
export interface RecordedCommand {
  readonly args: readonly string[];
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

export interface Recording {
  readonly commands: readonly RecordedCommand[];
  /** What has no outcome to replay; after one that was given up nothing more is asked. */
  readonly notRecorded: readonly { readonly args: readonly string[]; readonly reason: string }[];
}

const plain: readonly (readonly string[])[] = [
  ['--version'],
  ['-L'],
  ['-q', '-x'],
  ['-q'],
  ['mig', '-lgip'],
  ['mig', '-lgipp'],
  ['mig', '-lgi'],
  ['mig', '-lci'],
  ['mig', '-lcip'],
  ['topo', '-m'],
  ['compute-policy', '-l'],
];

const helps = { gpu: '--help-query-gpu', apps: '--help-query-compute-apps' } as const;
const query = /^--query-(gpu|compute-apps)=[\w.]+(,[\w.]+)*$/;

/** Whether a command line is one of those that only look. Everything else is never started from here. */
export function isReadOnly(args: readonly string[]): boolean {
  const [first = '', second, ...more] = args;
  if (query.test(first)) return second === '--format=csv' && more.length === 0;
  return [...plain, [helps.gpu], [helps.apps]].some((own) => own.length === args.length && own.every((word, at) => word === args[at]));
}

/** Asks everything that can be asked without changing anything, one command after the other. */
export async function recordCommands(smi: Surroundings['smi']): Promise<Recording> {
  const commands: RecordedCommand[] = [];
  const notRecorded: { args: readonly string[]; reason: string }[] = [];
  let stopped: string | undefined;
  const record = async (args: readonly string[]): Promise<string> => {
    invariant(isReadOnly(args), `nvidia-smi ${args.join(' ')} is not known to only look`);
    if (stopped !== undefined) {
      notRecorded.push({ args, reason: stopped });
      return '';
    }
    const answer = await smi(args);
    if (answer.kind === 'ended' && answer.exitCode !== undefined) {
      const { exitCode, stdout, stderr, ms } = answer;
      commands.push({ args, exitCode, stdout, stderr, ms: Math.round(ms) });
      return exitCode === 0 ? stdout : '';
    }
    const reason = answer.kind === 'ended' ? 'ended by a signal' : answer.kind === 'not-started' ? answer.reason : 'did not end in time';
    notRecorded.push({ args, reason });
    if (answer.kind !== 'ended')
      stopped = `not asked, for nvidia-smi ${args.join(' ')} ${answer.kind === 'given-up' ? reason : 'could not be started'}`;
    return '';
  };
  const gpuFields = fieldsOf(await record([helps.gpu]));
  const appFields = fieldsOf(await record([helps.apps]));
  if (gpuFields.length > 0) await record([`--query-gpu=${gpuFields.join(',')}`, '--format=csv']);
  if (appFields.length > 0) await record([`--query-compute-apps=${appFields.join(',')}`, '--format=csv']);
  for (const args of plain) await record(args);
  return { commands, notRecorded };
}

/** The fields that a help page offers, each by the first of its names. */
function fieldsOf(help: string): readonly string[] {
  return [...help.matchAll(/^"([\w.]+)"(?: or "[\w.]+")*\s*$/gm)].flatMap(([, name]) => (name === undefined ? [] : [name]));
}
