import type { Clock } from '@astrago/shared/runtime/clock';
import { checkCertificates, checkController } from './checks/controller.ts';
import { checkDataDirectory, checkLedger } from './checks/data-directory.ts';
import { checkDeviceNodes, checkMigManager, checkPermissions } from './checks/devices.ts';
import { checkDriver } from './checks/driver.ts';
import { checkCgroups, checkClock, checkKernelLog, checkLimits, checkMetricsPort, checkNode, checkPidNamespace } from './checks/host.ts';
import { checkMps } from './checks/mps.ts';
import { type Finding, unknown } from './finding.ts';
import type { Surroundings } from './surroundings.ts';

export interface Check {
  /** What its finding is called when it comes to none. */
  readonly name: string;
  readonly run: (around: Surroundings) => Promise<readonly Finding[]>;
}

/** In the order in which they are shown. Only the first runs nvidia-smi, one command at a time. */
export const checks: readonly Check[] = [
  { name: 'nvidia-smi', run: checkDriver },
  { name: 'device-nodes', run: checkDeviceNodes },
  { name: 'permissions', run: checkPermissions },
  { name: 'mig-manager', run: checkMigManager },
  { name: 'mps', run: checkMps },
  { name: 'clock', run: checkClock },
  { name: 'pid-namespace', run: checkPidNamespace },
  { name: 'kernel-log', run: checkKernelLog },
  { name: 'data-directory', run: checkDataDirectory },
  { name: 'ledger', run: checkLedger },
  { name: 'certificates', run: checkCertificates },
  { name: 'controller', run: checkController },
  { name: 'metrics-port', run: checkMetricsPort },
  { name: 'node', run: checkNode },
  { name: 'cgroups', run: checkCgroups },
  { name: 'limits', run: checkLimits },
];

/** All checks side by side. One that fails or does not end within the limit is a finding, and keeps no other from its own. */
export async function runChecks(
  all: readonly Check[],
  around: Surroundings,
  bounds: { readonly clock: Clock; readonly limitMs: number },
): Promise<readonly Finding[]> {
  return (await Promise.all(all.map((check) => bounded(check, around, bounds)))).flat();
}

async function bounded(
  { name, run }: Check,
  around: Surroundings,
  { clock, limitMs }: { readonly clock: Clock; readonly limitMs: number },
): Promise<readonly Finding[]> {
  const over = new AbortController();
  const tooLong = clock
    .sleep(limitMs, over.signal)
    .then(() => [unknown(name, `could not be examined within ${Math.round(limitMs / 1000)} s`)]);
  const work = run(around).catch((cause: unknown) => [
    unknown(name, `could not be examined (${cause instanceof Error ? cause.message : String(cause)})`),
  ]);
  const findings = await Promise.race([work, tooLong]);
  over.abort();
  return findings;
}
