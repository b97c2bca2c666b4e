import { type ConditionKind, conditionKinds } from '@astrago/shared/domain/condition';
import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { Clock } from '@astrago/shared/runtime/clock';
import { Loop } from '@astrago/shared/runtime/loop';
import {
  afterRecoveryNote,
  afterReset,
  afterSample,
  afterSilence,
  afterXid,
  findingsOf,
  type GpuHealth,
  type HealthFinding,
  tidied,
  unexamined,
} from '#core/health/gpu-health';
import { pciAddress } from '#core/health/pci-address';
import { sampleRules } from '#core/health/sample-rules';
import { conditionOfClass } from '#core/health/xid-catalog';
import type { Xid } from '#core/health/xid-memory';
import type { Order } from '#core/order';
import { type Drift, driftOf } from './health-drift.ts';
import type { DatedKernelNote, KernelLog, ResetMemory } from './health-ports.ts';
import type { NodeState, XidTotal } from './node-state.ts';

export interface HealthWatchDeps {
  readonly state: NodeState;
  readonly kernelLog: KernelLog;
  readonly resets: ResetMemory;
  readonly clock: Clock;
  readonly order: () => Order;
  readonly samplePeriodMs: number;
  /** How long a layout may stand still on its way before it counts as drifted. */
  readonly driftAfterMs: number;
  readonly log: (facts: object, message: string) => void;
}

/** The kernel log is looked at this often; a sample at the latest this long after it came. */
const roundMs = 1000;
/** Periods without a sample after which its GPU is not watched any more. */
const stalePeriods = 3;
/** Notes of addresses that no GPU is known for yet, and codes counted for each GPU. */
const [orphansMax, codesMax] = [256, 64];

/** What this watch raises and clears. The other conditions belong to the loops that meet them. */
const ownKinds: ReadonlySet<ConditionKind> = new Set([
  ...sampleRules.map(({ kind }) => kind),
  ...Object.values(conditionOfClass).filter((kind) => kind !== undefined),
]);

/**
 * Turns samples and the kernel log into conditions. It reads what others have measured and asks the driver nothing, so
 * an nvidia-smi that hangs delays no Xid.
 */
export class HealthWatch {
  readonly #deps: HealthWatchDeps;
  readonly #loop: Loop;
  readonly #health = new Map<GpuUuid, GpuHealth>();
  /** When a GPU was first known, or gave its last sample. */
  readonly #heardMs = new Map<GpuUuid, number>();
  /** By its own clock, the last sample of each GPU. */
  readonly #sampledAt = new Map<GpuUuid, number>();
  readonly #drifts = new Map<GpuUuid, Drift>();
  readonly #named = new Map<string, GpuUuid>();
  readonly #totals = new Map<GpuUuid, Map<number, XidTotal>>();
  #orphans: readonly (DatedKernelNote & { readonly atMs: number })[] = [];
  #taken: NonNullable<NodeState['samples']['current']>['samples'] | undefined;
  #saidUnreadable: string | undefined;

  constructor(deps: HealthWatchDeps) {
    this.#deps = deps;
    const onFailure = (failure: unknown): void =>
      deps.log({ failure: failure instanceof Error ? failure.message : String(failure) }, 'looking after the health of the GPUs failed');
    const periodMs = Math.min(roundMs, deps.samplePeriodMs);
    this.#loop = new Loop({ once: () => this.round(), periodMs, clock: deps.clock, onFailure });
  }

  async run(signal: AbortSignal): Promise<void> {
    await this.#loop.run(signal);
  }

  /** This agent has reset a GPU. */
  noteReset(gpu: GpuUuid): void {
    void this.#deps.resets.note(gpu);
    this.#change(gpu, (health) => afterReset(health, this.#deps.clock.elapsedMs()));
    this.#loop.nudge();
  }

  /** One look at everything. */
  async round(): Promise<void> {
    this.#meet();
    await this.#readLog();
    this.#takeSamples();
    this.#noticeSilence();
    this.#noticeDrift();
    this.#tell();
  }

  /** A GPU that is known for the first time begins with the reset that this agent remembers of it. */
  #meet(): void {
    const { state, resets, clock } = this.#deps;
    const nowMs = clock.elapsedMs();
    for (const gpu of state.known) {
      if (this.#heardMs.has(gpu)) continue;
      this.#heardMs.set(gpu, nowMs);
      const ageMs = resets.ageMs(gpu);
      if (ageMs !== undefined) this.#change(gpu, (health) => afterReset(health, nowMs - ageMs));
    }
  }

  async #readLog(): Promise<void> {
    const { kernelLog, state, clock } = this.#deps;
    const { status, notes, more } = await kernelLog.take();
    const known = state.kernelLog.current;
    if (known === undefined || JSON.stringify(known) !== JSON.stringify(status)) state.kernelLog.set(status);
    this.#sayReadable(status.kind === 'unreadable' ? status.detail : undefined);
    const nowMs = clock.elapsedMs();
    const told = new Set<string>();
    const waiting = [...this.#orphans, ...notes.map((note) => ({ ...note, atMs: nowMs - note.ageMs }))];
    for (const note of notes) if (note.kind === 'named') this.#named.set(note.pci, note.gpu);
    const addresses = this.#addresses();
    // The newest are kept: an old one says less of how the GPU is now.
    this.#orphans = waiting.filter((note) => !this.#takeNote(addresses.get(note.pci), note, told)).slice(-orphansMax);
    if (told.size > 0) state.xids.set([...this.#totals.values()].flatMap((counted) => [...counted.values()]));
    if (more) this.#loop.nudge();
  }

  #sayReadable(unreadable: string | undefined): void {
    if (unreadable !== undefined && unreadable !== this.#saidUnreadable)
      this.#deps.log({ detail: unreadable }, 'the kernel log is not read, so Xids are not seen');
    this.#saidUnreadable = unreadable;
  }

  #addresses(): ReadonlyMap<string, GpuUuid> {
    const { state } = this.#deps;
    // What the driver lists now is right where the log names another board from before.
    const listed = state.known.flatMap((gpu) => {
      const address = pciAddress(state.lastSeen(gpu)?.pciBusId ?? '');
      return address === undefined ? [] : [[address, gpu] as const];
    });
    const named = [...this.#named].filter(([, gpu]) => this.#heardMs.has(gpu));
    return new Map([...named, ...listed]);
  }

  /**
   * `false` when it is not known of which GPU it tells.
   *
   * @param told GPUs and codes that this round has put into the agent's own log: once a round is enough.
   */
  #takeNote(gpu: GpuUuid | undefined, note: DatedKernelNote & { readonly atMs: number }, told: Set<string>): boolean {
    if (note.kind === 'named') return true;
    if (gpu === undefined) return false;
    switch (note.kind) {
      case 'xid':
        this.#count(gpu, note.xid.code, note.atMs);
        this.#sayXid(gpu, note.xid, note.ageMs, told);
        this.#change(gpu, (health) => afterXid(health, note.xid, note.atMs));
        return true;
      case 'recovery':
        this.#change(gpu, (health) => afterRecoveryNote(health, note.word, note.atMs));
        return true;
      case 'reset':
        void this.#deps.resets.note(gpu);
        this.#change(gpu, (health) => afterReset(health, note.atMs));
        return true;
      default:
        return note satisfies never;
    }
  }

  #sayXid(gpu: GpuUuid, xid: Xid, ageMs: number, told: Set<string>): void {
    const key = `${gpu} ${xid.code}`;
    if (told.has(key)) return;
    told.add(key);
    const { code, pid, process, text } = xid;
    this.#deps.log({ gpu, xid: code, pid, process, text, secondsAgo: Math.round(ageMs / 1000) }, 'the driver has logged an Xid');
  }

  #count(gpu: GpuUuid, xid: number, atMs: number): void {
    const { clock } = this.#deps;
    const codes = this.#totals.get(gpu) ?? new Map<number, XidTotal>();
    this.#totals.set(gpu, codes);
    if (!codes.has(xid) && codes.size >= codesMax) return;
    const lastAtMs = Math.round(clock.nowMs() - (clock.elapsedMs() - atMs));
    codes.set(xid, { gpuUuid: gpu, xid, count: (codes.get(xid)?.count ?? 0) + 1, lastAtMs });
  }

  #takeSamples(): void {
    const { state, clock } = this.#deps;
    const samples = state.samples.current?.samples;
    if (samples === undefined || samples === this.#taken) return;
    this.#taken = samples;
    const nowMs = clock.elapsedMs();
    for (const sample of samples.values()) {
      // A GPU that did not answer this time may still be there with its old sample.
      if (this.#sampledAt.get(sample.gpuUuid) === sample.atMs) continue;
      this.#sampledAt.set(sample.gpuUuid, sample.atMs);
      this.#heardMs.set(sample.gpuUuid, nowMs);
      this.#change(sample.gpuUuid, (health) => afterSample(health, sample, nowMs));
    }
  }

  #noticeSilence(): void {
    const { state, clock, samplePeriodMs } = this.#deps;
    const nowMs = clock.elapsedMs();
    for (const [gpu, heardMs] of this.#heardMs) {
      const silentMs = nowMs - heardMs;
      const stale = silentMs > stalePeriods * samplePeriodMs;
      if (stale) this.#change(gpu, afterSilence);
      const periods = `more than ${stalePeriods} periods of ${samplePeriodMs / 1000} s`;
      // One that is lost is told to be lost, and gives none.
      const told = stale && !state.isMissing(gpu) ? `no sample for ${periods}` : undefined;
      state.setCondition(gpu, 'telemetry-stale', told);
    }
  }

  #noticeDrift(): void {
    const { state, clock, order, driftAfterMs } = this.#deps;
    const nowMs = clock.elapsedMs();
    const wanted = new Map(order().gpus.map(({ uuid, layout }) => [uuid, layout]));
    for (const uuid of state.known) {
      const [layout, gpu] = [wanted.get(uuid), state.gpu(uuid)];
      // Not listed now: nothing is known of its slices.
      if (layout !== undefined && gpu === undefined) continue;
      const drift = layout === undefined || gpu === undefined ? undefined : driftOf(this.#drifts.get(uuid), layout, gpu, nowMs);
      if (drift === undefined) this.#drifts.delete(uuid);
      else this.#drifts.set(uuid, drift);
      if (drift === undefined) state.setCondition(uuid, 'layout-drifted', undefined);
      else if (nowMs - drift.sinceMs >= driftAfterMs) state.setCondition(uuid, 'layout-drifted', drift.shown);
    }
  }

  #tell(): void {
    const { state, clock } = this.#deps;
    const nowMs = clock.elapsedMs();
    for (const [gpu, health] of this.#health) {
      this.#health.set(gpu, tidied(health, nowMs));
      const found = new Map(findingsOf(health, nowMs).map((finding) => [finding.kind, finding]));
      const before = new Set(state.inventory.current?.conditions.get(gpu)?.map(({ kind }) => kind) ?? []);
      for (const kind of ownKinds) {
        const finding = found.get(kind);
        if (finding !== undefined && !before.has(kind)) this.#sayRaised(gpu, finding);
        if (finding?.sinceMs !== undefined)
          state.raiseSince(gpu, { kind, detail: finding.detail, sinceMs: Math.round(clock.nowMs() - (nowMs - finding.sinceMs)) });
        else if (finding !== undefined || before.has(kind)) state.setCondition(gpu, kind, finding?.detail);
      }
    }
  }

  #sayRaised(gpu: GpuUuid, { kind, detail }: HealthFinding): void {
    const { severity, action } = conditionKinds[kind];
    this.#deps.log({ gpu, kind, severity, action, detail }, 'a GPU has a new condition');
  }

  #change(gpu: GpuUuid, step: (health: GpuHealth) => GpuHealth): void {
    this.#health.set(gpu, step(this.#health.get(gpu) ?? unexamined));
  }
}
