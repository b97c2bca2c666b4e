// What the agent and its commands are told: flags before the environment before defaults. Nothing else reads the environment.
import { availableParallelism, hostname, totalmem } from 'node:os';
import { splitAddress } from '@astrago/shared/runtime/address';
import { type Environment, required, whole } from '@astrago/shared/runtime/environment';
import { type MigManagementMode, parseMigManagement } from './app/mig-management.ts';

/** Where the controller is, and where this agent is found by it. */
export interface ControllerConfig {
  readonly joinAddress: string;
  readonly controllerAddress: string;
  readonly joinTokenFile: string | undefined;
  readonly bind: string;
  /** Where the controller finds this node; the bind address unless that is "any". */
  readonly advertisedHost: string;
}

export interface AgentConfig {
  readonly node: string;
  readonly dataDirectory: string;
  /** Absent: it stands alone, and only looks. */
  readonly controller: ControllerConfig | undefined;
  readonly nvidiaSmi: string;
  /** Path or name; absent: beside nvidia-smi where that is a path, else by name. */
  readonly mpsControl: string | undefined;
  /** Where MPS daemons have their sockets; absent: chosen at start. */
  readonly mpsDirectory: string | undefined;
  readonly metricsBind: string;
  /** Beside our own names those of another exporter. Absent: ours alone. */
  readonly metricsCompatibility: { readonly set: 'dcgm'; readonly hostnameLabel: 'hostname' | 'Hostname' } | undefined;
  readonly cpuMilli: number;
  readonly memoryMiB: number;
  readonly inventoryPeriodMs: number;
  readonly samplePeriodMs: number;
  /** Between two looks at processes, slices and what only the whole log of the driver has. */
  readonly detailPeriodMs: number;
  /** Absent: the host is not measured, because something else on the node does. */
  readonly hostPeriodMs: number | undefined;
  readonly prepareTimeoutMs: number;
  /** How long processes of strangers may be in the way before what waits behind them has failed. */
  readonly strangersTimeoutMs: number;
  /** With the controller silent for longer no process of a stranger is ended, whatever the policy says. */
  readonly controllerSilenceMaxMs: number;
  /** How long a layout may stand still on its way to what was ordered before it counts as drifted. */
  readonly driftAfterMs: number;
  /** Where the kernel's log is read; a file with lines of the same kind does as well. */
  readonly kernelLog: string;
  readonly bootIdFile: string;
  readonly migManagement: MigManagementMode;
  /** Where the file system of the host is, for what is only looked at there; `/` unless the agent runs in a container. */
  readonly hostRoot: string;
  readonly logLevel: string;
  /** What every workload has beside what its order gives it; nothing in it is the agent's own. */
  readonly workloadEnvironment: Readonly<Record<string, string>>;
  /** Whom workloads run as where the agent is root; a name or a number. */
  readonly workloadUser: string | undefined;
  /** Root's workloads run as root, for want of another user. */
  readonly allowRootWorkloads: boolean;
  /** A control group of version 2 that was delegated to the agent, to limit workloads in. */
  readonly cgroup: string | undefined;
  /** How much output of one allocation is kept, in MiB; older output goes. */
  readonly outputMaxMiB: number;
  /** What the agent's own tools inherit of its environment. */
  readonly toolEnvironment: Readonly<Record<string, string>>;
}

/** What a command line says of the metrics server; each part goes before `ASTRAGO_METRICS_BIND`. */
export interface MetricsFlags {
  readonly port: number | undefined;
  readonly host: string | undefined;
}

const noFlags: MetricsFlags = { port: undefined, host: undefined };

/** Where a login shell of an ordinary system looks. */
const usualPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Names a tool may take over; never the agent's whole environment, which may hold secrets. */
const inherited = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR', 'USER', 'LD_LIBRARY_PATH'];

export function readAgentConfig(environment: Environment, flags: MetricsFlags = noFlags): AgentConfig {
  return {
    ...readCommonConfig(environment, flags),
    dataDirectory: required(environment, 'ASTRAGO_AGENT_DATA', 'the directory this agent keeps its state in'),
    controller: readControllerConfig(environment),
  };
}

/** Of an agent without a controller. `dataDirectory` is not that of `ASTRAGO_AGENT_DATA`, which may be an enrolled agent's. */
export function readStandaloneConfig(environment: Environment, dataDirectory: string, flags: MetricsFlags = noFlags): AgentConfig {
  // It starts no workload, so nothing about them may keep it from looking.
  const nobody = { workloadUser: undefined, cgroup: undefined };
  return { ...readCommonConfig(environment, flags), ...nobody, dataDirectory, controller: undefined };
}

function readCommonConfig(environment: Environment, flags: MetricsFlags): Omit<AgentConfig, 'controller' | 'dataDirectory'> {
  return {
    node: nodeName(environment),
    nvidiaSmi: environment['ASTRAGO_NVIDIA_SMI'] ?? 'nvidia-smi',
    mpsControl: environment['ASTRAGO_NVIDIA_CUDA_MPS_CONTROL'],
    mpsDirectory: environment['ASTRAGO_MPS_DIRECTORY'],
    metricsBind: metricsBind(environment, flags),
    metricsCompatibility:
      oneOf(environment, 'ASTRAGO_METRICS_COMPATIBILITY', ['none', 'dcgm']) === 'none'
        ? undefined
        : { set: 'dcgm', hostnameLabel: oneOf(environment, 'ASTRAGO_METRICS_HOSTNAME_LABEL', ['hostname', 'Hostname']) },
    cpuMilli: whole(environment, 'ASTRAGO_CPU_MILLI', availableParallelism() * 1000),
    memoryMiB: whole(environment, 'ASTRAGO_MEMORY_MIB', Math.floor(totalmem() / 2 ** 20)),
    inventoryPeriodMs: whole(environment, 'ASTRAGO_INVENTORY_PERIOD_MS', 10_000),
    samplePeriodMs: whole(environment, 'ASTRAGO_SAMPLE_PERIOD_MS', 10_000),
    detailPeriodMs: whole(environment, 'ASTRAGO_DETAIL_PERIOD_MS', 10_000),
    hostPeriodMs:
      oneOf(environment, 'ASTRAGO_HOST_METRICS', ['on', 'off']) === 'off'
        ? undefined
        : whole(environment, 'ASTRAGO_HOST_PERIOD_MS', 15_000),
    prepareTimeoutMs: whole(environment, 'ASTRAGO_PREPARE_TIMEOUT_MS', 120_000),
    strangersTimeoutMs: whole(environment, 'ASTRAGO_STRANGERS_TIMEOUT_MS', 15_000),
    controllerSilenceMaxMs: whole(environment, 'ASTRAGO_CONTROLLER_SILENCE_MAX_MS', 60_000),
    driftAfterMs: whole(environment, 'ASTRAGO_DRIFT_AFTER_MS', 60_000),
    kernelLog: environment['ASTRAGO_KERNEL_LOG'] ?? '/dev/kmsg',
    // Another file plays a reboot of a simulated node.
    bootIdFile: environment['ASTRAGO_BOOT_ID_FILE'] ?? '/proc/sys/kernel/random/boot_id',
    migManagement: parseMigManagement(environment['ASTRAGO_MIG_MANAGEMENT']),
    hostRoot: hostRoot(environment),
    logLevel: environment['ASTRAGO_LOG_LEVEL'] ?? 'info',
    workloadEnvironment: { PATH: environment['ASTRAGO_WORKLOAD_PATH'] ?? usualPath, LANG: 'C.UTF-8' },
    workloadUser: environment['ASTRAGO_WORKLOAD_USER'],
    allowRootWorkloads: environment['ASTRAGO_ALLOW_ROOT_WORKLOADS'] === '1',
    cgroup: environment['ASTRAGO_CGROUP'],
    outputMaxMiB: whole(environment, 'ASTRAGO_OUTPUT_MAX_MIB', 128),
    toolEnvironment: toolEnvironment(environment),
  };
}

function readControllerConfig(environment: Environment): ControllerConfig {
  const bind = environment['ASTRAGO_AGENT_BIND'] ?? '127.0.0.1:0';
  const bindHost = bind.slice(0, bind.lastIndexOf(':'));
  return {
    joinAddress: required(environment, 'ASTRAGO_JOIN_ADDRESS', "host:port of the controller's join service"),
    controllerAddress: required(environment, 'ASTRAGO_CONTROLLER_ADDRESS', "host:port of the controller's agent service"),
    joinTokenFile: environment['ASTRAGO_JOIN_TOKEN_FILE'],
    bind,
    advertisedHost: environment['ASTRAGO_AGENT_ADVERTISE'] ?? (isWildcard(bindHost) ? hostname() : bindHost),
  };
}

/** What a tool inherits of the environment. */
export function toolEnvironment(environment: Environment): Readonly<Record<string, string>> {
  return Object.fromEntries(inherited.flatMap((name) => (environment[name] === undefined ? [] : [[name, environment[name]]])));
}

export function nodeName(environment: Environment): string {
  return environment['ASTRAGO_NODE_NAME'] ?? hostname().toLowerCase();
}

/** Where the file system of the host is. */
export function hostRoot(environment: Environment): string {
  return environment['ASTRAGO_HOST_ROOT'] ?? '/';
}

/** host:port of `/metrics`, where flags go before the setting. */
export function metricsBind(environment: Environment, flags: MetricsFlags = noFlags): string {
  const { host, port } = splitAddress(environment['ASTRAGO_METRICS_BIND'] ?? '127.0.0.1:9410');
  const chosen = flags.host ?? host;
  return `${chosen.includes(':') ? `[${chosen}]` : chosen}:${flags.port ?? port}`;
}

/** One of a closed list, the first where it is not set. */
function oneOf<const Value extends string>(environment: Environment, name: string, values: readonly [Value, ...Value[]]): Value {
  const text = environment[name] ?? values[0];
  const found = values.find((value) => value === text);
  if (found === undefined) throw new Error(`${name} must be ${values.join(' or ')}, not ${JSON.stringify(text)}`);
  return found;
}

export function isWildcard(host: string): boolean {
  return /^(|0\.0\.0\.0|\[?::\]?)$/.test(host);
}
