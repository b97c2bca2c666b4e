import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { until } from '../testing/until.ts';
import { MetricsServer } from './server.ts';
import { MetricsBench, observedGpu } from './testing/metrics-bench.ts';

describe('the metrics port', () => {
  it('answers from memory: metrics, health, and nothing else', async () => {
    const bench = new MetricsBench();
    await using server = await MetricsServer.listen('127.0.0.1:0', bench.metrics);
    const ask = (path: string, method = 'GET'): Promise<Response> => fetch(`http://127.0.0.1:${server.port}${path}`, { method });

    const answer = await ask('/metrics?why=not');
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(await answer.text()).toBe(bench.text);
    const head = await ask('/metrics', 'HEAD');
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, String(bench.text.length), '']);
    expect(await (await ask('/healthz')).text()).toBe('ok\n');
    expect((await ask('/etc')).status).toBe(404);
    const post = await ask('/metrics', 'POST');
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });

  it('is ready once the GPUs were listed', async () => {
    const bench = new MetricsBench();
    await using server = await MetricsServer.listen('127.0.0.1:0', bench.metrics);
    const ready = async () => (await fetch(`http://127.0.0.1:${server.port}/readyz`)).status;

    expect(await ready()).toBe(503);
    bench.state.setAll('590.1', [observedGpu(1)], 0);
    expect(await ready()).toBe(200);
  });

  it('says so when the metrics cannot be printed, and lives on', async () => {
    const broken = {
      ready: true,
      bytes: () => {
        throw new Error('no such thing');
      },
    };
    await using server = await MetricsServer.listen('127.0.0.1:0', broken);
    const answer = await fetch(`http://127.0.0.1:${server.port}/metrics`);

    expect([answer.status, await answer.text()]).toEqual([500, 'the metrics could not be printed: no such thing\n']);
    expect((await fetch(`http://127.0.0.1:${server.port}/healthz`)).status).toBe(200);
  });

  it('turns away whoever comes when too many are connected, and serves again when they have gone', async () => {
    const bench = new MetricsBench();
    await using server = await MetricsServer.listen('127.0.0.1:0', bench.metrics);
    const idle = await Promise.all(
      Array.from({ length: 128 }, async () => {
        const socket = connect(server.port, '127.0.0.1').on('error', () => undefined);
        await once(socket, 'connect');
        return socket;
      }),
    );

    await expect(fetch(`http://127.0.0.1:${server.port}/healthz`)).rejects.toThrow();
    for (const socket of idle) socket.destroy();
    await until(
      () =>
        fetch(`http://127.0.0.1:${server.port}/healthz`).then(
          ({ ok }) => ok,
          () => false,
        ),
      'it serves again',
    );
  });

  it('ends at once, whoever is connected', async () => {
    const server = await MetricsServer.listen('127.0.0.1:0', new MetricsBench().metrics);
    const socket = connect(server.port, '127.0.0.1').on('error', () => undefined);
    await once(socket, 'connect');
    socket.write('GET /metr');

    await server[Symbol.asyncDispose]();

    await expect(fetch(`http://127.0.0.1:${server.port}/healthz`)).rejects.toThrow();
    socket.destroy();
  });
});
