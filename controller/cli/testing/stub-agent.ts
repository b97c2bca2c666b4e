// Stands in for an agent. On its first start it launches one "workload" that outlives it, as a real agent would.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const data = process.env['ASTRAGO_AGENT_DATA'] ?? '';
if (!existsSync(process.env['ASTRAGO_NVIDIA_SMI'] ?? '')) throw new Error('stub agent: no nvidia-smi');
mkdirSync(data, { recursive: true });
if (!existsSync(join(data, 'workload'))) {
  const allocation = `allocation-${process.pid}`;
  mkdirSync(join(data, 'allocations', allocation), { recursive: true });
  // The inner command clears its environment, as a workload may.
  const workload = spawn('/bin/sh', ['-c', 'env -i sleep 600; true'], {
    detached: true,
    stdio: 'ignore',
    env: { ...process.env, ASTRAGO_ALLOCATION_ID: allocation, ASTRAGO_UP_DIRECTORY: '' },
  });
  workload.unref();
  writeFileSync(join(data, 'workload'), String(workload.pid));
}
writeFileSync(join(data, 'pid'), String(process.pid));
process.on('SIGTERM', () => process.exit(0));
setInterval(() => undefined, 60_000);
