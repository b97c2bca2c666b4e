// What the agent and its commands are told: flags before the environment before defaults. Nothing else reads the environment.
import { availableParallelism, hostname, totalmem } from 'node:os';
import { splitAddress } from '@astrago/shared/runtime/address';
import { type Environment, required, whole } from '@astrago/shared/runtime/environment';

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
  readonly metricsBind: string;
  readonly cpuMilli: number;
  readonly memoryMiB: number;
  readonly inventoryPeriodMs: number;
  readonly samplePeriodMs: number;
  /** Between two looks at processes, slices and what only the whole log of the driver has. */
  readonly detailPeriodMs: number;
  readonly prepareTimeoutMs: number;
  /** How long processes of strangers may be in the way before what waits behind them has failed. */
  readonly strangersTimeoutMs: number;
  readonly bootIdFile: string;
  readonly logLevel: string;
  /** What workloads inherit of the agent's own environment. */
  readonly workloadEnvironment: Readonly<Record<string, string>>;
}

/** What a command line says of the metrics server; each part goes before `ASTRAGO_METRICS_BIND`. */
export interface MetricsFlags {
  readonly port: number | undefined;
  readonly host: string | undefined;
}

const noFlags: MetricsFlags = { port: undefined, host: undefined };

/** Names a workload may take over; never the agent's whole environment, which may hold secrets. */
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
  return { ...readCommonConfig(environment, flags), dataDirectory, controller: undefined };
}

function readCommonConfig(environment: Environment, flags: MetricsFlags): Omit<AgentConfig, 'controller' | 'dataDirectory'> {
  return {
    node: nodeName(environment),
    nvidiaSmi: environment['ASTRAGO_NVIDIA_SMI'] ?? 'nvidia-smi',
    metricsBind: metricsBind(environment, flags),
    cpuMilli: whole(environment, 'ASTRAGO_CPU_MILLI', availableParallelism() * 1000),
    memoryMiB: whole(environment, 'ASTRAGO_MEMORY_MIB', Math.floor(totalmem() / 2 ** 20)),
    inventoryPeriodMs: whole(environment, 'ASTRAGO_INVENTORY_PERIOD_MS', 10_000),
    samplePeriodMs: whole(environment, 'ASTRAGO_SAMPLE_PERIOD_MS', 10_000),
    detailPeriodMs: whole(environment, 'ASTRAGO_DETAIL_PERIOD_MS', 10_000),
    prepareTimeoutMs: whole(environment, 'ASTRAGO_PREPARE_TIMEOUT_MS', 120_000),
    strangersTimeoutMs: whole(environment, 'ASTRAGO_STRANGERS_TIMEOUT_MS', 15_000),
    // Another file plays a reboot of a simulated node.
    bootIdFile: environment['ASTRAGO_BOOT_ID_FILE'] ?? '/proc/sys/kernel/random/boot_id',
    logLevel: environment['ASTRAGO_LOG_LEVEL'] ?? 'info',
    workloadEnvironment: Object.fromEntries(
      inherited.flatMap((name) => (environment[name] === undefined ? [] : [[name, environment[name]]])),
    ),
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

/** What the commands that look once and end need; nothing has to be set. */
export interface ObserverConfig {
  readonly node: string;
  readonly nvidiaSmi: string;
  /** For the commands that are started. */
  readonly environment: Readonly<Record<string, string>>;
}

export function readObserverConfig(environment: Environment): ObserverConfig {
  const { node, nvidiaSmi, workloadEnvironment } = readCommonConfig(environment, noFlags);
  return { node, nvidiaSmi, environment: workloadEnvironment };
}

/** What the doctor examines. Unlike the agent it takes a node as it is: what is not set is absent, and a finding. */
export interface DoctorConfig extends ObserverConfig {
  readonly dataDirectory: string | undefined;
  readonly joinAddress: string | undefined;
  readonly controllerAddress: string | undefined;
  readonly metricsBind: string;
  /** Path or name of the MPS control program. */
  readonly mpsControl: string;
  readonly mpsDirectory: string | undefined;
  /** Names of our settings that are set, with the values of those that can hold no secret and no name of a place. */
  readonly settings: readonly { readonly name: string; readonly value: string | undefined }[];
}

const harmless = /^ASTRAGO_(\w+_MS|CPU_MILLI|MEMORY_MIB|LOG_LEVEL)$/;

export function readDoctorConfig(environment: Environment): DoctorConfig {
  const given = (name: string): string | undefined => (environment[name] === '' ? undefined : environment[name]);
  return {
    ...readObserverConfig(environment),
    dataDirectory: given('ASTRAGO_AGENT_DATA'),
    joinAddress: given('ASTRAGO_JOIN_ADDRESS'),
    controllerAddress: given('ASTRAGO_CONTROLLER_ADDRESS'),
    metricsBind: metricsBind(environment, noFlags),
    mpsControl: given('ASTRAGO_NVIDIA_CUDA_MPS_CONTROL') ?? 'nvidia-cuda-mps-control',
    mpsDirectory: given('ASTRAGO_MPS_DIRECTORY'),
    settings: Object.keys(environment)
      .filter((name) => name.startsWith('ASTRAGO_'))
      .sort()
      .map((name) => ({ name, value: harmless.test(name) ? environment[name] : undefined })),
  };
}

function nodeName(environment: Environment): string {
  return environment['ASTRAGO_NODE_NAME'] ?? hostname().toLowerCase();
}

function metricsBind(environment: Environment, flags: MetricsFlags): string {
  const { host, port } = splitAddress(environment['ASTRAGO_METRICS_BIND'] ?? '127.0.0.1:9410');
  const chosen = flags.host ?? host;
  return `${chosen.includes(':') ? `[${chosen}]` : chosen}:${flags.port ?? port}`;
}

export function isWildcard(host: string): boolean {
  return /^(|0\.0\.0\.0|\[?::\]?)$/.test(host);
}
