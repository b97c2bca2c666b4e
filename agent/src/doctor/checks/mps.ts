import { join } from 'node:path';
import { type Finding, ok, skipped, warning } from '../finding.ts';
import type { Surroundings } from '../surroundings.ts';

/** What an AF_UNIX path may have, its end excluded; a longer one seems to work until the first command. */
const socketPathMax = 107;
/** The longest that a control daemon's socket adds to the data directory. */
const longestSocket = 'mps/00000000/control';

export async function checkMps({ files, settings }: Surroundings): Promise<readonly Finding[]> {
  const directories = settings.path.split(':').filter((one) => one !== '');
  let program: string | undefined;
  for (const directory of directories) {
    const candidate = join(directory, 'nvidia-cuda-mps-control');
    if (await files.may(candidate, 'execute')) {
      program = candidate;
      break;
    }
  }
  if (program === undefined)
    return [
      warning(
        'mps',
        'nvidia-cuda-mps-control is not on PATH, so no MPS shares',
        'Install it with the driver (Debian: nvidia-cuda-mps), if shares are wanted.',
      ),
    ];
  if (settings.dataDirectory === undefined) return [ok('mps', program), skipped('mps-directory', 'no data directory is set')];
  const length = Buffer.byteLength(join(settings.dataDirectory, longestSocket));
  return [
    ok('mps', program),
    length <= socketPathMax
      ? ok('mps-directory', `socket paths take ${length} of ${socketPathMax} bytes`)
      : warning(
          'mps-directory',
          `socket paths would take ${length} bytes and may have ${socketPathMax}`,
          'Choose a shorter path for ASTRAGO_AGENT_DATA.',
        ),
  ];
}
