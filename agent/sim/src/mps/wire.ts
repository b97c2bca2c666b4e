import type { Socket } from 'node:net';

/** Between our own programs and the daemon: one JSON text a line. The real protocol is not public. */
export type ToDaemon =
  | { readonly kind: 'command'; readonly line: string }
  | { readonly kind: 'attach'; readonly pid: number; readonly uid: number }
  | { readonly kind: 'fault'; readonly pid: number };

export type FromDaemon =
  | { readonly kind: 'result'; readonly text: string; readonly refused: boolean }
  | {
      readonly kind: 'attached';
      readonly serverPid: number;
      readonly threadPercentage: number;
      /** MiB by device UUID. */
      readonly pinnedMiB: Readonly<Record<string, number>>;
    }
  /** The CUDA error that the client sees from now on. */
  | { readonly kind: 'error'; readonly code: number };

export function send(socket: Socket, message: ToDaemon | FromDaemon): void {
  if (socket.writable) socket.write(`${JSON.stringify(message)}\n`);
}

export function receive<M extends ToDaemon | FromDaemon>(socket: Socket, heard: (message: M) => void): void {
  let waiting = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    const lines = `${waiting}${text}`.split('\n');
    waiting = lines.pop() ?? '';
    for (const line of lines) heard(JSON.parse(line) as M);
  });
}
