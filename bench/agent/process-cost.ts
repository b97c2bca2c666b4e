import { readdirSync, readFileSync } from 'node:fs';

/** Of a process itself; its children are not counted. */
export interface ProcessCost {
  readonly residentMiB: number;
  /** User and system time since it was started. */
  readonly cpuSeconds: number;
  readonly openFiles: number;
}

/** The unit of times in /proc on every Linux that Node runs on. */
const ticksPerSecond = 100;

export function costOf(pid: number): ProcessCost {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The name in parentheses may hold spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [user = '0', system = '0'] = fields.slice(11, 13);
  return {
    residentMiB: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 'NaN') / 1024,
    cpuSeconds: (Number(user) + Number(system)) / ticksPerSecond,
    openFiles: readdirSync(`/proc/${pid}/fd`).length,
  };
}
