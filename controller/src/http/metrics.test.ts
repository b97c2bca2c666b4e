import { describe, expect, it } from 'vitest';
import { LoopBench } from '../testing/loop-bench.ts';
import { serve } from '../testing/serve.ts';

describe('metrics', () => {
  it('need no token from this machine, and one from another', async () => {
    await using bench = new LoopBench();
    const server = await serve(bench);
    const ask = async (remoteAddress: string, token?: string) =>
      (
        await server.inject({
          url: '/metrics',
          remoteAddress,
          ...(token === undefined ? {} : { headers: { authorization: `bearer ${token}` } }),
        })
      ).statusCode;

    expect([await ask('127.0.0.1'), await ask('::1'), await ask('::ffff:127.0.0.1')]).toEqual([200, 200, 200]);
    expect([await ask('10.0.0.9'), await ask('10.0.0.9', 'wrong'), await ask('10.0.0.9', 'right')]).toEqual([401, 401, 200]);
  });

  it('count what there is now, with nothing left of what was', async () => {
    await using bench = new LoopBench();
    const server = await serve(bench);
    const samples = async () =>
      (await server.inject('/metrics')).body
        .split('\n')
        .filter((line) => /^astrago_(workloads|pending_workloads|nodes)\{.* [^0]/.test(line));
    await bench.submit('a', '7g.80gb');
    await bench.submit('b', '7g.80gb');
    expect(await samples()).toEqual([
      'astrago_workloads{phase="queued"} 1',
      'astrago_workloads{phase="starting"} 1',
      'astrago_pending_workloads{reason="WaitingForSlots"} 1',
      'astrago_nodes{state="ready"} 1',
    ]);

    await bench.stop('b');
    await bench.report('a', { kind: 'exited', exitCode: 0, startedAtMs: undefined, endedAtMs: undefined });

    expect(await samples()).toEqual(['astrago_nodes{state="ready"} 1']);
  });
});
