import { type Finding, ok, problem, warning } from '../finding.ts';
import type { Surroundings } from '../surroundings.ts';

/** The device files that nvidia-smi and CUDA open. */
export async function checkDeviceNodes({ files }: Surroundings): Promise<readonly Finding[]> {
  const nodes = (await files.list('/dev')).filter((name) => /^nvidia(ctl|-uvm|\d+)$/.test(name));
  if (!nodes.includes('nvidiactl'))
    return [
      warning(
        'device-nodes',
        'there is no /dev/nvidiactl, so no program can use a GPU here',
        'Load the driver with modprobe nvidia, or give a container its GPUs; a simulated machine has none.',
      ),
    ];
  const closed: string[] = [];
  for (const name of nodes) if (!(await files.may(`/dev/${name}`, 'read-write'))) closed.push(`/dev/${name}`);
  if (closed.length > 0)
    return [
      problem(
        'device-nodes',
        `this user may not open ${closed.join(', ')}`,
        'Run the agent as root, or add its user to the group that owns them.',
      ),
    ];
  if (!nodes.includes('nvidia-uvm'))
    return [
      warning('device-nodes', 'there is no /dev/nvidia-uvm, so CUDA cannot start', 'Run nvidia-modprobe -u -c=0, or modprobe nvidia-uvm.'),
    ];
  return [ok('device-nodes', `${nodes.length} can be opened`)];
}

const sysAdmin = 21n;

/** Cutting GPUs takes root or CAP_SYS_ADMIN. */
export async function checkPermissions({ files }: Surroundings): Promise<readonly Finding[]> {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec((await files.readText('/proc/self/status')) ?? '')?.[1];
  const may = effective !== undefined && ((BigInt(`0x${effective}`) >> sysAdmin) & 1n) === 1n;
  return [
    may
      ? ok('permissions', 'this user may change layouts')
      : warning('permissions', 'this user may look at GPUs and not cut them', 'Run the agent as root, or give it CAP_SYS_ADMIN.'),
  ];
}

/** Two programs that cut GPUs would undo each other's work. */
export async function checkMigManager({ migManagers }: Surroundings): Promise<readonly Finding[]> {
  const found = await migManagers();
  if (found.length === 0) return [ok('mig-manager', 'no other program manages MIG')];
  return [
    warning(
      'mig-manager',
      `MIG is managed here too by ${found.join(', ')}`,
      'Let one of the two cut the GPUs: stop and disable it, or leave this node to it.',
    ),
  ];
}
