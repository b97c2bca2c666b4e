import { createServer } from 'node:net';
import { exitCodes } from '../exit-codes.ts';
import { CommandFailure } from '../failure.ts';

/** The port itself when nobody listens there, any free one for 0. Chosen once, so that a controller comes back at the same address. */
export function freePort(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (cause: NodeJS.ErrnoException) => {
      const why =
        cause.code === 'EADDRINUSE'
          ? `Port ${port} is taken by another program.`
          : `Port ${port} cannot be used (${cause.code ?? cause.message}).`;
      reject(
        new CommandFailure({
          code: 'port-taken',
          exitCode: exitCodes.refused,
          what: why,
          remedy: 'Choose another with --port, or any free one with --port 0.',
          cause,
        }),
      );
    });
    probe.listen(port, '127.0.0.1', () => {
      const address = probe.address();
      const chosen = typeof address === 'object' && address !== null ? address.port : port;
      probe.close(() => resolve(chosen));
    });
  });
}
