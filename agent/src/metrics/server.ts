import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { splitAddress } from '@astrago/shared/runtime/address';
import type { AgentMetrics } from './registry.ts';

const text = 'text/plain; charset=utf-8';

/**
 * Whoever is slow or many gets no more than this. A scraper sends a short request at once and reads at once; connections
 * that do neither are closed, and what is kept for one that reads slowly is the shared printout.
 */
const limits = {
  connections: 128,
  headersMs: 5000,
  requestMs: 10_000,
  /** Longer than the usual scrape intervals, so that a connection is kept between two. */
  idleMs: 65_000,
} as const;

/** `/metrics`, `/healthz` and `/readyz`, plain HTTP; answers from memory. */
export class MetricsServer implements AsyncDisposable {
  readonly #server: Server;
  readonly port: number;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  /** @param bind host:port; port 0 for any. */
  static async listen(bind: string, metrics: Pick<AgentMetrics, 'bytes' | 'ready'>): Promise<MetricsServer> {
    const server = createServer(
      {
        headersTimeout: limits.headersMs,
        requestTimeout: limits.requestMs,
        keepAliveTimeout: limits.idleMs,
        connectionsCheckingInterval: limits.headersMs,
      },
      (request, response) => answer(metrics, request, response),
    );
    server.maxConnections = limits.connections;
    server.setTimeout(limits.idleMs);
    const { host, port } = splitAddress(bind);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, resolve);
    });
    const bound = server.address();
    return new MetricsServer(server, typeof bound === 'object' && bound !== null ? bound.port : 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

interface Answer {
  readonly status: number;
  readonly body: Buffer;
  readonly type?: string;
}

function answer(metrics: Pick<AgentMetrics, 'bytes' | 'ready'>, request: IncomingMessage, response: ServerResponse): void {
  const [path = ''] = (request.url ?? '').split('?', 1);
  const { status, body, type = text } = answerTo(metrics, path, request.method ?? '');
  const allow = status === 405 ? { allow: 'GET, HEAD' } : {};
  // Node leaves the body out of what answers HEAD, and the length stands.
  response.writeHead(status, { 'content-type': type, 'content-length': body.length, 'cache-control': 'no-store', ...allow }).end(body);
}

function answerTo(metrics: Pick<AgentMetrics, 'bytes' | 'ready'>, path: string, method: string): Answer {
  if (!['/metrics', '/healthz', '/readyz'].includes(path)) return plain(404, 'there are /metrics, /healthz and /readyz');
  if (method !== 'GET' && method !== 'HEAD') return plain(405, 'only GET and HEAD');
  if (path === '/healthz') return plain(200, 'ok');
  if (path === '/readyz') return metrics.ready ? plain(200, 'ok') : plain(503, 'the GPUs were not listed yet');
  try {
    return { status: 200, body: metrics.bytes(), type: 'text/plain; version=0.0.4; charset=utf-8' };
  } catch (failure) {
    // A printout that fails is a bug; it must not take the agent with it.
    return plain(500, `the metrics could not be printed: ${failure instanceof Error ? failure.message : String(failure)}`);
  }
}

function plain(status: number, line: string): Answer {
  return { status, body: Buffer.from(`${line}\n`) };
}
