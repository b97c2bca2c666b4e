// An agent process on a simulated machine, and what a controller's cluster then knows of how its GPUs are connected.
import type { NodeName } from '@astrago/shared/domain/ids';
import { describe, expect, it, vi } from 'vitest';
import { inventoryFromWire } from '../../controller/src/agents/from-wire.ts';
import { LoneAgent } from './testing/lone-agent.ts';

// Real processes on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 180_000 });

const periods = { ASTRAGO_INVENTORY_PERIOD_MS: '500', ASTRAGO_SAMPLE_PERIOD_MS: '600000' };

/** Of each GPU its group and its node, as the controller's cluster has them. */
async function observed(node: LoneAgent): Promise<readonly (readonly (number | undefined)[])[]> {
  const inventory = await node.inventory();
  const gpus = inventory === undefined ? [] : inventoryFromWire(inventory, 'node-1' as NodeName).gpus;
  return gpus.map(({ nvlinkGroup, numaNode }) => [nvlinkGroup, numaNode]);
}

async function comesTo(node: LoneAgent, expected: readonly (readonly (number | undefined)[])[]): Promise<void> {
  const words = JSON.stringify(expected);
  await node.until(async () => JSON.stringify(await observed(node)) === words, `the controller knows ${words}`);
}

describe('the GPUs of a node', () => {
  it('are known in their pairs and on their sockets', async () => {
    await using node = await LoneAgent.running({ model: 'h100-nvl-94gb', gpuCount: 4, topology: { nics: 2 } }, periods);
    await comesTo(node, [
      [0, 0],
      [0, 0],
      [2, 1],
      [2, 1],
    ]);
  });

  it('are known without, and cut all the same, while the driver does not say how they are connected', async () => {
    await using node = await LoneAgent.make({ gpuCount: 2 }, periods);
    node.spoil({ rules: [{ match: { args: 'topo' }, action: { hang: true } }] });
    await node.start().up();
    await comesTo(node, [
      [undefined, undefined],
      [undefined, undefined],
    ]);
    const slices = [{ profile: '3g.40gb', start: 0 }];
    await node.order([{ uuid: node.gpus[0] ?? '', layout: { case: 'mig', value: { slices } } }]);
    await node.until(() => node.machineLayout() === '3g.40gb@0', 'the GPU is cut');
    expect(await observed(node)).toEqual([
      [undefined, undefined],
      [undefined, undefined],
    ]);
  });
});
