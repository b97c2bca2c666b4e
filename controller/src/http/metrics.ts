import { phases } from '@astrago/api';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { type WaitingReason, waitingReasons } from '#core/reason';
import type { Controller } from '../app/controller.ts';
import type { CommitSample } from '../app/journal.ts';

const seconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5];

/** The controller's metrics. What is counted of the cluster is read at the scrape, from memory. */
export class ControllerMetrics {
  readonly #registry = new Registry();
  readonly #decision: Histogram;
  readonly #binds: Counter;
  readonly #commit: Histogram;
  readonly #commands: Counter;
  readonly #http: Histogram<'route' | 'status'>;

  constructor(version: string) {
    const registers = [this.#registry];
    new Gauge({ name: 'astrago_build_info', help: 'Version of the controller.', labelNames: ['version'], registers }).set({ version }, 1);
    this.#decision = new Histogram({
      name: 'astrago_decision_duration_seconds',
      help: 'How long one look at the queue took.',
      buckets: seconds,
      registers,
    });
    this.#binds = new Counter({ name: 'astrago_placements_total', help: 'Workloads placed.', registers });
    this.#commit = new Histogram({
      name: 'astrago_commit_duration_seconds',
      help: 'How long a group commit took, with its commands.',
      buckets: seconds,
      registers,
    });
    this.#commands = new Counter({ name: 'astrago_committed_commands_total', help: 'Commands in all group commits.', registers });
    this.#http = new Histogram({
      name: 'astrago_http_request_duration_seconds',
      help: 'How long requests took.',
      labelNames: ['route', 'status'],
      buckets: seconds,
      registers,
    });
  }

  decided(facts: { readonly ms: number; readonly binds: number }): void {
    this.#decision.observe(facts.ms / 1000);
    this.#binds.inc(facts.binds);
  }

  committed(sample: CommitSample): void {
    this.#commit.observe(sample.ms / 1000);
    this.#commands.inc(sample.commands);
  }

  answered(route: string, status: number, ms: number): void {
    this.#http.observe({ route, status: String(status) }, ms / 1000);
  }

  async text(controller: Controller): Promise<string> {
    const now = new Registry();
    describe(now, controller);
    return Registry.merge([this.#registry, now]).metrics();
  }
}

function describe(registry: Registry, controller: Controller): void {
  const { cluster } = controller;
  const registers = [registry];
  const workloads = new Gauge({ name: 'astrago_workloads', help: 'Live workloads by phase.', labelNames: ['phase'], registers });
  for (const phase of phases.slice(0, 4))
    workloads.set({ phase }, [...cluster.workloads.values()].filter((workload) => workload.phase === phase).length);
  const pending = new Gauge({
    name: 'astrago_pending_workloads',
    help: 'Queued workloads by their primary reason.',
    labelNames: ['reason'],
    registers,
  });
  const counts = controller.waiting.counts();
  for (const reason of Object.keys(waitingReasons) as WaitingReason[]) pending.set({ reason }, counts.get(reason) ?? 0);
  const nodes = new Gauge({ name: 'astrago_nodes', help: 'Nodes by state.', labelNames: ['state'], registers });
  for (const state of ['joining', 'ready', 'unreachable'] as const)
    nodes.set({ state }, [...cluster.observed.values()].filter((node) => node.state === state).length);
  new Gauge({ name: 'astrago_allocations', help: 'Allocations held.', registers }).set(cluster.allocations.size);
  new Gauge({ name: 'astrago_invariant_findings', help: 'Broken invariants at the last audit.', registers }).set(
    controller.audit.findings.length,
  );
  new Counter({ name: 'astrago_invariant_audits_total', help: 'Audits since the start.', registers }).inc(controller.auditRounds);
}
