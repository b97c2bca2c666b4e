import { describe, expect, it } from 'vitest';
import { against } from '../testing/against.ts';
import type { Handlers } from '../testing/api-server.ts';

describe('plan and pool', () => {
  const slice = (start: number) => ({ profile: '1g.10gb', start });
  const proposal = {
    id: 'prp_1',
    model: 'NVIDIA H100 80GB HBM3',
    madeAtMs: 1,
    text: '1 x 4g.40gb fit after moving small',
    changes: [],
    moves: [{ workload: 'small', from: { gpuUuid: 'GPU-1', slice: slice(0) }, to: { gpuUuid: 'GPU-1', slice: slice(6) } }],
    lostSliceSeconds: 5,
    gains: [{ ask: '4g.40gb', count: 1 }],
  };

  it('show what would help and how to do it, or when it is done', async () => {
    const waiting = { ...proposal, id: 'prp_2', waits: { reason: 'settling' as const, untilMs: 2 } };
    expect(await against({ listProposals: () => ({ items: [proposal, waiting] }) }, ['plan'])).toMatchObject({
      exitCode: 0,
      out: `prp_1  NVIDIA H100 80GB HBM3
  1 x 4g.40gb fit after moving small
  do it   astrago plan --apply prp_1

prp_2  NVIDIA H100 80GB HBM3
  1 x 4g.40gb fit after moving small
  waits   settling, then it is done by itself
`,
    });
    expect(await against({ listProposals: () => ({ items: [] }) }, ['plan'])).toMatchObject({
      out: expect.stringContaining('no proposal') as string,
    });
  });

  it('carry out the proposal that is named, and set the pool that is meant', async () => {
    const asked: unknown[] = [];
    const handlers: Handlers = {
      applyProposal: ({ params }) => {
        asked.push(params);
        return proposal;
      },
      putPool: ({ params, body }) => {
        asked.push(params, body);
        return { model: proposal.model, gpus: 2, repartition: 'act' };
      },
    };
    expect(await against(handlers, ['plan', '--apply', 'prp_1'])).toMatchObject({ exitCode: 0 });
    expect(await against(handlers, ['pool', 'h100 80gb', '--repartition', 'act'])).toMatchObject({
      out: 'MODEL                  GPUS  REPARTITION\nNVIDIA H100 80GB HBM3  2     act\n',
    });
    expect(asked).toEqual([{ proposal: 'prp_1' }, { model: 'h100 80gb' }, { repartition: 'act' }]);
    expect(await against({}, ['pool', 'h100'])).toMatchObject({ exitCode: 2 });
    expect(await against({}, ['pool', 'h100', '--repartition', 'maybe'])).toMatchObject({ exitCode: 2 });
  });
});
