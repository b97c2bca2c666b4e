import { execFile } from 'node:child_process';

/** Whether `nvidia-smi -L` lists GPUs on this machine. A driver that does not answer within the limit counts as none. */
export function machineHasGpus(environment: Readonly<Record<string, string | undefined>>): Promise<boolean> {
  return new Promise((resolve) => {
    execFile('nvidia-smi', ['-L'], { timeout: 20_000, killSignal: 'SIGKILL', env: { ...environment } }, (failure, printed) => {
      resolve(failure === null && /^GPU \d+: /m.test(printed));
    });
  });
}
