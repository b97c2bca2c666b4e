// kill -9 of the agent between any two lines of its step journal, while a GPU is cut, cut anew beside a slice in use, and
// made whole again. Each end is the layout that was ordered, made of whole slices, with the used one untouched.
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { desired, LoneAgent, layoutOf } from '../../agent/src/testing/lone-agent.ts';

let agent: LoneAgent | undefined;
afterEach(async () => {
  await agent?.[Symbol.asyncDispose]();
  agent = undefined;
});

type Line = 'intent' | 'outcome';

/** A line as the ledger writes it, whatever else is on it. */
function lineOf(text: string): { readonly kind: Line; readonly step: string; readonly gpu: string } {
  const kind = /"intent":\s*true/.test(text) ? 'intent' : 'outcome';
  return { kind, step: /"step":"([^"]*)"/.exec(text)?.[1] ?? text, gpu: /"gpu":"([^"]*)"/.exec(text)?.[1] ?? '' };
}

function linesOf(own: LoneAgent, kind: Line): readonly string[] {
  return own.steps
    .map(lineOf)
    .filter((line) => line.kind === kind)
    .map(({ step }) => step);
}

/**
 * Lets the agent work until the GPU is as `layout` says, and kills it at the first line of `kind` of each step; returns
 * those steps. A step is struck once: an agent that always dies between its line and the command it starts gets nowhere.
 */
async function strikeUntil(own: LoneAgent, layout: string, kind: Line): Promise<readonly string[]> {
  const struck = new Set<string>();
  for (;;) {
    const { length } = linesOf(own, kind);
    const fresh = (): readonly string[] => linesOf(own, kind).slice(length);
    const seen = await own.until(async () => {
      const step = fresh().find((text) => !struck.has(text));
      if (step !== undefined) return step;
      return own.machineLayout() === layout && (await isTold(own, layout)) ? 'done' : undefined;
    }, `another line, or ${layout}`);
    if (seen === 'done') return [...struck];
    await own.kill();
    for (const step of fresh().slice(-1)) struck.add(step);
    own.start();
  }
}

/** It is there, and the agent knows. */
async function isTold(own: LoneAgent, layout: string): Promise<boolean> {
  return layoutOf(await own.gpu()) === layout;
}

const cut = '1g.10gb@0 1g.10gb@1 2g.20gb@2 3g.40gb@4';
const anew = '1g.10gb@0 1g.20gb@2 3g.40gb@4';

const firstSteps = ['enable MIG', 'create 3g.40gb@4', 'create 2g.20gb@2', 'create 1g.10gb@0', 'create 1g.10gb@1'];
const secondSteps = ['destroy 2g.20gb@2', 'destroy 1g.10gb@1', 'create 1g.20gb@2'];
const lastSteps = ['destroy 1g.10gb@0', 'destroy 1g.20gb@2', 'destroy 3g.40gb@4', 'disable MIG'];

describe('kill -9 of the agent at each line of the step journal', () => {
  it.each<Line>(['intent', 'outcome'])(
    'after each %s: the new layout, a used slice untouched, the other GPU as it was',
    async (kind) => {
      const own = await LoneAgent.make({ gpuCount: 2 });
      agent = own;
      own.smi('-i 1 -mig 1');
      own.smi('mig -i 1 -cgi 9:4,19:0 -C');
      const neighbour = JSON.stringify(own.machineGpu(1));
      const [uuid = ''] = own.gpus;
      const id = own.scratch.allocation();
      const holder = {
        id,
        workload: 'w',
        workspace: 's',
        devices: [{ gpuUuid: uuid, slice: { profile: '1g.10gb', start: 0 } }],
        intent: { case: 'run' as const, value: { command: ['sh', '-c', `echo $$ >> ${own.scratch.path('ran')}; exec sleep 600`] } },
      };
      const held = (): unknown => own.machineGpu().instances.find((instance) => instance.start === 0);

      own.start();
      expect((await own.order([desired(uuid, cut)])).case).toBe('accepted');
      // Before the first line there is the yes, which holds.
      await own.kill();
      own.start();
      const struck = [...(await strikeUntil(own, cut, kind))];

      await own.order([desired(uuid, cut)], [holder]);
      await own.runs(id);
      const used = JSON.stringify(held());
      await own.order([desired(uuid, anew)], [holder]);
      struck.push(...(await strikeUntil(own, anew, kind)));
      await own.runs(id);
      expect(JSON.stringify(held())).toBe(used);
      expect(readFileSync(own.scratch.path('ran'), 'utf8').trim().split('\n')).toHaveLength(1);

      const stop = { ...holder, intent: { case: 'stop' as const, value: { graceSeconds: 1 } } };
      await own.order([desired(uuid, 'whole')], [stop]);
      struck.push(...(await strikeUntil(own, 'whole', kind)));

      // Nothing is left half-way: no instance, no finding, no other GPU that was touched or named.
      expect(own.machineGpu().instances).toEqual([]);
      await own.until(async () => (await own.gpu())?.conditions.length === 0, 'no finding sticks');
      expect(JSON.stringify(own.machineGpu(1))).toBe(neighbour);
      expect(new Set(own.steps.map((line) => lineOf(line).gpu))).toEqual(new Set([uuid]));
      // Every step is recorded before it is taken.
      const every = [...firstSteps, ...secondSteps, ...lastSteps];
      expect(linesOf(own, 'intent')).toEqual(expect.arrayContaining(every));
      // And the agent did die at those lines; on a busy machine one may have come and gone between two looks.
      expect(every.filter((step) => !struck.includes(step)).length).toBeLessThanOrEqual(2);
    },
    240_000,
  );
});
