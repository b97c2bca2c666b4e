import { describe, expect, it } from 'vitest';
import { until } from '../testing/until.ts';
import { type HostReader, HostTelemetry } from './host-telemetry.ts';
import { Collectors } from './telemetry-status.ts';

/** A clock on which every sleep ends when the test says so. */
function steps() {
  let nowMs = 1000;
  let wake: (() => void) | undefined;
  const clock = {
    nowMs: () => nowMs,
    elapsedMs: () => nowMs,
    sleep: (_: number, signal?: AbortSignal) =>
      new Promise<void>((resolve) => {
        wake = resolve;
        signal?.addEventListener('abort', () => resolve(), { once: true });
      }),
  };
  const step = (): void => {
    nowMs += 1000;
    wake?.();
  };
  return { clock, step };
}

describe('the loop of the host', () => {
  it('keeps the latest reading, records how it went, and tells of a failure once', async () => {
    const { clock, step } = steps();
    const answers: Awaited<ReturnType<HostReader['read']>>[] = [
      { facts: { disks: { readBytes: 1, writtenBytes: 1 } }, failures: [] },
      { facts: {}, failures: ['disks took more than 5000 ms'] },
      { facts: {}, failures: ['disks took more than 5000 ms'] },
    ];
    const collectors = new Collectors(clock);
    const logged: object[] = [];
    let reads = 0;
    const read: HostReader['read'] = () => {
      const answer = answers[reads];
      reads += 1;
      return answer === undefined ? Promise.reject(new Error('no systeminformation')) : Promise.resolve(answer);
    };
    const host = new HostTelemetry({ reader: { read }, clock, collectors, periodMs: 1, log: (facts) => logged.push(facts) });
    const ending = new AbortController();
    const running = host.run(ending.signal);

    await until(() => collectors.all.get('host')?.succeeded === true, 'the first reading');
    expect(host.latest.current).toEqual({ atMs: 1000, disks: { readBytes: 1, writtenBytes: 1 } });
    for (let round = 2; round <= 4; round += 1)
      await until(() => {
        if (reads < round) step();
        return reads === round;
      }, 'the next reading');
    await until(() => logged.length === 2, 'the last failure is told');

    expect(collectors.all.get('host')).toMatchObject({ succeeded: false, succeededAtMs: 1000 });
    expect(logged).toEqual([{ failures: 'disks took more than 5000 ms' }, { failures: 'no systeminformation' }]);
    ending.abort();
    await running;
  });

  it('ends while a reading hangs', async () => {
    const { clock } = steps();
    const reader = { read: () => new Promise<never>(() => undefined) };
    const host = new HostTelemetry({ reader, clock, collectors: new Collectors(clock), periodMs: 1, log: () => undefined });
    const ending = new AbortController();
    const running = host.run(ending.signal);

    ending.abort();
    await running;
    expect(host.latest.current).toBeUndefined();
  });
});
