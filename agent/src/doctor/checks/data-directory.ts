import { join } from 'node:path';
import { type Finding, ok, problem, skipped, unknown, warning } from '../finding.ts';
import type { Surroundings } from '../surroundings.ts';

const freeLeastBytes = 64 * 2 ** 20;
const freeWantedBytes = 2 ** 30;

export async function checkDataDirectory({ files, settings, process }: Surroundings): Promise<readonly Finding[]> {
  const directory = settings.dataDirectory;
  if (directory === undefined)
    return [skipped('data-directory', 'none is set (ASTRAGO_AGENT_DATA); an agent that stands alone needs none')];
  const found = await files.look(directory);
  if (found.kind === 'absent') return [ok('data-directory', `${directory} is made when the agent first starts`)];
  if (found.kind === 'hidden')
    return [problem('data-directory', `${directory} cannot be looked at`, 'Run the agent as the user that owns it.')];
  if (!found.directory) return [problem('data-directory', `${directory} is not a directory`, 'Name another in ASTRAGO_AGENT_DATA.')];
  if (!(await files.may(directory, 'write')))
    return [
      problem(
        'data-directory',
        `${directory} cannot be written`,
        'Run the agent as the user that owns it, on a file system that is not read-only.',
      ),
    ];
  const free = await files.freeBytes(directory);
  if (free !== undefined && free < freeLeastBytes)
    return [
      problem(
        'data-directory',
        `${mebibytes(free)} are free in ${directory}`,
        'Free some space: without it the agent can accept no order.',
      ),
    ];
  if (process.uid !== undefined && found.uid !== process.uid)
    return [
      warning(
        'data-directory',
        `${directory} belongs to user ${found.uid}, not to ${process.uid}`,
        'Run the agent, and this, as the user that owns it.',
      ),
    ];
  if ((found.mode & 0o077) !== 0)
    return [
      warning('data-directory', `${directory} is open to other users (mode ${found.mode.toString(8)})`, `Close it: chmod 700 ${directory}`),
    ];
  if (free === undefined) return [unknown('data-directory', `how much is free in ${directory} was not told`)];
  if (free < freeWantedBytes)
    return [
      warning('data-directory', `${mebibytes(free)} are free in ${directory}`, 'Free some space: output of workloads is kept there.'),
    ];
  return [ok('data-directory', `${directory}, ${mebibytes(free)} free`)];
}

export async function checkLedger({ ledger, settings }: Surroundings): Promise<readonly Finding[]> {
  const directory = settings.dataDirectory;
  if (directory === undefined) return [skipped('ledger', 'no data directory is set')];
  const state = await ledger(join(directory, 'ledger'));
  switch (state.kind) {
    case 'empty':
      return [ok('ledger', 'nothing is in it yet')];
    case 'readable':
      return [ok('ledger', state.text)];
    case 'mended':
      return [warning('ledger', state.text, 'Look whether the disk is at fault; the files are kept for people, and can be removed.')];
    case 'damaged':
      return [
        problem('ledger', state.text, 'Look whether the disk is at fault; the next agent sets the file aside, and gets its order again.'),
      ];
    default:
      return state satisfies never;
  }
}

function mebibytes(bytes: number): string {
  return `${Math.floor(bytes / 2 ** 20)} MiB`;
}
