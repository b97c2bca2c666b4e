// The composition root of the agent: builds every adapter and runs the loops.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { splitAddress } from '@astrago/shared/runtime/address';
import { systemClock } from '@astrago/shared/runtime/clock';
import { Closers } from '@astrago/shared/runtime/closers';
import { requireTls13 } from '@astrago/shared/runtime/tls-minimum';
import { pino } from 'pino';
import { NodeAgent } from './app/node-agent.ts';
import { NodeState } from './app/node-state.ts';
import { type AgentConfig, isWildcard } from './config.ts';
import { heartbeat } from './enrollment/heartbeat.ts';
import { credentialsFor } from './enrollment/join.ts';
import { GrpcServer } from './grpc/server.ts';
import { lockDirectory } from './ledger/directory-lock.ts';
import { FileLedger } from './ledger/file-ledger.ts';
import { AgentMetrics } from './metrics/registry.ts';
import { MetricsServer } from './metrics/server.ts';
import { LocalMpsControl } from './mps/control.ts';
import { FileModeMemory } from './mps/mode-memory.ts';
import { mpsDirectory } from './mps/mps-directory.ts';
import { workloadEnvironment } from './processes/device-environment.ts';
import { LocalLauncher } from './processes/launcher.ts';
import { readBootId } from './processes/proc.ts';
import { createSmiDriver } from './smi/driver.ts';

const version = '0.0.0';

export interface RunningAgent extends AsyncDisposable {
  readonly address: string;
  readonly metricsPort: number;
}

export async function startAgent(config: AgentConfig): Promise<RunningAgent> {
  requireTls13();
  const log = pino({ name: 'agent', level: config.logLevel, base: { node: config.node } }, pino.destination(2));
  const clock = systemClock;
  const closers = new Closers();
  try {
    await mkdir(config.dataDirectory, { recursive: true, mode: 0o700 });
    closers.use(await lockDirectory(config.dataDirectory));
    const bootId = readBootId(config.bootIdFile);
    const ledger = closers.use(await FileLedger.open(join(config.dataDirectory, 'ledger'), bootId, clock.nowMs));
    const state = new NodeState(clock.nowMs);
    const metrics = new AgentMetrics({
      node: config.node,
      version,
      state,
      clock,
      samplePeriodMs: config.samplePeriodMs,
      inventoryPeriodMs: config.inventoryPeriodMs,
    });
    const environmentOf = (
      allocation: { readonly id: string; readonly workload: string; readonly workspace: string },
      asked: Readonly<Record<string, string>>,
      visible: readonly string[],
      sharing: Readonly<Record<string, string>>,
    ) =>
      workloadEnvironment({
        asked,
        visible,
        sharing,
        allocation: allocation.id,
        workload: allocation.workload,
        workspace: allocation.workspace,
      });
    const launcher = new LocalLauncher({
      directory: join(config.dataDirectory, 'allocations'),
      bootId,
      environment: config.workloadEnvironment,
      onExit: () => agent.nudge(),
    });
    const driver = createSmiDriver({
      program: config.nvidiaSmi,
      environment: config.workloadEnvironment,
      onCommand: (sample) => metrics.onCommand(sample),
    });
    const agent: NodeAgent = new NodeAgent({
      driver,
      ledger,
      launcher,
      mps: new LocalMpsControl({
        directory: mpsDirectory({ asked: config.mpsDirectory, dataDirectory: config.dataDirectory }),
        program: config.mpsControl,
        nvidiaSmi: config.nvidiaSmi,
        environment: config.workloadEnvironment,
        clock,
      }),
      computeModes: driver,
      modes: await FileModeMemory.open(join(config.dataDirectory, 'compute-modes.json'), bootId),
      clock,
      state,
      environment: (allocation, visible, sharing) =>
        environmentOf(allocation, allocation.intent.kind === 'run' ? allocation.intent.environment : {}, visible, sharing),
      inventoryPeriodMs: config.inventoryPeriodMs,
      samplePeriodMs: config.samplePeriodMs,
      prepareTimeoutMs: config.prepareTimeoutMs,
      strangersTimeoutMs: config.strangersTimeoutMs,
      log: (facts, message) => log.warn(facts, message),
    });
    const credentials = await credentialsFor({
      node: config.node,
      joinAddress: config.joinAddress,
      tokenFile: config.joinTokenFile,
      directory: join(config.dataDirectory, 'credentials'),
      hosts: ['localhost', splitAddress(config.bind).host, config.advertisedHost].filter((host) => !isWildcard(host)),
      clock,
      random: Math.random,
      log: (what, message) => log.warn(what, message),
    });
    const facts = { node: config.node, bootId, agentVersion: version, cpuMilli: config.cpuMilli, memoryMiB: config.memoryMiB };
    const server = closers.use(
      await GrpcServer.listen(config.bind, credentials, {
        agent,
        launcher,
        facts,
        mayGrow: (id) => agent.mayGrow(id),
        execTarget: (id) => agent.execTarget(id),
      }),
    );
    const metricsServer = closers.use(await MetricsServer.listen(config.metricsBind, metrics));
    const ending = new AbortController();
    const loops = agent.run(ending.signal);
    const beats = heartbeat(
      {
        node: config.node,
        bootId,
        ownAddress: `${config.advertisedHost}:${splitAddress(server.address).port}`,
        controllerAddress: config.controllerAddress,
        credentials,
        clock,
        random: Math.random,
        log: (what, message) => log.warn(what, message),
      },
      ending.signal,
    );
    closers.add(async () => {
      ending.abort();
      await Promise.all([loops, beats]);
    });
    log.info({ address: server.address, metricsPort: metricsServer.port }, 'the agent is up');
    return { address: server.address, metricsPort: metricsServer.port, [Symbol.asyncDispose]: () => closers[Symbol.asyncDispose]() };
  } catch (failure) {
    await closers[Symbol.asyncDispose]();
    throw failure;
  }
}
