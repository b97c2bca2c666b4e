// What the agent process lives through: a full disk, a damaged ledger, a reboot in the middle of a step, a driver that
// hangs while it is told to end, and a death at any moment. Work that runs runs on, and nothing is done on suspicion.
import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { AllocationState, RefusalReason } from '@astrago/proto/agent';
import { describe, expect, it, vi } from 'vitest';
import { readAllProcs, readCommandLine, readProc } from '../../agent/src/processes/proc.ts';
import { desired, LoneAgent, layoutOf } from '../../agent/src/testing/lone-agent.ts';

vi.setConfig({ testTimeout: 180_000 });

/** Tests run side by side, as most of what they do is to wait. */
const nodeWith = (environment: Readonly<Record<string, string>> = {}): Promise<LoneAgent> => LoneAgent.make({}, environment);

/** Work on the slice at 4, which says its pid. */
function holder(own: LoneAgent, id: string) {
  const command = ['sh', '-c', `echo $$ >> ${own.scratch.path(id)}; exec sleep 600`];
  const devices = [{ gpuUuid: own.gpus[0] ?? '', slice: { profile: '3g.40gb', start: 4 } }];
  return { id, workload: 'w', workspace: 's', devices, intent: { case: 'run' as const, value: { command } } };
}

/** Every pid under which it was ever started. */
function pidsOf(own: LoneAgent, id: string): readonly number[] {
  return readFileSync(own.scratch.path(id), 'utf8').trim().split('\n').map(Number);
}

function runsOn(pid: number | undefined): boolean {
  const state = pid === undefined ? undefined : readProc(pid)?.state;
  return state !== undefined && state !== 'Z';
}

async function finding(own: LoneAgent, kind: string): Promise<string | undefined> {
  return (await own.inventory())?.conditions.find((one) => one.kind === kind)?.detail;
}

/** A few looks at the driver from now on have come and gone. */
async function looksAgain(own: LoneAgent): Promise<void> {
  for (let look = 0; look < 3; look += 1) {
    const before = (await own.inventory())?.observedAtMs;
    await own.until(async () => {
      const now = (await own.inventory())?.observedAtMs;
      return now !== undefined && now !== before;
    }, 'another look');
  }
}

/** As a file system without room: every write of this one process fails, but with another error code. */
function fillDisk(pid: number): void {
  execFileSync('prlimit', ['--pid', String(pid), '--fsize=0:unlimited']);
}

function emptyDisk(pid: number): void {
  execFileSync('prlimit', ['--pid', String(pid), '--fsize=unlimited']);
}

describe.concurrent('a full disk', () => {
  it('refuses new orders with that reason, keeps the old one and all that runs, and ends by itself', async () => {
    await using own = await nodeWith();
    const { pid } = own.start();
    const [gpu] = own.gpus;
    const id = own.scratch.allocation();
    await own.mustApply({ gpus: [desired(gpu, '3g.40gb@4')], allocations: [holder(own, id)] });
    await own.runs(id);
    const [work] = pidsOf(own, id);
    const { length } = own.steps;
    fillDisk(pid);

    // To end the work and remove its slice, which is not to come about.
    const answer = await own.apply({ gpus: [desired(gpu, 'whole')], allocations: [] });
    expect(answer).toMatchObject({ case: 'refused', value: { reason: RefusalReason.LEDGER_UNAVAILABLE, epoch: 1n, generation: 1n } });
    expect(answer.case === 'refused' && answer.value.detail).toMatch(/EFBIG|ENOSPC/);
    const told = await own.until(() => finding(own, 'disk-full'), 'the node says so');
    expect(told).toMatch(/EFBIG|ENOSPC/);
    await looksAgain(own);
    expect(runsOn(work)).toBe(true);
    expect((await own.inventory())?.generation).toBe(1n);
    expect((await own.allocation(id))?.state).toBe(AllocationState.RUNNING);
    expect(own.machineLayout()).toBe('3g.40gb@4');

    emptyDisk(pid);
    // Nothing is to be written meanwhile: it tries by itself.
    await own.until(async () => (await finding(own, 'disk-full')) === undefined, 'the condition goes');
    expect(own.steps).toHaveLength(length);
    await own.mustApply({ gpus: [desired(gpu, '3g.40gb@4 1g.10gb@0')], allocations: [holder(own, id)] });
    await own.until(() => own.machineLayout() === '1g.10gb@0 3g.40gb@4', 'the new order is carried out');
    expect(pidsOf(own, id)).toEqual([work]);
    expect(runsOn(work)).toBe(true);
    expect(readProc(pid)).toBeDefined();
  });

  it('takes no step on a GPU whose intent is not on disk', async () => {
    await using own = await nodeWith({ ASTRAGO_INVENTORY_PERIOD_MS: '300' });
    const { pid } = own.start();
    const [gpu] = own.gpus;
    await own.mustApply({ gpus: [desired(gpu, '3g.40gb@4 1g.10gb@0')] });
    await own.until(async () => layoutOf(await own.gpu()) === '1g.10gb@0 3g.40gb@4', 'it is cut');
    const slice = own.machineGpu().instances.find(({ start }) => start === 0);
    fillDisk(pid);
    // Someone takes a slice away: it would be made again.
    own.smi(`mig -i 0 -dci -gi ${slice?.id}`);
    own.smi(`mig -i 0 -dgi -gi ${slice?.id}`);
    const { length } = own.steps;

    await own.until(() => finding(own, 'disk-full'), 'it has tried to write what it means to do');
    await looksAgain(own);
    expect(own.machineLayout()).toBe('3g.40gb@4');
    expect(own.steps).toHaveLength(length);

    emptyDisk(pid);
    await own.until(() => own.machineLayout() === '1g.10gb@0 3g.40gb@4', 'it is made again');
    await own.until(async () => (await finding(own, 'disk-full')) === undefined, 'the condition goes');
    await own.until(() => own.steps.at(-1)?.includes('"result":"done"'), 'that is written down');
    expect(own.steps.slice(length).map((line) => /"step":"([^"]*)"/.exec(line)?.[1])).toEqual(['create 1g.10gb@0', 'create 1g.10gb@0']);
  });
});

const insufficient = {
  stdout: 'Unable to create a GPU instance on GPU  0 using profile 19: Insufficient Resources\n',
  exitCode: 19,
};

describe.concurrent('a ledger that was damaged while no agent ran', () => {
  it('is set aside and says so; what runs runs on, nothing is destroyed or started, and the next order counts', async () => {
    await using own = await nodeWith({ ASTRAGO_INVENTORY_PERIOD_MS: '300' });
    const [gpu] = own.gpus;
    const ledger = (name: string): string => own.scratch.path('data', 'ledger', name);
    const id = own.scratch.allocation();
    const failed = own.scratch.allocation();
    const mark = own.scratch.path('mark');
    // It is called failed because its slice cannot be made, and must not start when it can.
    const never = { ...holder(own, failed), devices: [{ gpuUuid: gpu ?? '', slice: { profile: '1g.10gb', start: 0 } }] };
    never.intent.value.command = ['touch', mark];
    own.spoil({ rules: [{ match: { args: '/-cgi 19/' }, action: insufficient }] });
    const order = { gpus: [desired(gpu, '3g.40gb@4 1g.10gb@0')], allocations: [holder(own, id), never] };
    own.start();
    await own.mustApply(order);
    await own.runs(id);
    await own.until(async () => (await own.allocation(failed))?.state === AllocationState.FAILED, 'one has failed');
    await own.until(() => existsSync(ledger('verdicts.json')), 'that is written down');
    const [work] = pidsOf(own, id);
    const held = (): string => JSON.stringify(own.machineGpu().instances.find(({ start }) => start === 4));
    const slice = held();

    const unharmed = (): void => {
      expect(runsOn(work)).toBe(true);
      expect(pidsOf(own, id)).toEqual([work]);
      expect(held()).toBe(slice);
      expect(existsSync(mark)).toBe(false);
    };
    let generation = 1n;
    for (const [name, damage] of [
      ['steps.jsonl', () => truncateSync(ledger('steps.jsonl'), readFileSync(ledger('steps.jsonl')).length - 5)],
      ['order.json', () => writeFileSync(ledger('order.json'), readFileSync(ledger('order.json'), 'utf8').replace('3g.40gb', '4g.40gb'))],
      ['verdicts.json', () => appendFileSync(ledger('verdicts.json'), '}')],
    ] as const) {
      await own.kill();
      damage();
      // With the verdict lost, only what bars its start is left.
      if (name === 'verdicts.json') own.spoil({});
      own.start();
      const torn = name === 'steps.jsonl';
      if (torn) await own.inventory();
      else expect(await own.until(() => finding(own, 'ledger-set-aside'), `${name} is set aside`)).toContain(`${name}.damaged-`);
      await looksAgain(own);
      unharmed();
      // What was torn off by the end of an agent is no damage.
      if (torn) expect(await finding(own, 'ledger-set-aside')).toBeUndefined();
      expect((await own.inventory())?.generation).toBe(name === 'order.json' ? 0n : generation);

      await own.mustApply(order);
      generation += 1n;
      await own.runs(id);
      await own.until(async () => (await finding(own, 'ledger-set-aside')) === undefined, 'the condition goes with the order');
      await own.until(async () => (await own.allocation(failed))?.state === AllocationState.FAILED, 'what had failed has failed');
      unharmed();
    }
  });
});

describe.concurrent('a reboot in the middle of a step', () => {
  it('makes the intent void, and the step is taken anew', async () => {
    await using own = await nodeWith();
    own.spoil({ rules: [{ match: { args: '-cgi' }, action: { hang: true } }] });
    own.start();
    await own.mustApply({ gpus: [desired(own.gpus[0], '3g.40gb@4')] });
    await own.until(() => own.steps.at(-1)?.includes('create 3g.40gb@4'), 'it is about to cut');
    await own.kill();
    await own.reboot('boot-2');
    own.spoil({});
    const { length } = own.steps;
    own.start();

    await own.until(async () => layoutOf(await own.gpu()) === '3g.40gb@4', 'it is cut');
    const lines = own.steps.slice(length).map((line) => JSON.parse(line) as { step: string; result?: string; boot: string });
    expect(lines[0]).toMatchObject({ step: 'create 3g.40gb@4', result: 'void: the node was rebooted', boot: 'boot-2' });
    expect(lines.filter(({ step }) => step === 'create 3g.40gb@4').map(({ result }) => result)).toEqual([
      'void: the node was rebooted',
      undefined,
      expect.any(String),
    ]);
  });
});

/** Programs of this machine's driver that live. */
function tools(own: LoneAgent): readonly string[] {
  return readAllProcs()
    .map(({ pid }) => readCommandLine(pid))
    .filter((words) => words.some((word) => word.startsWith(own.machine)))
    .map((words) => words.join(' '));
}

describe.concurrent('the end of an agent', () => {
  it('by SIGTERM comes although every question to the driver hangs', async () => {
    await using own = await nodeWith({ ASTRAGO_SAMPLE_PERIOD_MS: '1000' });
    own.spoil({ rules: [{ action: { hang: true } }] });
    const agent = own.start();
    await agent.up();
    await own.until(() => tools(own).length > 0, 'a command hangs');

    await own.kill('SIGTERM');
    expect(await agent.ended()).toEqual({ exitCode: 0, signal: null });
    await own.until(() => tools(own).length === 0, 'no command is left behind');
  });

  // A change is left a minute to finish, which is longer than this test may take.
  it('by SIGTERM comes although a change hangs, which is not ended half-way', { timeout: 45_000 }, async () => {
    await using own = await nodeWith();
    own.spoil({ rules: [{ match: { args: '-cgi' }, action: { hang: true } }] });
    const agent = own.start();
    await own.mustApply({ gpus: [desired(own.gpus[0], '3g.40gb@4')] });
    const changes = (): readonly string[] => tools(own).filter((words) => words.includes('-cgi'));
    await own.until(() => changes().length > 0, 'it is about to cut');

    await own.kill('SIGTERM');
    expect(await agent.ended()).toEqual({ exitCode: 0, signal: null });
    expect(changes()).toHaveLength(1);
  });

  it('by SIGKILL, ten times in a row, leaves no command of the driver behind', async () => {
    await using own = await nodeWith({ ASTRAGO_SAMPLE_PERIOD_MS: '300', ASTRAGO_INVENTORY_PERIOD_MS: '300' });
    for (let round = 0; round < 10; round += 1) {
      const agent = own.start();
      await agent.up();
      await own.until(() => tools(own).length > 0, 'a command runs');
      await own.kill();
      expect(await agent.ended()).toEqual({ exitCode: null, signal: 'SIGKILL' });
    }
    await own.until(() => tools(own).length === 0, 'none is left');
  });
});
