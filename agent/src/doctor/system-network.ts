import { createServer } from 'node:net';
import { splitAddress } from '@astrago/shared/runtime/address';
import type { Handshake, Network, PemFiles } from './surroundings.ts';

/** @param limitMs how long a peer may take for each of its answers. */
export function systemNetwork(limitMs = 5000): Network {
  return {
    greet: async (address, credentials) => {
      const { host, port } = splitAddress(address);
      if (host === '' || !Number.isInteger(port) || port < 1 || port > 65_535)
        return { kind: 'unreachable', reason: `${address} is not host:port` };
      const { connect } = await import('node:tls');
      return new Promise<Handshake>((resolve) => {
        const socket = connect({
          host,
          port,
          ALPNProtocols: ['h2'],
          minVersion: 'TLSv1.3',
          rejectUnauthorized: false,
          ...pemOptions(credentials),
        });
        const settle = (handshake: Handshake): void => {
          resolve(handshake);
          socket.destroy();
        };
        socket.setTimeout(limitMs, () => settle({ kind: 'unreachable', reason: `no answer within ${limitMs / 1000} s` }));
        socket.once('error', (cause) => settle({ kind: 'unreachable', reason: cause.message }));
        socket.once('secureConnect', () => {
          if (credentials !== undefined && !socket.authorized) {
            settle({ kind: 'distrusted', reason: socket.authorizationError?.message ?? String(socket.authorizationError) });
            return;
          }
          const kind = credentials === undefined ? 'untried' : 'trusted';
          void dateOf(address, credentials, limitMs).then((dateMs) => settle({ kind, dateMs }));
        });
      });
    },

    listens: async (address) => {
      const { host, port } = splitAddress(address);
      const server = createServer();
      const failure = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
        server.once('error', resolve);
        server.listen(port, host, () => server.close(() => resolve(undefined)));
      });
      if (failure === undefined) return 'free';
      if (failure.code !== 'EADDRINUSE') return { refused: failure.message };
      return (await isAgent(host, port, limitMs)) ? 'agent' : 'other';
    },
  };
}

/** Asks nothing of the peer but an answer: every one over HTTP/2 bears its date. */
async function dateOf(address: string, credentials: PemFiles | undefined, limitMs: number): Promise<number | undefined> {
  const { connect } = await import('node:http2');
  return new Promise((resolve) => {
    const session = connect(`https://${address}`, { minVersion: 'TLSv1.3', rejectUnauthorized: false, ...pemOptions(credentials) });
    const settle = (date: number | undefined): void => {
      resolve(date);
      session.destroy();
    };
    session.setTimeout(limitMs, () => settle(undefined));
    session.once('error', () => settle(undefined));
    session.once('close', () => settle(undefined));
    const request = session.request({ ':method': 'POST', ':path': '/', 'content-type': 'application/grpc', te: 'trailers' });
    request.once('error', () => settle(undefined));
    request.once('response', (headers) => {
      const date = Date.parse(headers.date ?? '');
      settle(Number.isNaN(date) ? undefined : date);
    });
    request.end();
  });
}

function pemOptions(credentials: PemFiles | undefined): object {
  return credentials === undefined ? {} : { ca: credentials.authorityPem, cert: credentials.certificatePem, key: credentials.keyPem };
}

async function isAgent(host: string, port: number, limitMs: number): Promise<boolean> {
  const there = /^(|0\.0\.0\.0|::)$/.test(host) ? '127.0.0.1' : host;
  try {
    const answer = await fetch(`http://${there.includes(':') ? `[${there}]` : there}:${port}/metrics`, {
      signal: AbortSignal.timeout(limitMs),
    });
    return (await answer.text()).includes('astrago_build_info');
  } catch {
    return false;
  }
}
