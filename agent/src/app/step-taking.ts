import type { SharingStep } from '#core/sharing/next-sharing-step';
import type { DevicePlace } from './device-place.ts';
import { type CudaDevice, MpsFault } from './mps-control.ts';
import { DriverFault, type Ledger } from './ports.ts';
import { describe, run, type SharingStepPorts } from './sharing-steps.ts';

/** Takes the sharing steps of one device, one after the other, each with its intent in the ledger before and its outcome after. */
export class StepTaking {
  readonly #place: DevicePlace;
  readonly #ports: SharingStepPorts & { readonly ledger: Pick<Ledger, 'intent' | 'outcome'> };
  #now: SharingStep['kind'] | undefined;
  /** The last step that was said to be done; the same one again means that it did nothing. */
  #done: { readonly text: string; readonly kind: SharingStep['kind'] } | undefined;

  constructor(place: DevicePlace, ports: SharingStepPorts & { readonly ledger: Pick<Ledger, 'intent' | 'outcome'> }) {
    this.#place = place;
    this.#ports = ports;
  }

  /** The step that is being taken. */
  get now(): SharingStep['kind'] | undefined {
    return this.#now;
  }

  /** The last step was one after which a daemon is gone by our own doing. */
  get hasEndedDaemon(): boolean {
    return this.#done?.kind === 'stop-mps' || this.#done?.kind === 'clear-mps';
  }

  /** Nothing is to be done for now: the same step may be due again later. */
  rest(): void {
    this.#done = undefined;
  }

  /** Throws what MPS or the driver did not do, once it is in the ledger. */
  async take(step: SharingStep, at: CudaDevice, signal: AbortSignal): Promise<void> {
    this.#now = step.kind;
    try {
      await this.#take(step, at, signal);
    } finally {
      this.#now = undefined;
    }
  }

  async #take(step: SharingStep, at: CudaDevice, signal: AbortSignal): Promise<void> {
    const { ledger } = this.#ports;
    const { gpu, name } = this.#place;
    const text = `${describe(step)} ${name}`;
    if (this.#done?.text === text) throw new MpsFault('failed', text, 'reported as done, and nothing shows of it');
    await ledger.intent(gpu, text);
    let fault: unknown;
    try {
      await run(step, at, gpu, this.#ports, signal);
    } catch (thrown) {
      if (!(thrown instanceof MpsFault || thrown instanceof DriverFault)) throw thrown;
      fault = thrown;
    }
    await ledger.outcome(gpu, text, fault instanceof Error ? fault.message : 'done');
    if (fault !== undefined) throw fault;
    this.#done = { text, kind: step.kind };
  }
}
