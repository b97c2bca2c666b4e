import { access, constants, open, readdir, readFile, readlink, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Entry, Files } from './surroundings.ts';

const accesses = {
  read: constants.R_OK,
  write: constants.W_OK,
  'read-write': constants.R_OK | constants.W_OK,
  execute: constants.X_OK,
} as const;

/** The files of this machine, or of one whose root is a directory. */
export function systemFiles(root = '/'): Files {
  const at = (path: string): string => join(root, path);
  return {
    look: async (path): Promise<Entry> => {
      try {
        const found = await stat(at(path));
        return { kind: 'there', mode: found.mode & 0o7777, uid: found.uid, directory: found.isDirectory() };
      } catch (cause) {
        return { kind: codeOf(cause) === 'ENOENT' || codeOf(cause) === 'ENOTDIR' ? 'absent' : 'hidden' };
      }
    },
    readText: (path) => readFile(at(path), 'utf8').catch(() => undefined),
    list: (path) => readdir(at(path)).catch(() => []),
    link: (path) => readlink(at(path)).catch(() => undefined),
    may: (path, how) =>
      access(at(path), accesses[how]).then(
        () => true,
        () => false,
      ),
    opens: async (path) => {
      try {
        // Devices are opened so that reading would not wait.
        await (await open(at(path), constants.O_RDONLY | constants.O_NONBLOCK)).close();
        return true;
      } catch {
        return false;
      }
    },
    freeBytes: (path) =>
      statfs(at(path)).then(
        (found) => found.bavail * found.bsize,
        () => undefined,
      ),
  };
}

function codeOf(cause: unknown): unknown {
  return cause instanceof Error && 'code' in cause ? cause.code : undefined;
}
