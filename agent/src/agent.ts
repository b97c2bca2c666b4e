// The composition root of the agent: builds every adapter and runs the loops.

import { chmod, mkdir } from 'node:fs/promises';
import { uptime } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@astrago/shared/runtime/clock';
import { Closers } from '@astrago/shared/runtime/closers';
import { Loop } from '@astrago/shared/runtime/loop';
import { requireTls13 } from '@astrago/shared/runtime/tls-minimum';
import { pino } from 'pino';
import { Attribution } from './app/attribution.ts';
import { Enforcer } from './app/enforcer.ts';
import { HealthWatch } from './app/health-watch.ts';
import { HostTelemetry } from './app/host-telemetry.ts';
import { MigManagement } from './app/mig-management.ts';
import { NodeAgent } from './app/node-agent.ts';
import { NodeState, nodeKey } from './app/node-state.ts';
import { Collectors } from './app/telemetry-status.ts';
import { TopologyWatch } from './app/topology.ts';
import type { AgentConfig } from './config.ts';
import { hostReader } from './host/host-reader.ts';
import { numaNodes } from './host/numa-nodes.ts';
import { openKernelLog } from './kernel-log/kernel-log.ts';
import { openResetMemory } from './kernel-log/reset-memory.ts';
import { lockDirectory } from './ledger/directory-lock.ts';
import { FileLedger } from './ledger/file-ledger.ts';
import { AgentMetrics } from './metrics/registry.ts';
import { MetricsServer } from './metrics/server.ts';
import { enabledUnits } from './mig-manager/enabled-units.ts';
import { runningManagers } from './mig-manager/running-managers.ts';
import { LocalMpsControl } from './mps/control.ts';
import { FileModeMemory } from './mps/mode-memory.ts';
import { mpsDirectory } from './mps/mps-directory.ts';
import { confinementOf } from './processes/confinement-of.ts';
import { workloadEnvironment } from './processes/device-environment.ts';
import { LocalLauncher } from './processes/launcher.ts';
import { readBootId } from './processes/proc.ts';
import { processInspector } from './processes/process-inspector.ts';
import { processSignals } from './processes/process-signals.ts';
import { createSmiDriver } from './smi/driver.ts';
import { agentVersion } from './version.ts';

/** How soon the end of a full disk is seen. */
const probePeriodMs = 10_000;
/** What is written in that time may be kept beyond the limit. */
const trimPeriodMs = 10_000;

export interface RunningAgent extends AsyncDisposable {
  /** host:port where it takes orders; absent for one that stands alone. */
  readonly address: string | undefined;
  readonly metricsPort: number;
}

/**
 * Without a controller in its settings an agent stands alone: no order can reach it, so it changes nothing and only looks.
 * Its data directory must then be one of its own, for an empty order means "end all work" to what another agent has started.
 */
export async function startAgent(config: AgentConfig): Promise<RunningAgent> {
  requireTls13();
  const log = pino({ name: 'agent', level: config.logLevel, base: { node: config.node } }, pino.destination(2));
  const warn = (facts: object, message: string): void => log.warn(facts, message);
  const clock = systemClock;
  const closers = new Closers();
  try {
    await mkdir(config.dataDirectory, { recursive: true, mode: 0o700 });
    // A workload's own directory lies in it: its user may pass, and see nothing else.
    if (config.workloadUser !== undefined) await chmod(config.dataDirectory, 0o711);
    closers.use(await lockDirectory(config.dataDirectory));
    const bootId = readBootId(config.bootIdFile);
    const state = new NodeState(clock.nowMs);
    const ledger = closers.use(
      await FileLedger.open({
        directory: join(config.dataDirectory, 'ledger'),
        bootId,
        nowMs: clock.nowMs,
        tell: (kind, detail) => state.setCondition(nodeKey, kind, detail),
      }),
    );
    const collectors = new Collectors(clock);
    const host =
      config.hostPeriodMs === undefined
        ? undefined
        : new HostTelemetry({
            reader: hostReader(),
            clock,
            collectors,
            periodMs: config.hostPeriodMs,
            log: warn,
          });
    const metrics = new AgentMetrics({
      node: config.node,
      version: agentVersion,
      state,
      clock,
      periodsMs: {
        inventory: config.inventoryPeriodMs,
        sample: config.samplePeriodMs,
        detail: config.detailPeriodMs,
        host: config.hostPeriodMs ?? 0,
      },
      order: () => ledger.order,
      collectors,
      telemetry: () => state.telemetryStatus(),
      hung: () => ({ 'nvidia-smi': driver.hungCommands(), 'nvidia-cuda-mps-control': mps.hungCommands() }),
      host: host?.latest,
      compatibility: config.metricsCompatibility,
    });
    const launcher = new LocalLauncher({
      directory: join(config.dataDirectory, 'allocations'),
      bootId,
      environment: config.workloadEnvironment,
      tools: config.toolEnvironment['PATH'] ?? config.workloadEnvironment['PATH'],
      ...(await confinementOf(config)),
      outputMaxBytes: config.outputMaxMiB * 2 ** 20,
      onExit: () => agent.nudge(),
    });
    log.info({ limits: launcher.limitsKeptBy }, 'the limits of workloads are kept');
    const driver = createSmiDriver({
      program: config.nvidiaSmi,
      environment: config.toolEnvironment,
      onCommand: (sample) => metrics.onCommand(sample),
      onReset: (gpu) => health.noteReset(gpu),
    });
    const migManagement = new MigManagement({
      mode: config.migManagement,
      finders: [runningManagers({ proc: join(config.hostRoot, 'proc') }), enabledUnits({ root: config.hostRoot })],
      state,
      clock,
      periodMs: config.inventoryPeriodMs,
      onChange: () => agent.reconsiderLayouts(),
      log: warn,
    });
    const topology = new TopologyWatch({ table: driver, numaNodes: numaNodes({ root: config.hostRoot }), state, clock, log: warn });
    const mps = new LocalMpsControl({
      directory: mpsDirectory({ asked: config.mpsDirectory, dataDirectory: config.dataDirectory }),
      program: config.mpsControl,
      nvidiaSmi: config.nvidiaSmi,
      environment: config.toolEnvironment,
      clock,
    });
    const agent: NodeAgent = new NodeAgent({
      mayChangeLayouts: () => migManagement.mayChangeLayouts(),
      driver,
      ledger,
      launcher,
      attribution: new Attribution({ inspector: processInspector, launcher, order: () => ledger.order }),
      mps,
      computeModes: driver,
      modes: await FileModeMemory.open(join(config.dataDirectory, 'compute-modes.json'), bootId),
      clock,
      state,
      collectors,
      environment: ({ id, workload, workspace, intent }, visible, sharing) =>
        workloadEnvironment({
          asked: intent.kind === 'run' ? intent.environment : {},
          visible,
          sharing,
          allocation: id,
          workload,
          workspace,
        }),
      inventoryPeriodMs: config.inventoryPeriodMs,
      telemetry: driver.telemetry({ periodMs: config.samplePeriodMs, detailPeriodMs: config.detailPeriodMs }),
      detailPeriodMs: config.detailPeriodMs,
      prepareTimeoutMs: config.prepareTimeoutMs,
      strangersTimeoutMs: config.strangersTimeoutMs,
      log: warn,
    });
    let controllerHeardAtMs: number | undefined;
    const heard = (): void => {
      controllerHeardAtMs = clock.elapsedMs();
    };
    const enforcer = new Enforcer({
      state,
      ledger,
      signals: processSignals((pid, startTime) => launcher.isSupervisor(pid, startTime)),
      servesMps: (gpu) => agent.servesMps(gpu),
      endMpsClient: (pid, gpu) => agent.endMpsClient(pid, gpu),
      clock,
      controllerHeardAtMs: () => controllerHeardAtMs,
      controllerSilenceMaxMs: config.controllerSilenceMaxMs,
      log: warn,
    });
    const uptimeMs = (): number => uptime() * 1000;
    const health: HealthWatch = new HealthWatch({
      state,
      kernelLog: closers.use(openKernelLog({ path: config.kernelLog, uptimeMs })),
      resets: await openResetMemory({
        file: join(config.dataDirectory, 'gpu-resets.json'),
        bootId,
        uptimeMs,
        log: warn,
      }),
      clock,
      order: () => agent.order,
      samplePeriodMs: config.samplePeriodMs,
      driftAfterMs: config.driftAfterMs,
      log: warn,
    });
    const link =
      config.controller === undefined
        ? undefined
        : closers.use(
            await (await import('./controller-link.ts')).linkController({
              config,
              controller: config.controller,
              agent,
              launcher,
              bootId,
              clock,
              onController: heard,
              log: warn,
            }),
          );
    const metricsServer = closers.use(await MetricsServer.listen(config.metricsBind, metrics));
    const ending = new AbortController();
    const loops = Promise.all([
      agent.run(ending.signal),
      host?.run(ending.signal),
      health.run(ending.signal),
      migManagement.run(ending.signal),
      topology.run(ending.signal),
      metrics.run(ending.signal),
    ]);
    const beats = link?.beat(ending.signal);
    const enforcing = enforcer.run(ending.signal);
    const probing = new Loop({
      once: () => ledger.probe(),
      periodMs: probePeriodMs,
      clock,
      onFailure: () => undefined,
    }).run(ending.signal);
    const trimming = new Loop({
      once: async () => {
        for (const trouble of await launcher.trimOutputs()) log.warn(trouble, 'an output is too large and cannot be trimmed');
      },
      periodMs: trimPeriodMs,
      clock,
      onFailure: (failure) => log.warn({ failure: String(failure) }, 'looking for large outputs failed'),
    }).run(ending.signal);
    closers.add(async () => {
      ending.abort();
      await Promise.all([loops, beats, probing, enforcing, trimming]);
    });
    log.info({ address: link?.address, metricsPort: metricsServer.port }, 'the agent is up');
    return { address: link?.address, metricsPort: metricsServer.port, [Symbol.asyncDispose]: () => closers[Symbol.asyncDispose]() };
  } catch (failure) {
    await closers[Symbol.asyncDispose]();
    throw failure;
  }
}
