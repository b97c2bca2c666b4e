import type { KernelLogStatus, XidTotal } from '../app/node-state.ts';
import type { Exposition, Family } from './exposition.ts';

const xidErrors = {
  name: 'astrago_gpu_xid_errors_total',
  type: 'counter',
  help: 'Xid messages of the driver in the kernel log since the machine was booted, as far as the log reaches back',
  labels: ['uuid', 'xid'],
} as const satisfies Family<string>;

const xidLast = {
  name: 'astrago_gpu_xid_last_timestamp_seconds',
  type: 'gauge',
  help: 'When an Xid was last logged: a first one is no increase to a counter',
  labels: ['uuid', 'xid'],
} as const satisfies Family<string>;

const logReadable = {
  name: 'astrago_agent_kernel_log_readable',
  type: 'gauge',
  help: 'Whether the kernel log can be read, 0 or 1; without it there are no Xids',
  labels: [],
} as const satisfies Family<never>;

const logLost = {
  name: 'astrago_agent_kernel_log_lost_records_total',
  type: 'counter',
  help: 'Records of the kernel log that were overwritten before they were read',
  labels: [],
} as const satisfies Family<never>;

export const xidFamilies: readonly Family<string>[] = [xidErrors, xidLast, logReadable, logLost];

export function describeXids(out: Exposition, xids: readonly XidTotal[], log: KernelLogStatus | undefined): void {
  for (const { gpuUuid, xid, count } of xids) out.add(xidErrors, { uuid: gpuUuid, xid: String(xid) }, count);
  for (const { gpuUuid, xid, lastAtMs } of xids) out.add(xidLast, { uuid: gpuUuid, xid: String(xid) }, lastAtMs / 1000);
  if (log === undefined) return;
  out.add(logReadable, {}, log.kind === 'readable' ? 1 : 0);
  if (log.kind === 'readable') out.add(logLost, {}, log.lostRecords);
}
