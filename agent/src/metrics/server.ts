import { createServer, type Server } from 'node:http';
import { splitAddress } from '@astrago/shared/runtime/address';
import type { AgentMetrics } from './registry.ts';

/** `/metrics` and `/healthz`, plain HTTP; answers from memory. */
export class MetricsServer implements AsyncDisposable {
  readonly #server: Server;
  readonly port: number;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  /** @param bind host:port; port 0 for any. */
  static async listen(bind: string, metrics: AgentMetrics): Promise<MetricsServer> {
    const server = createServer((request, response) => {
      if (request.url === '/healthz') {
        response.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n');
        return;
      }
      if (request.url !== '/metrics') {
        response.writeHead(404, { 'content-type': 'text/plain' }).end('there are /metrics and /healthz\n');
        return;
      }
      metrics.text().then(
        (text) => response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(text),
        () => response.writeHead(500).end(),
      );
    });
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
