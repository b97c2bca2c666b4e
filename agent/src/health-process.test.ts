// An agent process, a simulated machine and a kernel log in a file: what the driver logs becomes what the controller is told.
import { appendFileSync } from 'node:fs';
import type { Gpu } from '@astrago/proto/agent';
import { expect, it, vi } from 'vitest';
import { LoneAgent } from './testing/lone-agent.ts';

// Real processes on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 180_000 });

/** The GPUs as the agent reports them, as soon as they are as asked. */
async function reported(node: LoneAgent, asked: (gpus: readonly Gpu[]) => boolean): Promise<readonly Gpu[]> {
  return node.until(async () => {
    const gpus = (await node.inventory())?.gpus ?? [];
    return asked(gpus) && gpus;
  }, 'the GPUs are reported so');
}

const kindsOf = (gpu: Gpu | undefined): readonly string[] =>
  (gpu?.conditions ?? []).map(({ kind }) => kind).filter((kind) => kind.startsWith('xid'));

it('an Xid becomes a condition of its GPU, which the next agent finds again', async () => {
  // Given time, the word of the driver would outrank the Xid: it is not asked here.
  await using node = await LoneAgent.make({ gpuCount: 2 }, { ASTRAGO_INVENTORY_PERIOD_MS: '500', ASTRAGO_SAMPLE_PERIOD_MS: '600000' });
  node.start();
  const [, second] = await reported(node, (gpus) => gpus.length === 2);
  expect(kindsOf(second)).toEqual([]);
  // As the kernel log writes the address of nvidia-smi.
  const pci = second?.pciBusId.replace(/^0{4}/, '').replace(/\.0$/, '').toLowerCase();
  appendFileSync(
    node.kernelLog,
    `3,2,2000000,-;NVRM: Xid (PCI:${pci}): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.\n`,
  );

  const gpus = await reported(node, ([, gpu]) => kindsOf(gpu).length > 0);
  expect(gpus.map(kindsOf)).toEqual([[], ['xid-needs-reboot']]);
  expect(gpus[1]?.conditions.find(({ kind }) => kind === 'xid-needs-reboot')?.detail).toBe('Xid 79, the GPU has fallen off the bus');

  await node.kill();
  node.start();
  const again = await reported(node, ([, gpu]) => kindsOf(gpu).length > 0);
  expect(again.map(kindsOf)).toEqual([[], ['xid-needs-reboot']]);
});
