// What the agent needs of MPS: one control daemon a device, told what to grant, asked who is connected.
import type { MpsLimits } from '#core/sharing/mps-limits';
import type { MpsDaemonNow } from '#core/sharing/next-sharing-step';

export type MpsFaultCode =
  /** There is no program to start or to ask. */
  | 'program-missing'
  /** Nobody answers at the device's socket. */
  | 'no-daemon'
  /** Did not end within its time; its process may still be there. */
  | 'timed-out'
  /** An earlier command to this daemon has not ended, so none was started. */
  | 'busy-with-hung-command'
  | 'unreadable-output'
  | 'failed';

/** The control program did not do what it was asked. */
export class MpsFault extends Error {
  override name = 'MpsFault';
  readonly code: MpsFaultCode;
  /** @param detail what it printed, shortened, or what to do. */
  constructor(code: MpsFaultCode, command: string, detail = '', cause?: unknown) {
    super(`${code}: nvidia-cuda-mps-control ${command}${detail === '' ? '' : `: ${detail.trim().split('\n')[0]}`}`, { cause });
    this.code = code;
  }
}

/** A GPU or MIG UUID, as CUDA takes it. */
export type CudaDevice = string;

/**
 * The MPS control daemons of this agent, which outlive it. Every method throws {@link MpsFault} for what MPS does not
 * do, ends within its time limit, and waits only for commands to the same daemon.
 */
export interface MpsControl {
  /** Devices for which something of a daemon is there, from an earlier agent too. Runs no command. */
  devices(): Promise<readonly CudaDevice[]>;
  /**
   * Never throws for a daemon that is gone or does not answer: that is what it says then. A daemon is asked when
   * something of it is another than it was, or after a while; on `fresh` in any case.
   */
  look(device: CudaDevice, signal: AbortSignal, how?: 'cheap' | 'fresh'): Promise<MpsDaemonNow>;
  /** Returns once the daemon answers; its server comes with its first client. */
  start(device: CudaDevice, signal: AbortSignal): Promise<void>;
  /** For servers that come, and for clients that come to the servers that are there. */
  setLimits(device: CudaDevice, limits: MpsLimits, signal: AbortSignal): Promise<void>;
  /** Quits the daemon, and ends its process where it does not answer; its directory is gone with it. */
  stop(device: CudaDevice, signal: AbortSignal): Promise<void>;
  /** Ends servers that outlived their daemon, and removes what it left. */
  clear(device: CudaDevice, signal: AbortSignal): Promise<void>;
  /** Takes a client off the GPU without harm to the others; must come before it is killed. */
  terminateClient(device: CudaDevice, server: number, client: number, signal: AbortSignal): Promise<void>;
  /** What a client needs in its environment to reach the daemon of a device and to be held to its limits. */
  clientEnvironment(device: CudaDevice, limits: MpsLimits): Readonly<Record<string, string>>;
  /** The daemon's process is there at this moment; a client of a dead one would run without MPS and without limits. */
  isAlive(device: CudaDevice): boolean;
  /** Daemon and servers of a device, as far as they are known now. */
  processesOf(device: CudaDevice): readonly number[];
  /** What runs under a pid, as its command line says; absent when it is gone. */
  programOf(pid: number): string | undefined;
}
