import type { AllocationId, NodeName } from '@astrago/shared/domain/ids';
import { describe, expect, it } from 'vitest';
import type { WorkloadRecord } from '#core/cluster/records';
import { sampleWorkload, slice } from '#core/cluster/sample-cluster';
import { type Agents, AgentUnavailable } from '../app/ports.ts';
import { workloadOutput } from './logs.ts';

const node = 'node-1' as NodeName;
const queued = sampleWorkload(1, slice('1g.10gb'));
const placed: WorkloadRecord = { ...queued, phase: 'running', node, allocation: 'alc_00000001' as AllocationId };
const ended: WorkloadRecord = { ...placed, phase: 'succeeded', endReason: 'completed' };
const away = new AgentUnavailable(node, { cause: undefined });

type Step = string | AgentUnavailable;

/** Each look at the record is one of `records`, the last one for ever; each call for output is one of `calls`. */
function output(
  records: readonly WorkloadRecord[],
  calls: readonly (readonly Step[])[],
  follow: boolean,
  signal = new AbortController().signal,
) {
  const looks = [...records];
  const scripts = [...calls];
  const asked: string[] = [];
  const agents: Pick<Agents, 'logs'> = {
    async *logs(_node, allocation, following) {
      asked.push(`${allocation} ${following ? 'follow' : 'once'}`);
      for (const step of scripts.shift() ?? []) {
        if (typeof step !== 'string') throw step;
        yield Buffer.from(step);
      }
    },
  };
  const store = { findWorkload: () => (looks.length > 1 ? looks.shift() : looks[0]) };
  return { asked, stream: workloadOutput({ store, agents }, records[0] ?? queued, follow, signal) };
}

async function text(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe('output', () => {
  it('of what runs is what there is now', async () => {
    const { stream, asked } = output([placed], [['hello']], false);

    expect(await text(stream)).toBe('hello');
    expect(asked).toEqual(['alc_00000001 once']);
  });

  it('of what was never placed is nothing', async () => {
    const { stream, asked } = output([queued], [], false);

    expect(await text(stream)).toBe('');
    expect(asked).toEqual([]);
  });

  it('of a node that does not answer is a failure, not nothing', async () => {
    const { stream } = output([placed], Array(9).fill([away]), false);

    await expect(text(stream)).rejects.toBe(away);
  });

  it('of a connection that broke once is whole', async () => {
    const { stream } = output([placed], [['hel', away], ['hello']], false);

    expect(await text(stream)).toBe('hello');
  });
});

describe('followed output', () => {
  it('waits for the workload to be placed, and goes on to its end', async () => {
    const { stream, asked } = output([queued, queued, placed, ended], [['hello ', 'world'], ['hello world']], true);

    expect(await text(stream)).toBe('hello world');
    expect(asked).toEqual(['alc_00000001 follow', 'alc_00000001 once']);
  });

  it('says nothing twice when the agent was away in between', async () => {
    const { stream } = output([placed, placed, ended], [['hel', away], ['hello ', away], ['hello world']], true);

    expect(await text(stream)).toBe('hello world');
  });

  it('begins anew with a new allocation', async () => {
    const elsewhere = { ...ended, allocation: 'alc_00000002' as AllocationId };
    const { stream, asked } = output([placed, elsewhere], [['first try\n'], ['second']], true);

    expect(await text(stream)).toBe('first try\nsecond');
    expect(asked).toEqual(['alc_00000001 follow', 'alc_00000002 once']);
  });

  it('ends with its reader', async () => {
    const reader = new AbortController();
    const { stream } = output([queued], [], true, reader.signal);

    const all = text(stream);
    reader.abort();

    expect(await all).toBe('');
  });
});
