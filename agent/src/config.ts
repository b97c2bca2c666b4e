import { availableParallelism, hostname, totalmem } from 'node:os';
import { type Environment, required, whole } from '@astrago/shared/runtime/environment';

export interface AgentConfig {
  readonly node: string;
  readonly dataDirectory: string;
  readonly joinAddress: string;
  readonly controllerAddress: string;
  readonly joinTokenFile: string | undefined;
  readonly nvidiaSmi: string;
  /** Path or name; absent: beside nvidia-smi where that is a path, else by name. */
  readonly mpsControl: string | undefined;
  /** Where MPS daemons have their sockets; absent: chosen at start. */
  readonly mpsDirectory: string | undefined;
  readonly bind: string;
  /** Where the controller finds this node; the bind address unless that is "any". */
  readonly advertisedHost: string;
  readonly metricsBind: string;
  readonly cpuMilli: number;
  readonly memoryMiB: number;
  readonly inventoryPeriodMs: number;
  readonly samplePeriodMs: number;
  readonly prepareTimeoutMs: number;
  /** How long processes of strangers may be in the way before what waits behind them has failed. */
  readonly strangersTimeoutMs: number;
  readonly bootIdFile: string;
  readonly logLevel: string;
  /** What workloads inherit of the agent's own environment. */
  readonly workloadEnvironment: Readonly<Record<string, string>>;
}

/** Names a workload may take over; never the agent's whole environment, which may hold secrets. */
const inherited = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR', 'USER', 'LD_LIBRARY_PATH'];

export function readAgentConfig(environment: Environment): AgentConfig {
  const bind = environment['ASTRAGO_AGENT_BIND'] ?? '127.0.0.1:0';
  const bindHost = bind.slice(0, bind.lastIndexOf(':'));
  return {
    node: environment['ASTRAGO_NODE_NAME'] ?? hostname().toLowerCase(),
    dataDirectory: required(environment, 'ASTRAGO_AGENT_DATA', 'the directory this agent keeps its state in'),
    joinAddress: required(environment, 'ASTRAGO_JOIN_ADDRESS', "host:port of the controller's join service"),
    controllerAddress: required(environment, 'ASTRAGO_CONTROLLER_ADDRESS', "host:port of the controller's agent service"),
    joinTokenFile: environment['ASTRAGO_JOIN_TOKEN_FILE'],
    nvidiaSmi: environment['ASTRAGO_NVIDIA_SMI'] ?? 'nvidia-smi',
    mpsControl: environment['ASTRAGO_NVIDIA_CUDA_MPS_CONTROL'],
    mpsDirectory: environment['ASTRAGO_MPS_DIRECTORY'],
    bind,
    advertisedHost: environment['ASTRAGO_AGENT_ADVERTISE'] ?? (isWildcard(bindHost) ? hostname() : bindHost),
    metricsBind: environment['ASTRAGO_METRICS_BIND'] ?? '127.0.0.1:9410',
    cpuMilli: whole(environment, 'ASTRAGO_CPU_MILLI', availableParallelism() * 1000),
    memoryMiB: whole(environment, 'ASTRAGO_MEMORY_MIB', Math.floor(totalmem() / 2 ** 20)),
    inventoryPeriodMs: whole(environment, 'ASTRAGO_INVENTORY_PERIOD_MS', 10_000),
    samplePeriodMs: whole(environment, 'ASTRAGO_SAMPLE_PERIOD_MS', 10_000),
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

export function isWildcard(host: string): boolean {
  return /^(|0\.0\.0\.0|\[?::\]?)$/.test(host);
}
