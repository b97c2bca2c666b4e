import { existsSync, readFileSync } from 'node:fs';
import { type GpuUuid, parseGpuUuid } from '@astrago/shared/domain/ids';
import { describe, expect, it } from 'vitest';
import { DriverFault } from '../app/ports.ts';
import type { CommandObservation } from './asking.ts';
import { createSmiDriver } from './driver.ts';
import { captured } from './testing/fixtures.ts';
import { type Reply, scriptedSmi } from './testing/scripted-smi.ts';

const a = uuid('GPU-aaaaaaaa-0000-0000-0000-000000000000');
const b = uuid('GPU-bbbbbbbb-0000-0000-0000-000000000000');
const help: Reply = { stdout: captured('captures/linux-x86_64__nvidia-l40s__595.80.txt', /--help-query-gpu$/) };
const hang: Reply = { then: "trap '' TERM; exec sleep 30" };
const signal = new AbortController().signal;

function uuid(text: string): GpuUuid {
  const parsed = parseGpuUuid(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

function facts(gpu: GpuUuid, index: number): string {
  return `${index}, ${gpu}, NVIDIA L40S, 00000000:0${index}:00.0, 46068, [N/A], [N/A], 595.80\n`;
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (thrown) {
    return thrown instanceof DriverFault ? thrown.code : thrown instanceof Error ? thrown.name : String(thrown);
  }
  return 'no fault';
}

describe('a command that does not end', () => {
  it('is killed at its limit, and its GPU is free again once it is gone', async () => {
    using smi = scriptedSmi({ '*-r*': hang, '--help-query-gpu': help, '-i *--query-gpu=index*': { stdout: facts(a, 0) } });
    const driver = createSmiDriver({ program: smi.program, limits: { resetMs: 50 } });

    expect(await codeOf(driver.resetGpu(a, signal))).toBe('timed-out');
    expect(driver.hungCommands()).toBe(0);
    expect((await driver.observeGpu(a, signal)).uuid).toBe(a);
  });

  it('keeps its own GPU, and no other, from further commands until its exit is seen', async () => {
    let release = (): void => undefined;
    using smi = scriptedSmi({
      [`-i ${a} *-r*`]: hang,
      '--help-query-gpu': help,
      [`-i ${b} --query-gpu=index*`]: { stdout: facts(b, 1) },
      [`-i ${a} --query-gpu=index*`]: { stdout: facts(a, 0) },
    });
    const driver = createSmiDriver({
      program: smi.program,
      limits: { resetMs: 50 },
      kill: (child) => {
        release = () => {
          child.kill('SIGKILL');
        };
      },
    });

    expect(await codeOf(driver.resetGpu(a, signal))).toBe('timed-out');
    expect(driver.hungCommands()).toBe(1);
    const before = smi.calls().length;
    expect(await codeOf(driver.observeGpu(a, signal))).toBe('busy-with-hung-command');
    expect(await codeOf(driver.destroySlice(a, 1, signal))).toBe('busy-with-hung-command');
    expect(smi.calls()).toHaveLength(before);
    expect((await driver.observeGpu(b, signal)).uuid).toBe(b);

    release();
    await expect.poll(() => driver.hungCommands()).toBe(0);
    expect((await driver.observeGpu(a, signal)).uuid).toBe(a);
  });

  it('over all GPUs is followed by asking each, and the one that hangs too is left out', async () => {
    using smi = scriptedSmi({ '--help-query-gpu': help, '--query-gpu=index*': { stdout: facts(a, 0) + facts(b, 1) } });
    const stuck: (() => void)[] = [];
    const driver = createSmiDriver({
      program: smi.program,
      limits: { queryMs: 1_000 },
      kill: (child) => {
        stuck.push(() => {
          child.kill('SIGKILL');
        });
      },
    });
    await driver.observe(signal);
    smi.answer({ '--query-gpu=index*': hang, '-i 0 --query-gpu=index*': hang, '-i 1 --query-gpu=index*': { stdout: facts(b, 1) } });

    const first = await driver.observe(signal);
    const before = smi.calls().length;
    const second = await driver.observe(signal);

    expect(first.gpus.map((gpu) => gpu.uuid)).toEqual([b]);
    expect(second.gpus.map((gpu) => gpu.uuid)).toEqual([b]);
    expect(smi.calls().slice(before)).toEqual([expect.stringMatching(/^-i 1 --query-gpu/)]);
    expect(await codeOf(driver.observeGpu(a, signal))).toBe('busy-with-hung-command');
    expect(driver.hungCommands()).toBe(2);

    for (const end of stuck) end();
    await expect.poll(() => driver.hungCommands()).toBe(0);
  });

  it('is not waited for when a child of its own keeps the pipes open', async () => {
    using smi = scriptedSmi({ '--help-query-gpu': help, '--query-gpu=index*': { stdout: facts(a, 0), then: 'sleep 5 &' } });

    const startMs = performance.now();
    expect((await createSmiDriver({ program: smi.program }).observe(signal)).gpus).toHaveLength(1);
    expect(performance.now() - startMs).toBeLessThan(4_000);
  });
});

describe('one flight per GPU', () => {
  const slowly = (name: string): Reply => ({ then: `echo "+${name}" >> "$here/flights"; sleep 0.2; echo "-${name}" >> "$here/flights"` });

  it('runs changes of one GPU one after the other and those of two beside each other', async () => {
    using smi = scriptedSmi({ [`mig -i ${a} *-dgi*`]: slowly('a'), [`mig -i ${b} *-dgi*`]: slowly('b'), 'mig *-dci*': {} });
    const driver = createSmiDriver({ program: smi.program });

    await Promise.all([driver.destroySlice(a, 1, signal), driver.destroySlice(a, 2, signal), driver.destroySlice(b, 1, signal)]);

    const flights = readFileSync(smi.path('flights'), 'utf8').trim().split('\n');
    expect(flights.filter((line) => line.endsWith('a'))).toEqual(['+a', '-a', '+a', '-a']);
    expect(flights.indexOf('+b')).toBeLessThan(flights.indexOf('-a'));
  });

  it('lets nothing look at a GPU while it is reset', async () => {
    using smi = scriptedSmi({
      '*--gpu-reset': slowly('reset'),
      '--help-query-gpu': help,
      '*--query-gpu=index*': { stdout: facts(a, 0), ...slowly('look') },
    });
    const driver = createSmiDriver({ program: smi.program });

    await Promise.all([driver.resetGpu(a, signal), driver.observe(signal), driver.observeGpu(a, signal)]);

    expect(readFileSync(smi.path('flights'), 'utf8').split('\n').slice(0, 2)).toEqual(['+reset', '-reset']);
  });
});

describe('an aborted signal', () => {
  it('ends a query', async () => {
    using smi = scriptedSmi({ '--help-query-gpu': hang });
    const stop = new AbortController();
    const work = codeOf(createSmiDriver({ program: smi.program }).observe(stop.signal));
    await expect.poll(() => smi.calls()).toHaveLength(1);

    stop.abort();

    expect(await work).toBe('AbortError');
  });

  it('gives up waiting for a change without ending it', async () => {
    using smi = scriptedSmi({ '*--gpu-reset': { then: 'sleep 0.8; echo done > "$here/done"; echo All done.' } });
    const driver = createSmiDriver({ program: smi.program });
    const stop = new AbortController();
    const work = codeOf(driver.resetGpu(a, stop.signal));
    await expect.poll(() => smi.calls()).toHaveLength(1);

    stop.abort();

    expect(await work).toBe('AbortError');
    expect(await codeOf(driver.resetGpu(a, signal))).toBe('busy-with-hung-command');
    await expect.poll(() => existsSync(smi.path('done'))).toBe(true);
    await expect.poll(() => driver.hungCommands()).toBe(0);
  });

  it('takes a command that still waits out of the line', async () => {
    using smi = scriptedSmi({ '*--gpu-reset': { then: 'sleep 0.2' } });
    const driver = createSmiDriver({ program: smi.program });
    const stop = new AbortController();
    const first = driver.resetGpu(a, signal);
    const second = codeOf(driver.resetGpu(a, stop.signal));

    stop.abort();

    expect(await second).toBe('AbortError');
    await first;
    expect(smi.calls()).toHaveLength(1);
  });
});

describe('what a command prints', () => {
  it('is bounded', async () => {
    using smi = scriptedSmi({ '--help-query-gpu': { then: 'yes' } });
    const driver = createSmiDriver({ program: smi.program, limits: { outputBytesMax: 100_000 } });

    expect(await codeOf(driver.observe(signal))).toMatch(/unreadable-output|failed/);
    expect(driver.hungCommands()).toBe(0);
  });

  it('is garbage, and is called so', async () => {
    using smi = scriptedSmi({ '--help-query-gpu': help, '--query-gpu=index*': { then: 'head -c 3000 /dev/urandom' } });

    expect(await codeOf(createSmiDriver({ program: smi.program }).observe(signal))).toBe('unreadable-output');
  });

  it('is counted with its outcome', async () => {
    using smi = scriptedSmi({ '*--gpu-reset': { stdout: 'Resetting GPU 00000000:00:03.0 is not supported.\n' } });
    const seen: CommandObservation[] = [];
    const driver = createSmiDriver({
      program: smi.program,
      onCommand: (own) => {
        seen.push(own);
      },
    });

    expect(await codeOf(driver.resetGpu(a, signal))).toBe('failed');
    expect(seen).toEqual([{ kind: 'reset', ms: expect.any(Number), outcome: 'failed' }]);
  });
});
