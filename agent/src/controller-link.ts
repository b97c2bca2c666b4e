// Everything between an agent and its controller: the certificate, the server that takes orders, the heartbeat.
// Loaded only where there is a controller; without one an agent needs neither gRPC nor X.509.
import { join } from 'node:path';
import { splitAddress } from '@astrago/shared/runtime/address';
import type { Clock } from '@astrago/shared/runtime/clock';
import type { NodeAgent } from './app/node-agent.ts';
import type { ProcessLauncher } from './app/ports.ts';
import { type AgentConfig, type ControllerConfig, isWildcard } from './config.ts';
import { heartbeat } from './enrollment/heartbeat.ts';
import { credentialsFor } from './enrollment/join.ts';
import { GrpcServer } from './grpc/server.ts';
import { agentVersion } from './version.ts';

export interface ControllerLink extends AsyncDisposable {
  /** host:port where this agent takes orders. */
  readonly address: string;
  /** Says where the agent is, until the signal is aborted. */
  beat(signal: AbortSignal): Promise<void>;
}

/** Joins where this node has no certificate yet, and listens. */
export async function linkController(facts: {
  readonly config: AgentConfig;
  readonly controller: ControllerConfig;
  readonly agent: NodeAgent;
  readonly launcher: ProcessLauncher;
  readonly bootId: string;
  readonly clock: Clock;
  /** The controller has answered, given an order, or asked. */
  readonly onController: () => void;
  readonly log: (facts: object, message: string) => void;
}): Promise<ControllerLink> {
  const { config, controller, agent, launcher, bootId, clock, onController, log } = facts;
  const credentials = await credentialsFor({
    node: config.node,
    joinAddress: controller.joinAddress,
    tokenFile: controller.joinTokenFile,
    directory: join(config.dataDirectory, 'credentials'),
    hosts: ['localhost', splitAddress(controller.bind).host, controller.advertisedHost].filter((host) => !isWildcard(host)),
    clock,
    random: Math.random,
    log,
  });
  const server = await GrpcServer.listen(controller.bind, credentials, {
    agent,
    launcher,
    facts: { node: config.node, bootId, agentVersion, cpuMilli: config.cpuMilli, memoryMiB: config.memoryMiB },
    mayGrow: (id) => agent.mayGrow(id),
    execTarget: (id) => agent.execTarget(id),
    onController,
  });
  return {
    address: server.address,
    beat: (signal) =>
      heartbeat(
        {
          node: config.node,
          bootId,
          ownAddress: `${controller.advertisedHost}:${splitAddress(server.address).port}`,
          controllerAddress: controller.controllerAddress,
          credentials,
          clock,
          random: Math.random,
          onAnswer: onController,
          log,
        },
        signal,
      ),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
