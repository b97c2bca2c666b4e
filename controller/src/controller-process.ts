// The composition root of the controller: opens the store, makes every adapter, runs the loops.

import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NodeName } from '@astrago/shared/domain/ids';
import { splitAddress } from '@astrago/shared/runtime/address';
import { systemClock } from '@astrago/shared/runtime/clock';
import { Closers } from '@astrago/shared/runtime/closers';
import { requireTls13 } from '@astrago/shared/runtime/tls-minimum';
import { pino } from 'pino';
import { Cluster } from '#core/cluster/cluster';
import { AgentLinks } from './agents/agent-links.ts';
import { Authority } from './agents/authority.ts';
import { type EnrollmentDeps, EnrollmentServers } from './agents/enrollment.ts';
import type { NodeReports } from './agents/node-link.ts';
import { Controller } from './app/controller.ts';
import type { LeadershipLost } from './app/ports.ts';
import { openTokenDoor } from './auth/token-door.ts';
import type { ControllerConfig } from './config.ts';
import { ControllerMetrics } from './http/metrics.ts';
import { buildServer } from './http/server.ts';
import { solveMilp } from './planning/solve-milp.ts';
import { SqliteStore } from './store/sqlite-store.ts';

const version = '0.0.0';
/** For one of the two programs of a plan; 256 GPUs take 1 to 2 s. */
const solverLimitMs = 10_000;

export interface RunningController extends AsyncDisposable {
  readonly url: string;
  /** Rejects when this controller must not go on. */
  readonly failed: Promise<never>;
}

export async function startController(config: ControllerConfig): Promise<RunningController> {
  requireTls13();
  const log = pino({ name: 'controller', level: config.logLevel, redact: ['req.headers.authorization'] }, pino.destination(2));
  const warn = (facts: object, message: string): void => log.warn(facts, message);
  const clock = systemClock;
  const closers = new Closers();
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => undefined);
  const onLeadershipLost = (lost: LeadershipLost): void => failure.reject(lost);
  try {
    mkdirSync(config.dataDirectory, { recursive: true, mode: 0o700 });
    const store = new SqliteStore(join(config.dataDirectory, 'astrago.db'));
    closers.add(() => store.close());
    const broken = store.firstBrokenAuditRow();
    if (broken !== undefined) log.error({ row: broken }, 'the audit log was changed by something else than a controller');
    const authority = await Authority.open(join(config.dataDirectory, 'authority'), clock.nowMs);
    const metrics = new ControllerMetrics(version);
    const clientPair = await authority.issue('controller', 365);
    const reports: NodeReports = {
      onWatched: (node, obstacle) => controller.fleet.watched(node, obstacle),
      onInventory: (node, inventory) => {
        controller.fleet.inventory(node, inventory);
        controller.dispatcher.nodeHolds(node, inventory.epoch, inventory.generation);
      },
      onAllocations: (node, allocations) => {
        controller.fleet.allocations(node, allocations);
        controller.reported();
      },
      onReadings: (_node, readings) => {
        for (const reading of readings) controller.fleet.readings.set(reading.gpu, reading);
      },
      onStrangers: (node, strangers) => controller.fleet.strangers(node, strangers),
    };
    const agents = new AgentLinks({
      credentials: { authorityPem: authority.certificatePem, ...clientPair },
      reports,
      clock,
      enforcement: config.enforcement,
      random: Math.random,
      log: warn,
    });
    const ending = new AbortController();
    const controller: Controller = new Controller({
      cluster: new Cluster(),
      store,
      agents,
      clock,
      newId: (prefix) => `${prefix}_${clock.nowMs().toString(36).padStart(9, '0')}${randomBytes(6).toString('hex')}`,
      nodeUnreachableAfterMs: config.nodeUnreachableAfterMs,
      nodeLostAfterMs: config.nodeLostAfterMs,
      auditPeriodMs: config.auditPeriodMs,
      protectionMs: config.protectionMs,
      solve: (text) => solveMilp(text, solverLimitMs, ending.signal),
      onLeadershipLost,
      onDecided: (facts) => metrics.decided(facts),
      onCommitted: (sample) => metrics.committed(sample),
      log: warn,
    });
    const loops = controller.run(ending.signal).catch(failure.reject);
    closers.add(async () => {
      ending.abort();
      await loops;
    });
    closers.use(agents);
    for (const node of controller.cluster.nodes.values()) if (node.address !== undefined) agents.connect(node.name, node.address);

    const joinTokenFile = join(config.dataDirectory, 'join-token');
    const mayJoin = openTokenDoor({ store, kind: 'join', file: joinTokenFile, suffix: authority.fingerprint, nowMs: clock.nowMs() });
    const enrollmentDeps: EnrollmentDeps = {
      authority,
      mayJoin,
      heartbeatPeriodMs: config.heartbeatPeriodMs,
      onHeartbeat: (node: NodeName, address, bootId) => {
        agents.connect(node, address);
        controller.fleet.heartbeat(node, address, bootId).then(
          () => controller.dispatcher.nudge(node),
          (cause: unknown) => warn({ node, cause: String(cause) }, 'a heartbeat could not be taken'),
        );
      },
      log: warn,
    };
    const enrollment = closers.use(
      await EnrollmentServers.listen(rememberedBinds(config), enrollmentDeps).catch((taken: unknown) => {
        // Somebody else has a port of ours; agents are told the new one when they are started again.
        warn({ taken: String(taken) }, 'a remembered address is not free');
        return EnrollmentServers.listen({ join: config.joinBind, agents: config.agentsBind }, enrollmentDeps);
      }),
    );
    remember(config, { join: enrollment.joinAddress, agents: enrollment.agentsAddress });

    const adminTokenFile = join(config.dataDirectory, 'admin-token');
    const isAdmin = openTokenDoor({ store, kind: 'admin', file: adminTokenFile, nowMs: clock.nowMs() });
    const app = await buildServer({
      controller,
      store,
      agents,
      metrics,
      version,
      startedAtMs: clock.nowMs(),
      nowMs: clock.nowMs,
      actorOf: (token) => (isAdmin(token) ? 'admin' : undefined),
      log,
    });
    closers.add(() => app.close());
    const url = await app.listen(splitAddress(config.httpBind));

    writeAtomically(join(config.dataDirectory, 'controller.json'), {
      pid: process.pid,
      url,
      joinAddress: enrollment.joinAddress,
      controllerAddress: enrollment.agentsAddress,
      joinTokenFile,
      adminTokenFile,
    });
    log.info({ url }, 'the controller is up');
    return { url, failed: failure.promise, [Symbol.asyncDispose]: () => closers[Symbol.asyncDispose]() };
  } catch (cause) {
    await closers[Symbol.asyncDispose]();
    throw cause;
  }
}

interface Binds {
  readonly join: string;
  readonly agents: string;
}

/** A restarted controller listens where it did before, since its agents know that address. */
function rememberedBinds(config: ControllerConfig): Binds {
  const asked = { join: config.joinBind, agents: config.agentsBind };
  try {
    const known = JSON.parse(readFileSync(join(config.dataDirectory, 'addresses.json'), 'utf8')) as Binds;
    return { join: asked.join.endsWith(':0') ? known.join : asked.join, agents: asked.agents.endsWith(':0') ? known.agents : asked.agents };
  } catch {
    return asked;
  }
}

function remember(config: ControllerConfig, binds: Binds): void {
  writeAtomically(join(config.dataDirectory, 'addresses.json'), binds);
}

function writeAtomically(file: string, content: object): void {
  writeFileSync(`${file}.new`, `${JSON.stringify(content, undefined, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
