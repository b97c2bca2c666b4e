import { readFile } from 'node:fs/promises';
import type { ProcessInspector } from '../app/attribution.ts';
import { parseCgroupLines } from './cgroup-lines.ts';
import { isDead, readProc } from './proc.ts';

/** Reads `/proc`. None of these files takes a lock of the process, so one that hangs in the kernel delays nothing. */
export const processInspector: ProcessInspector = {
  facts(pid) {
    const fact = readProc(pid);
    return fact === undefined || isDead(fact) ? undefined : { startTime: fact.startTime };
  },
  async place(pid) {
    try {
      return parseCgroupLines(await readFile(`/proc/${pid}/cgroup`, 'latin1'));
    } catch {
      return { podUid: undefined, containerId: undefined };
    }
  },
};
