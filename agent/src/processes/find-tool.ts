import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';

/** The first program of this name on a PATH, as an absolute path; `undefined` when there is none. */
export async function findTool(name: string, path: string): Promise<string | undefined> {
  for (const directory of path.split(delimiter).filter(isAbsolute)) {
    const file = join(directory, name);
    const found = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return file;
  }
  return undefined;
}
