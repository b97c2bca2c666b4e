import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Keeps a second agent off the same data directory. A lock of a process that is gone is taken over. */
export async function lockDirectory(directory: string): Promise<AsyncDisposable> {
  const file = join(directory, 'agent.lock');
  const own = `${process.pid} ${await startTime(process.pid)}`;
  for (;;) {
    try {
      await writeFile(file, own, { flag: 'wx', mode: 0o600 });
      return { [Symbol.asyncDispose]: () => rm(file, { force: true }) };
    } catch (cause) {
      if (!(cause instanceof Error && 'code' in cause && cause.code === 'EEXIST')) throw cause;
    }
    const [pid, started] = (await readFile(file, 'latin1').catch(() => '')).split(' ');
    if (pid !== undefined && pid !== '' && (await startTime(Number(pid))) === started) {
      throw new Error(`another agent (process ${pid}) works on ${directory}; stop it, or give this one a directory of its own`);
    }
    await rm(file, { force: true });
  }
}

/** Field 22 of its stat, with which a pid is an identity; `undefined` when there is no such process. */
async function startTime(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}
