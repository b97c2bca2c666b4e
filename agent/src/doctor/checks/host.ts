// What the agent needs of the machine apart from GPUs.
import { type Finding, ok, problem, skipped, unknown, warning } from '../finding.ts';
import type { Surroundings } from '../surroundings.ts';

/** The first and last year in which a clock is believed. */
const years = [2025, 2100] as const;

export async function checkClock({ files, nowMs }: Surroundings): Promise<readonly Finding[]> {
  const year = new Date(nowMs()).getUTCFullYear();
  if (!(year >= years[0] && year <= years[1]))
    return [
      problem(
        'clock',
        `the system time is in the year ${year}`,
        'Set the clock, and keep it with chrony or systemd-timesyncd; certificates depend on it.',
      ),
    ];
  // A wall clock that was set back is seen by the time since the boot, which only grows.
  const upSeconds = Number((await files.readText('/proc/uptime'))?.split(' ')[0]);
  const bootSeconds = Number(/^btime (\d+)$/m.exec((await files.readText('/proc/stat')) ?? '')?.[1]);
  const apart = Math.abs(nowMs() / 1000 - upSeconds - bootSeconds);
  if (apart > 60)
    return [
      warning(
        'clock',
        `the system time and the time since the boot are ${Math.round(apart)} s apart`,
        'Keep the clock with chrony or systemd-timesyncd, which do not set it in jumps.',
      ),
    ];
  return [ok('clock', new Date(nowMs()).toISOString())];
}

/** The number of the first PID namespace, the same in every Linux kernel (PROC_PID_INIT_INO in include/linux/proc_ns.h). */
const hostNamespace = 'pid:[4026531836]';

/** The driver tells process ids of the host. Elsewhere they name nobody, or somebody else. */
export async function checkPidNamespace({ files }: Surroundings): Promise<readonly Finding[]> {
  const own = await files.link('/proc/self/ns/pid');
  const kernelThread = (await files.readText('/proc/2/comm'))?.trim() === 'kthreadd';
  if (own === hostNamespace || kernelThread) return [ok('pid-namespace', "the host's, so processes on GPUs can be told apart")];
  if (own === undefined) return [unknown('pid-namespace', '/proc does not tell')];
  return [
    warning(
      'pid-namespace',
      "not the host's, so it stays unknown which workload a process on a GPU belongs to",
      'Run the agent on the host, or give its container the PID namespace of the host (hostPID).',
    ),
  ];
}

export async function checkKernelLog({ files, settings }: Surroundings): Promise<readonly Finding[]> {
  if (await files.opens(settings.kernelLog)) return [ok('kernel-log', 'can be read')];
  return [
    warning(
      'kernel-log',
      'cannot be read, so Xid errors of the driver stay unseen',
      'Run the agent as root or with CAP_SYSLOG; a container needs /dev/kmsg.',
    ),
  ];
}

export async function checkMetricsPort({ network, settings }: Surroundings): Promise<readonly Finding[]> {
  const found = await network.listens(settings.metricsBind);
  if (found === 'free') return [ok('metrics-port', `${settings.metricsBind} is free`)];
  if (found === 'agent') return [ok('metrics-port', `an agent serves /metrics on ${settings.metricsBind}`)];
  const remedy = 'Name another in ASTRAGO_METRICS_BIND, or with --metrics-port.';
  if (found === 'other') return [problem('metrics-port', `another program listens on ${settings.metricsBind}`, remedy)];
  return [problem('metrics-port', `${settings.metricsBind} cannot be listened on (${found.refused})`, remedy)];
}

/** The oldest that runs TypeScript as it is, as the launcher asks. */
const oldestNode = [22, 19] as const;

export async function checkNode({ process }: Surroundings): Promise<readonly Finding[]> {
  const [major = 0, minor = 0] = process.nodeVersion.split('.').map(Number);
  const fits = major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1]);
  return [fits ? ok('node', process.nodeVersion) : problem('node', `${process.nodeVersion} is too old`, 'Use Node 22.19 or newer.')];
}

export async function checkCgroups({ files }: Surroundings): Promise<readonly Finding[]> {
  const remedy = 'Start the agent by systemd with Delegate=yes, or as root; without it workloads run without limits of CPU and memory.';
  if ((await files.look('/sys/fs/cgroup/cgroup.controllers')).kind !== 'there')
    return [
      warning(
        'cgroups',
        'cgroups of version 2 are not mounted',
        'Boot with systemd.unified_cgroup_hierarchy=1; without them workloads run without limits of CPU and memory.',
      ),
    ];
  const own = /^0::(\/.*)$/m.exec((await files.readText('/proc/self/cgroup')) ?? '')?.[1];
  if (own === undefined) return [unknown('cgroups', '/proc/self/cgroup does not tell')];
  const delegated = await files.may(`/sys/fs/cgroup${own}/cgroup.subtree_control`, 'write');
  return [delegated ? ok('cgroups', `version 2, ${own} is ours to divide`) : warning('cgroups', `${own} is not ours to divide`, remedy)];
}

const least = { 'Max open files': 1024, 'Max processes': 1024 } as const;

export async function checkLimits({ files }: Surroundings): Promise<readonly Finding[]> {
  const text = await files.readText('/proc/self/limits');
  if (text === undefined) return [skipped('limits', 'there is no /proc/self/limits')];
  const low = Object.entries(least).flatMap(([name, most]) => {
    const soft = new RegExp(`^${name}\\s+(\\S+)`, 'm').exec(text)?.[1];
    return soft !== undefined && soft !== 'unlimited' && Number(soft) < most ? [`${name.toLowerCase()} is ${soft}`] : [];
  });
  return [
    low.length === 0
      ? ok('limits', 'open files and processes suffice')
      : warning('limits', low.join(', '), 'Raise them to 1024 at least (systemd: LimitNOFILE=, TasksMax=; a shell: ulimit).'),
  ];
}
