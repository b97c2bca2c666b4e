import { join } from 'node:path';
import { type Finding, ok, skipped, warning } from '../finding.ts';
import type { Surroundings } from '../surroundings.ts';

/** What an AF_UNIX path may have, its end excluded; a longer one seems to work until the first command. */
const socketPathMax = 107;
/** What the socket of a device's daemon adds to the directory. */
const socket = '00000000/control';

export async function checkMps({ files, settings }: Surroundings): Promise<readonly Finding[]> {
  const named = settings.mpsControl;
  const directories = settings.path.split(':').filter((one) => one !== '');
  let program: string | undefined;
  for (const candidate of named.includes('/') ? [named] : directories.map((directory) => join(directory, named))) {
    if (await files.may(candidate, 'execute')) {
      program = candidate;
      break;
    }
  }
  if (program === undefined)
    return [
      warning(
        'mps',
        `${named} was not found, so there are no MPS shares`,
        'Install it with the driver (Debian: nvidia-cuda-mps), if shares are wanted.',
      ),
    ];
  if (settings.mpsDirectory === undefined) return [ok('mps', program), skipped('mps-directory', 'the agent chooses one when it starts')];
  const length = Buffer.byteLength(join(settings.mpsDirectory, socket));
  return [
    ok('mps', program),
    length <= socketPathMax
      ? ok('mps-directory', `socket paths take ${length} of ${socketPathMax} bytes`)
      : warning(
          'mps-directory',
          `socket paths would take ${length} bytes and may have ${socketPathMax}`,
          'Choose a shorter path for ASTRAGO_MPS_DIRECTORY, such as /run/astrago/mps.',
        ),
  ];
}
