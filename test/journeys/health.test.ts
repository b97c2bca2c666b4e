// A GPU that becomes bad under running work: what is told, where new work goes, and how it comes back.
import { execFileSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startWorld, until, type World } from '../world/index.ts';

describe('a GPU that becomes bad', () => {
  let world: World;
  beforeAll(async () => {
    // The simulated driver asks for nothing, and given time its word would outrank the Xid: it is not asked here.
    world = await startWorld({ nodes: 1, gpus: 2, agentEnvironment: { ASTRAGO_SAMPLE_PERIOD_MS: '600000' } });
  }, 90_000);
  afterAll(() => world?.[Symbol.asyncDispose]());

  const machine = (): string => world.node('sim-1').machine;
  const gpu = async (index: number) => (await world.client.listGpus()).items.find((one) => one.index === index) ?? expect.unreachable();
  const submit = (name: string) => world.client.submitWorkload({ body: { name, command: ['sleep', '300'], slice: '3g.40gb' } });

  /** As the kernel would write it of this GPU. */
  function log(index: number, text: (address: string) => string): void {
    const nvidiaSmi = join(machine(), 'bin', 'nvidia-smi');
    const listed = execFileSync(nvidiaSmi, ['--query-gpu=pci.bus_id', '--format=csv,noheader'], { encoding: 'utf8' }).trim().split('\n');
    const address = (listed[index] ?? '')
      .trim()
      .replace(/^0000(?=\w{4}:)/, '')
      .replace(/\.0$/, '')
      .toLowerCase();
    appendFileSync(join(machine(), 'kmsg'), `3,${Date.now()},1000,-;${text(`PCI:${address}`)}\n`);
  }

  it('keeps what runs, and new work goes to the other GPU of its node', async () => {
    await submit('before');
    const before = await world.reaches('before', 'running');
    const bad = before.devices[0]?.gpuIndex ?? expect.unreachable();
    log(bad, (address) => `NVRM: Xid (${address}): 119, pid=1, name=python, Timeout after 6s of waiting for RPC response from GPU GSP!`);
    const told = await until(async () => (await gpu(bad)).conditions.find(({ kind }) => kind === 'xid-needs-reset'), 'it is told');
    expect(told).toMatchObject({ severity: 'critical', action: 'reset', keepsWorkAway: true });

    await submit('after');
    const after = await world.reaches('after', 'running');
    expect(after).toMatchObject({ node: 'sim-1', devices: [{ gpuIndex: 1 - bad }] });
    expect(await world.workload('before')).toMatchObject({ phase: 'running' });

    await submit('third');
    await submit('fourth');
    await world.reaches('third', 'running');
    const why = await until(async () => {
      const answer = await world.client.whyWorkload({ params: { workload: 'fourth' } });
      return answer.reason !== 'PendingEvaluation' && answer;
    }, 'it is known why the last one waits');
    expect(why.sentence).toContain('1 GPU has xid-needs-reset: reset it');

    log(bad, (address) => `astrago: GPU reset (${address})`);
    expect((await world.reaches('fourth', 'running')).devices).toMatchObject([{ gpuIndex: bad }]);
  });
});
