import { InventorySchema } from '@astrago/proto/agent';
import type { NodeName } from '@astrago/shared/domain/ids';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { inventoryFromWire } from './from-wire.ts';

describe('a GPU off the wire', () => {
  it('has a group and a node where the agent told them, 0 included, and none where it did not', () => {
    const uuid = (index: number): string => `GPU-0000000${index}-0000-0000-0000-000000000000`;
    const gpus = [
      { uuid: uuid(0), nvlinkGroup: 0, numaNode: 0 },
      { uuid: uuid(1), nvlinkGroup: 2 },
      { uuid: uuid(2), numaNode: 1 },
      { uuid: uuid(3) },
    ];
    const sent = toBinary(InventorySchema, create(InventorySchema, { gpus }));

    const taken = inventoryFromWire(fromBinary(InventorySchema, sent), 'node-1' as NodeName);

    expect(taken.gpus.map(({ nvlinkGroup, numaNode }) => [nvlinkGroup, numaNode])).toEqual([
      [0, 0],
      [2, undefined],
      [undefined, 1],
      [undefined, undefined],
    ]);
  });
});
