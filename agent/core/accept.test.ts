import { parseAllocationId, parseGpuUuid } from '@astrago/shared/domain/ids';
import { findCatalogModel } from '@astrago/shared/domain/mig/catalog';
import { parseSlice } from '@astrago/shared/domain/mig/slice';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { accept, contentOf, type NodeKnowledge } from './accept.ts';
import { type DesiredAllocation, type DesiredGpu, emptyOrder, type Order } from './order.ts';

const profiles = findCatalogModel('h100-80gb')?.grid.profiles ?? [];
const knowing: NodeKnowledge = { profilesOf: () => profiles, hasEnded: () => false };
const blind: NodeKnowledge = { profilesOf: () => [], hasEnded: () => false };

const uuid = (last: number) => parseGpuUuid(`GPU-00000000-0000-0000-0000-00000000000${last}`) ?? expect.unreachable();
const slice = (text: string) => parseSlice(text) ?? expect.unreachable();
const mig = (gpu: number, ...slices: string[]): DesiredGpu => ({ uuid: uuid(gpu), layout: { kind: 'mig', slices: slices.map(slice) } });
const whole = (gpu: number): DesiredGpu => ({ uuid: uuid(gpu), layout: { kind: 'whole' } });
const held = (id: string, gpu: number, on?: string): DesiredAllocation => ({
  id: parseAllocationId(`alloc_0000000${id}`) ?? expect.unreachable(),
  workload: 'w',
  workspace: 's',
  devices: [{ gpu: uuid(gpu), slice: on === undefined ? undefined : slice(on) }],
  intent: { kind: 'run', command: ['true'], environment: {}, workingDirectory: undefined },
});
const stopped = (allocation: DesiredAllocation): DesiredAllocation => ({ ...allocation, intent: { kind: 'stop', graceSeconds: 1 } });
const order = (gpus: readonly DesiredGpu[], allocations: readonly DesiredAllocation[] = [], stamp: Partial<Order> = {}): Order => ({
  epoch: 1,
  generation: 1,
  gpus,
  allocations,
  ...stamp,
});

function reasonOf(one: Order, node: NodeKnowledge = knowing, before: Order = emptyOrder): string {
  const answer = accept(one, before, node);
  return answer.kind === 'refused' ? answer.reason : answer.kind;
}

describe('an order', () => {
  it('is refused when a later epoch or generation has spoken', () => {
    fc.assert(
      fc.property(fc.nat(5), fc.nat(5), fc.nat(5), fc.nat(5), (epoch, generation, heldEpoch, heldGeneration) => {
        const answer = reasonOf(
          order([], [], { epoch, generation }),
          knowing,
          order([], [], { epoch: heldEpoch, generation: heldGeneration }),
        );

        const expected =
          epoch < heldEpoch
            ? 'stale-epoch'
            : epoch > heldEpoch
              ? 'accepted'
              : generation < heldGeneration
                ? 'stale-generation'
                : generation > heldGeneration
                  ? 'accepted'
                  : 'repeated';
        expect(answer).toBe(expected);
      }),
    );
  });

  it('of the same generation must say the same, in whatever order it says it', () => {
    const first = order([whole(1), mig(2, '1g.10gb@0', '1g.10gb@1')], [held('a', 2, '1g.10gb@0'), held('b', 1)]);
    const shuffled = order([mig(2, '1g.10gb@1', '1g.10gb@0'), whole(1)], [held('b', 1), held('a', 2, '1g.10gb@0')]);

    expect(reasonOf(shuffled, knowing, first)).toBe('repeated');
    expect(contentOf(shuffled)).toBe(contentOf(first));
    expect(reasonOf(order([whole(1)]), knowing, first)).toBe('content-differs');
    expect(reasonOf(order(first.gpus, [held('a', 2, '1g.10gb@0'), stopped(held('b', 1))]), knowing, first)).toBe('content-differs');
  });

  it.each([
    ['names a GPU twice', order([whole(1), whole(1)])],
    ['names an allocation twice', order([whole(1), whole(2)], [held('a', 1), held('a', 2)])],
    ['has overlapping slices', order([mig(1, '3g.40gb@0', '1g.10gb@3')])],
    ['allocates a slice that the layout does not hold', order([mig(1, '3g.40gb@0')], [held('a', 1, '3g.40gb@4')])],
    ['allocates a whole GPU that is to be cut', order([mig(1, '3g.40gb@0')], [held('a', 1)])],
    ['allocates a slice of a GPU that is to be whole', order([whole(1)], [held('a', 1, '3g.40gb@0')])],
    ['gives a slice to two', order([mig(1, '3g.40gb@0')], [held('a', 1, '3g.40gb@0'), held('b', 1, '3g.40gb@0')])],
    ['gives a whole GPU to two', order([whole(1)], [held('a', 1), held('b', 1)])],
    ['gives a whole GPU and a slice of it', order([], [held('a', 1, '3g.40gb@0'), held('b', 1)])],
    ['gives overlapping slices of a GPU it has no layout for', order([], [held('a', 1, '3g.40gb@0'), held('b', 1, '1g.10gb@2')])],
    [
      'gives a place that is still held by what is being stopped',
      order([mig(1, '1g.10gb@0')], [stopped(held('a', 1, '3g.40gb@0')), held('b', 1, '1g.10gb@0')]),
    ],
    [
      'has an allocation without a command',
      order([], [{ ...held('a', 1), intent: { kind: 'run', command: [], environment: {}, workingDirectory: undefined } }]),
    ],
  ])('is refused when it %s', (_, bad) => {
    expect(reasonOf(bad)).toBe('invalid');
    expect(reasonOf(bad, knowing, order([whole(3)], [], { generation: 0 }))).toBe('invalid');
  });

  it.each([
    ['a GPU nobody knows', order([], [held('a', 9)])],
    [
      'a profile that the device does not list: that fails one allocation, not the order',
      order([mig(1, '5g.50gb@0')], [held('a', 1, '5g.50gb@0')]),
    ],
    ['what is stopped and leaves a layout that is ordered already', order([whole(1)], [stopped(held('a', 1, '3g.40gb@0'))])],
    ['slices beside each other', order([mig(1, '3g.40gb@0', '3g.40gb@4')], [held('a', 1, '3g.40gb@0'), held('b', 1, '3g.40gb@4')])],
  ])('is accepted with %s', (_, good) => {
    expect(reasonOf(good)).toBe('accepted');
  });

  it('may give away the place of what has ended', () => {
    const next = order([mig(1, '3g.40gb@0')], [held('a', 1, '3g.40gb@0'), held('b', 1, '3g.40gb@0')]);

    expect(reasonOf(next, { ...knowing, hasEnded: (id) => id.endsWith('a') })).toBe('accepted');
  });

  it('is checked as far as it can be before the device has listed its profiles', () => {
    expect(reasonOf(order([mig(1, '3g.40gb@0', '1g.10gb@3')]), blind)).toBe('accepted');
    expect(reasonOf(order([mig(1, '3g.40gb@0', '1g.10gb@0')]), blind)).toBe('invalid');
    expect(reasonOf(order([], [held('a', 1, '3g.40gb@0'), held('b', 1, '1g.10gb@0')]), blind)).toBe('invalid');
  });
});
