import { inTheWayOf, nextStep, type GpuUse, type Outlook, type Step } from '#core/next-step';
import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { Layout } from '@astrago/shared/domain/mig/layout';
import { formatSlice, sameSlice, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import type { Clock } from '@astrago/shared/runtime/clock';
import type { NodeState } from './node-state.ts';
import { DriverFault, type GpuDriver, type Ledger, type ObservedGpu } from './ports.ts';
import type { DeviceFact, Failure } from '#core/allocation-step';

/** A create is tried this often before it counts as failed. */
const triesMax = 2;
/** Processes in the way are looked at this often before they count as in the way. */
const looksMax = 3;
const lookAgainMs = 300;

export interface GpuWorkerDeps {
  readonly driver: GpuDriver;
  readonly ledger: Ledger;
  readonly state: NodeState;
  readonly clock: Clock;
  /** Allocations whose process runs, or may run, on this GPU, with their slice. */
  readonly running: (gpu: GpuUuid) => readonly { readonly id: string; readonly slice: WantedSlice | undefined }[];
  readonly onProgress: () => void;
}

/**
 * Brings one GPU to its wanted layout, one step at a time, each decided on a fresh listing. GPUs do not wait for each
 * other: a hang here is a hang here.
 */
export class GpuWorker {
  readonly #uuid: GpuUuid;
  readonly #deps: GpuWorkerDeps;
  #wanted: string | undefined;
  readonly #tries = new Map<string, number>();
  readonly #failed = new Map<string, { readonly failure: Failure; readonly detail: string }>();
  #looks = 0;
  /** What this listing allows was done; what is in the way is looked at again with the next one. */
  #settledOn: ObservedGpu | undefined;

  constructor(uuid: GpuUuid, deps: GpuWorkerDeps) {
    this.#uuid = uuid;
    this.#deps = deps;
  }

  /** Steps until nothing can be done now. Throws nothing: what the driver does not do becomes a condition. */
  async work(signal: AbortSignal): Promise<void> {
    const wanted = this.#deps.ledger.order.gpus.find((gpu) => gpu.uuid === this.#uuid)?.layout;
    if (wanted === undefined) return;
    this.#noticeOrder(wanted);
    try {
      while (!signal.aborted) {
        const seen = this.#deps.state.gpu(this.#uuid);
        if (seen === undefined || this.#settledOn === seen) return;
        if (!(await this.#stepOnce(wanted, seen, signal))) return;
      }
    } catch (fault) {
      if (!(fault instanceof DriverFault)) throw fault;
      this.#noteFault(fault);
    }
  }

  /** How a device of an allocation stands. */
  device(slice: WantedSlice | undefined): DeviceFact {
    const gpu = this.#deps.state.gpu(this.#uuid);
    if (gpu === undefined) {
      return this.#deps.state.listed ? { kind: 'failed', failure: 'device-lost', detail: `${this.#uuid} is not listed by the driver` } : { kind: 'coming' };
    }
    if (slice === undefined) return !gpu.migEnabled && gpu.migPending !== true ? { kind: 'ready', visible: [gpu.uuid] } : this.#coming('mode');
    const live = gpu.slices.find((other) => sameSlice(other, slice));
    if (live?.migUuid !== undefined) return { kind: 'ready', visible: [live.migUuid] };
    return this.#coming(formatSlice(slice), slice);
  }

  #coming(key: string, slice?: WantedSlice): DeviceFact {
    const failed = this.#failed.get(key) ?? this.#failed.get('mode');
    if (failed !== undefined) return { kind: 'failed', ...failed };
    const gpu = this.#deps.state.gpu(this.#uuid);
    if (slice !== undefined && gpu !== undefined && !gpu.migCapable) return { kind: 'failed', failure: 'create-failed', detail: `${gpu.model} cannot be cut` };
    return { kind: 'coming' };
  }

  /** An order with another layout is a new try of everything. */
  #noticeOrder(wanted: Layout): void {
    const text = JSON.stringify(wanted);
    if (text === this.#wanted) return;
    this.#wanted = text;
    this.#tries.clear();
    this.#failed.clear();
    this.#settledOn = undefined;
    this.#looks = 0;
    this.#deps.state.setCondition(this.#uuid, 'layout-failed', undefined);
  }

  async #stepOnce(wanted: Layout, seen: ObservedGpu, signal: AbortSignal): Promise<boolean> {
    const givenUp = new Set(this.#failed.keys());
    const first = nextStep(wanted, seen, this.#claims(seen), givenUp);
    // Only what could destroy needs to know who really uses the GPU; a create cannot hurt anybody.
    const risky = first.step !== undefined && first.step.kind !== 'create' && first.step.kind !== 'complete';
    const gpu = risky ? await this.#relist(signal) : seen;
    const outlook = risky ? nextStep(wanted, gpu, await this.#realUse(gpu, signal), givenUp) : first;
    if (outlook.step === undefined && risky && this.#looks < looksMax) {
      // A process that is ending is still listed for a moment.
      this.#looks += 1;
      await this.#deps.clock.sleep(lookAgainMs, signal);
      return true;
    }
    this.#tell(wanted, gpu, outlook);
    if (outlook.step === undefined) {
      this.#settledOn = risky ? gpu : undefined;
      return false;
    }
    this.#looks = 0;
    return this.#take(outlook.step, signal);
  }

  async #take(step: Step, signal: AbortSignal): Promise<boolean> {
    const text = describe(step);
    await this.#deps.ledger.intent(this.#uuid, text);
    let fault: DriverFault | undefined;
    try {
      await this.#run(step, signal);
    } catch (thrown) {
      if (!(thrown instanceof DriverFault)) throw thrown;
      fault = thrown;
    }
    await this.#deps.ledger.outcome(this.#uuid, text, fault?.message ?? 'done');
    if (fault !== undefined) this.#countFailure(step, fault);
    // Also after a failure: a command may have done its work, or half of it, and then failed.
    await this.#relist(signal);
    this.#deps.onProgress();
    return fault === undefined || !isLasting(fault);
  }

  async #run(step: Step, signal: AbortSignal): Promise<void> {
    const { driver } = this.#deps;
    switch (step.kind) {
      case 'set-mig-mode':
        await driver.setMigMode(this.#uuid, step.enabled, signal);
        return;
      case 'reset':
        return driver.resetGpu(this.#uuid, signal);
      case 'destroy':
        return driver.destroySlice(this.#uuid, step.slice.gpuInstanceId, signal);
      case 'create':
        return driver.createSlice(this.#uuid, step.slice, signal);
      case 'complete':
        return driver.completeSlice(this.#uuid, step.slice.gpuInstanceId, signal);
      default:
        return step satisfies never;
    }
  }

  #countFailure(step: Step, fault: DriverFault): void {
    const key = step.kind === 'create' || step.kind === 'complete' ? formatSlice(step.slice) : step.kind === 'destroy' ? `destroy ${formatSlice(step.slice)}` : 'mode';
    const tries = (this.#tries.get(key) ?? 0) + 1;
    this.#tries.set(key, tries);
    if (tries < triesMax && !isLasting(fault)) return;
    const failure: Failure = fault.code === 'gpu-in-use' ? 'gpu-in-use' : fault.code === 'gpu-lost' ? 'device-lost' : 'create-failed';
    this.#failed.set(key, { failure, detail: fault.message });
    if (step.kind === 'destroy') this.#failBehind(step.slice, fault.message);
    this.#deps.state.setCondition(this.#uuid, 'layout-failed', fault.message);
  }

  /** Slices that cannot come because something stands where they belong. */
  #failBehind(slice: WantedSlice, detail: string): void {
    const gpu = this.#deps.state.gpu(this.#uuid);
    const wanted = this.#deps.ledger.order.gpus.find((one) => one.uuid === this.#uuid)?.layout;
    if (gpu === undefined || wanted?.kind !== 'mig') return;
    for (const other of wanted.slices) {
      if (inTheWayOf(other, gpu).some((live) => sameSlice(live, slice))) this.#failed.set(formatSlice(other), { failure: 'gpu-in-use', detail });
    }
  }

  /** Use as our own allocations claim it. */
  #claims(gpu: ObservedGpu): GpuUse {
    const whole: string[] = [];
    const byInstance = new Map<number, string[]>();
    for (const { id, slice } of this.#deps.running(this.#uuid)) {
      const live = slice === undefined ? undefined : gpu.slices.find((other) => sameSlice(other, slice));
      if (live === undefined) {
        if (slice === undefined) whole.push(`allocation ${id}`);
        continue;
      }
      byInstance.set(live.gpuInstanceId, [...(byInstance.get(live.gpuInstanceId) ?? []), `allocation ${id}`]);
    }
    return { whole, byInstance };
  }

  /** That, and the processes the driver shows now. */
  async #realUse(gpu: ObservedGpu, signal: AbortSignal): Promise<GpuUse> {
    const claims = this.#claims(gpu);
    const whole = [...claims.whole];
    const byInstance = new Map([...claims.byInstance].map(([id, users]) => [id, [...users]]));
    for (const process of await this.#deps.driver.observeProcesses(signal)) {
      if (process.gpuUuid !== this.#uuid) continue;
      const user = `process ${process.pid} (${process.name})`;
      if (process.gpuInstanceId === undefined) whole.push(user);
      else byInstance.set(process.gpuInstanceId, [...(byInstance.get(process.gpuInstanceId) ?? []), user]);
    }
    return { whole, byInstance };
  }

  #tell(wanted: Layout, gpu: ObservedGpu, outlook: Outlook): void {
    const { state } = this.#deps;
    // What our own allocations hold is on its way out by order; only strangers are a finding.
    const foreign = outlook.blocked.flatMap(({ what, users }) => users.filter((user) => user.startsWith('process')).map((user) => `${what}: ${user}`));
    const ours = outlook.blocked.some(({ users }) => users.some((user) => user.startsWith('allocation')));
    state.setCondition(this.#uuid, 'gpu-in-use', foreign.length > 0 && !ours ? foreign.join(', ') : undefined);
    state.setCondition(this.#uuid, 'mode-change-pending', gpu.migPending !== undefined && outlook.step === undefined ? 'the MIG mode waits for a reset of the GPU' : undefined);
    state.setCondition(this.#uuid, 'driver-hung', undefined);
    if (outlook.converged) state.setCondition(this.#uuid, 'layout-failed', undefined);
    if (foreign.length === 0 || ours || outlook.step !== undefined) return;
    const behind = wanted.kind === 'mig' ? wanted.slices.filter((slice) => inTheWayOf(slice, gpu).length > 0).map(formatSlice) : [];
    for (const key of gpu.migEnabled === (wanted.kind === 'mig') ? behind : ['mode']) this.#failed.set(key, { failure: 'gpu-in-use', detail: `in the way: ${foreign.join(', ')}` });
  }

  #noteFault(fault: DriverFault): void {
    const hung = fault.code === 'timed-out' || fault.code === 'busy-with-hung-command';
    this.#deps.state.setCondition(this.#uuid, hung ? 'driver-hung' : 'listing-unreadable', fault.message);
  }

  async #relist(signal: AbortSignal): Promise<ObservedGpu> {
    const gpu = await this.#deps.driver.observeGpu(this.#uuid, signal);
    this.#deps.state.setGpu(gpu);
    this.#deps.state.setCondition(this.#uuid, 'listing-unreadable', undefined);
    return gpu;
  }
}

function isLasting(fault: DriverFault): boolean {
  return fault.code === 'timed-out' || fault.code === 'busy-with-hung-command' || fault.code === 'unknown-profile' || fault.code === 'no-permission' || fault.code === 'gpu-lost';
}

function describe(step: Step): string {
  switch (step.kind) {
    case 'set-mig-mode':
      return `${step.enabled ? 'enable' : 'disable'} MIG`;
    case 'reset':
      return 'reset';
    default:
      return `${step.kind} ${formatSlice(step.slice)}`;
  }
}
