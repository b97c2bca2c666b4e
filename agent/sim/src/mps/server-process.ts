import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';

export type ServerState = 'INITIALIZING' | 'ACTIVE' | 'FAULT';

/** One `nvidia-cuda-mps-server`: a real process, whose devices nvidia-smi sees in its environment. */
export interface MpsServer {
  readonly pid: number;
  readonly uid: number;
  state: ServerState;
  /** Of clients that are created from now on. */
  threadPercentage: number;
  /** MiB by what the setter named: an ordinal or a UUID. */
  readonly pinned: Map<string, number>;
  readonly stop: () => void;
}

export interface ServerOrder {
  readonly machineDirectory: string;
  readonly uid: number;
  readonly deviceUuids: readonly string[];
  readonly pipeDirectory: string;
  readonly threadPercentage: number;
  readonly pinned: ReadonlyMap<string, number>;
  readonly orphaned: boolean;
  /** Ends at once with this code. */
  readonly exitCode: number | undefined;
}

/** Memory that the server's own context takes, in MiB; about what recordings show. */
const ownMemoryMiB = 30;

export function startServer(order: ServerOrder, ended: (code: number | null, signal: string | null) => void): MpsServer {
  const program = join(order.machineDirectory, 'lib', 'nvidia-cuda-mps-server.cjs');
  const child: ChildProcess = spawn(process.execPath, ['--no-warnings', program, String(order.uid), String(order.exitCode ?? '')], {
    argv0: 'nvidia-cuda-mps-server',
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    env: {
      PATH: process.env['PATH'],
      CUDA_VISIBLE_DEVICES: order.deviceUuids.join(','),
      CUDA_MPS_PIPE_DIRECTORY: order.pipeDirectory,
      FAKE_NVIDIA_SMI_STATE: join(order.machineDirectory, 'state.json'),
      FAKE_NVIDIA_SMI_MEMORY_MIB: String(ownMemoryMiB),
      FAKE_NVIDIA_SMI_UTILIZATION: '0',
      ...(order.orphaned ? { FAKE_MPS_ORPHAN: '1' } : {}),
    },
  });
  child.on('exit', ended);
  child.on('error', () => ended(1, null));
  return {
    pid: child.pid ?? 0,
    uid: order.uid,
    state: 'INITIALIZING',
    threadPercentage: order.threadPercentage,
    pinned: new Map(order.pinned),
    stop: () => child.kill('SIGTERM'),
  };
}
