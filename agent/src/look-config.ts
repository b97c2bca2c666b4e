// What the commands are told that look at a machine and end. They take it as it is: nothing has to be set.
import type { Environment } from '@astrago/shared/runtime/environment';
import { hostRoot, metricsBind, nodeName, toolEnvironment } from './config.ts';

/** What the commands that look once and end need; nothing has to be set. */
export interface ObserverConfig {
  readonly node: string;
  readonly nvidiaSmi: string;
  /** Where the file system of the host is. */
  readonly hostRoot: string;
  /** For the commands that are started. */
  readonly environment: Readonly<Record<string, string>>;
}

export function readObserverConfig(environment: Environment): ObserverConfig {
  return {
    node: nodeName(environment),
    nvidiaSmi: environment['ASTRAGO_NVIDIA_SMI'] ?? 'nvidia-smi',
    hostRoot: hostRoot(environment),
    environment: toolEnvironment(environment),
  };
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
  readonly kernelLog: string;
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
    metricsBind: metricsBind(environment),
    mpsControl: given('ASTRAGO_NVIDIA_CUDA_MPS_CONTROL') ?? 'nvidia-cuda-mps-control',
    mpsDirectory: given('ASTRAGO_MPS_DIRECTORY'),
    kernelLog: given('ASTRAGO_KERNEL_LOG') ?? '/dev/kmsg',
    settings: Object.keys(environment)
      .filter((name) => name.startsWith('ASTRAGO_'))
      .sort()
      .map((name) => ({ name, value: harmless.test(name) ? environment[name] : undefined })),
  };
}
