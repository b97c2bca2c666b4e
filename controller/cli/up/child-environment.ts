// What the controller and the agents are started with.
import { delimiter, join } from 'node:path';
import { dataFiles } from '../locate/data-directory.ts';
import type { NodePlan } from './cluster-plan.ts';
import type { ControllerFile } from './controller-file.ts';
import { directoryMark } from './proc-scan.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export function controllerEnvironment(directory: string, port: number, own: Environment): NodeJS.ProcessEnv {
  return { ...inherited(directory, own), ASTRAGO_DATA: directory, ASTRAGO_HTTP_BIND: `127.0.0.1:${port}` };
}

export function agentEnvironment(directory: string, node: NodePlan, controller: ControllerFile, own: Environment): NodeJS.ProcessEnv {
  const home = nodeHome(directory, node);
  const common = {
    ...inherited(directory, own),
    ASTRAGO_NODE_NAME: node.name,
    ASTRAGO_AGENT_DATA: join(home, 'agent'),
    ASTRAGO_JOIN_ADDRESS: controller.joinAddress,
    ASTRAGO_CONTROLLER_ADDRESS: controller.controllerAddress,
    ASTRAGO_JOIN_TOKEN_FILE: controller.joinTokenFile,
    ASTRAGO_AGENT_BIND: '127.0.0.1:0',
    ASTRAGO_METRICS_BIND: '127.0.0.1:0',
    // On one's own machine workloads run as oneself, whoever that is, and find what one finds.
    ASTRAGO_ALLOW_ROOT_WORKLOADS: '1',
    ASTRAGO_WORKLOAD_PATH: own['PATH'],
  };
  if (node.kind === 'real') return common;
  const bin = join(home, 'machine', 'bin');
  const path = [bin, own['PATH']].filter(Boolean).join(delimiter);
  return {
    ...common,
    ASTRAGO_NVIDIA_SMI: join(bin, 'nvidia-smi'),
    PATH: path,
    // A manager of this machine's MIG has no business with simulated GPUs.
    ASTRAGO_MIG_MANAGEMENT: 'take-over',
    // The log of this machine tells of other GPUs.
    ASTRAGO_KERNEL_LOG: join(bin, '..', 'kmsg'),
    // Workloads find the machine's own nvidia-smi too.
    ASTRAGO_WORKLOAD_PATH: path,
    ASTRAGO_CPU_MILLI: '96000',
    ASTRAGO_MEMORY_MIB: '1048576',
  };
}

export function nodeHome(directory: string, node: NodePlan): string {
  return join(dataFiles(directory).nodes, node.name);
}

/** What the user exported, less what is about talking to a cluster: a token has no business in an agent or a workload. */
export function inherited(directory: string, own: Environment): NodeJS.ProcessEnv {
  const kept: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(own)) {
    if (name !== 'ASTRAGO_TOKEN' && name !== 'ASTRAGO_URL' && name !== 'ASTRAGO_ALLOCATION_ID') kept[name] = value;
  }
  kept[directoryMark] = directory;
  return kept;
}
