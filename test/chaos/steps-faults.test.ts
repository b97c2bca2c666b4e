// What a driver does in the middle of cutting: halves, lies, refusals, modes that wait, boards that were switched off.
// Each row is a GPU of its own, all of one machine at the same time; the last GPU was cut by hand and is nobody's business.
import { AllocationState, FailureReason } from '@astrago/proto/agent';
import type { FaultRule, MachineOrder } from '@astrago/sim';
import { afterEach, describe, expect, it } from 'vitest';
import { desired, LoneAgent, layoutOf } from '../../agent/src/testing/lone-agent.ts';

let agent: LoneAgent | undefined;
afterEach(async () => {
  await agent?.[Symbol.asyncDispose]();
  agent = undefined;
});

async function onMachine(machine: Partial<MachineOrder>): Promise<LoneAgent> {
  agent = await LoneAgent.make(machine);
  return agent;
}

async function isTold(own: LoneAgent, layout: string, index = 0): Promise<boolean> {
  const gpu = await own.gpu(index);
  return sorted(layoutOf(gpu)) === sorted(layout);
}

/** Layouts are written in any order. */
function sorted(layout: string): string {
  return layout.split(' ').toSorted().join(' ');
}

async function findings(own: LoneAgent, index: number): Promise<readonly string[]> {
  return ((await own.gpu(index))?.conditions ?? []).map(({ kind, detail }) => `${kind}: ${detail}`);
}

interface Row {
  readonly what: string;
  /** What one call of nvidia-smi on this GPU does; which calls it is for, and how often. */
  readonly fault?: { readonly args: string; readonly times?: number; readonly action: FaultRule['action'] };
  /** By hand, before the agent looks. */
  readonly before?: readonly string[];
  readonly orders: readonly string[];
  readonly ends: string;
  /** The finding that stays; nothing else does. */
  readonly finding?: string;
}

const insufficient = {
  stdout:
    'Unable to create a GPU instance on GPU  0 using profile 14: Insufficient Resources\nFailed to create GPU instances: Insufficient Resources\n',
  exitCode: 19,
};
const unknownProfile = {
  stdout:
    'Unable to create a GPU instance on GPU  0 using profile 15: Invalid Argument\nFailed to create GPU instances: Invalid Argument\n',
  exitCode: 3,
};
const lie = {
  stdout: 'Successfully created GPU instance ID  9 on GPU  0 using profile MIG 1g.10gb (ID 19)\n',
  exitCode: 0,
};

const rows: readonly Row[] = [
  {
    what: 'a creation that dies between the GPU instance and its compute instance is completed',
    fault: { args: '-cgi', times: 1, action: { dieAfterSteps: 1 } },
    orders: ['3g.40gb@4 1g.10gb@0'],
    ends: '1g.10gb@0 3g.40gb@4',
  },
  {
    what: 'half a slice that nobody wants any more is removed',
    before: ['-mig 1', 'mig -cgi 14:2'],
    orders: ['3g.40gb@4 1g.10gb@2'],
    ends: '1g.10gb@2 3g.40gb@4',
  },
  {
    what: 'a client that is gone a moment later only delays',
    fault: { args: '/-cgi|-dgi|-dci/', times: 1, action: { gpuBusy: true } },
    orders: ['2g.20gb@0 2g.20gb@2 2g.20gb@4'],
    ends: '2g.20gb@0 2g.20gb@2 2g.20gb@4',
  },
  {
    what: 'resources that are not there fail one slice, with the words of the driver, and no other',
    fault: { args: '/-cgi 14/', action: insufficient },
    orders: ['3g.40gb@4 2g.20gb@0 1g.10gb@2'],
    ends: '1g.10gb@2 3g.40gb@4',
    finding: 'layout-failed: Unable to create a GPU instance on GPU  0 using profile 14: Insufficient Resources',
  },
  {
    what: 'a profile that the driver does not know after all is not tried for ever',
    fault: { args: '/-cgi 15/', action: unknownProfile },
    orders: ['1g.20gb@4 1g.10gb+me@0'],
    ends: '1g.10gb+me@0',
    finding: 'layout-failed: Unable to create a GPU instance on GPU  0 using profile 15: Invalid Argument',
  },
  {
    what: 'a success without effect is not believed',
    fault: { args: '-cgi', times: 1, action: lie },
    orders: ['1g.10gb@6 1g.10gb+me@0'],
    ends: '1g.10gb+me@0 1g.10gb@6',
  },
  {
    what: 'a place that comes back with the same ids for another profile is another slice',
    orders: ['1g.20gb@2 3g.40gb@4', '2g.20gb@2 3g.40gb@4'],
    ends: '2g.20gb@2 3g.40gb@4',
  },
];

describe('one call of nvidia-smi that goes wrong', () => {
  it('leaves each GPU as its row says, and the one beside them as it was', async () => {
    const own = await onMachine({ gpuCount: rows.length + 1 });
    const last = rows.length;
    own.smi(`-i ${last} -mig 1`);
    own.smi(`mig -i ${last} -cgi 5:0,15:4 -C`);
    const neighbour = JSON.stringify(own.machineGpu(last));
    for (const [index, { before = [] }] of rows.entries())
      for (const command of before)
        own.smi(command.startsWith('mig ') ? command.replace('mig ', `mig -i ${index} `) : `-i ${index} ${command}`);
    own.spoil({
      rules: rows.flatMap(({ fault }, index) =>
        fault === undefined
          ? []
          : [
              {
                match: { args: fault.args, gpu: own.gpus[index] ?? '' },
                ...(fault.times === undefined ? {} : { times: fault.times }),
                action: fault.action,
              },
            ],
      ),
    });
    own.start();

    const rounds = Math.max(...rows.map(({ orders }) => orders.length));
    for (let round = 0; round < rounds; round += 1) {
      const wanted = rows.map(({ orders }) => orders[Math.min(round, orders.length - 1)] ?? 'mig');
      expect((await own.order(wanted.map((layout, index) => desired(own.gpus[index], layout)))).case).toBe('accepted');
      for (const [index, { ends, what, orders }] of rows.entries()) {
        // A row with a further order is there when its own is.
        const wish = round < orders.length - 1 ? (wanted[index] ?? '') : ends;
        const there = async (): Promise<boolean> => (await isTold(own, wish, index)) && sorted(own.machineLayout(index)) === sorted(wish);
        await own.until(there, `GPU ${index} is ${wish}: ${what}`);
      }
    }

    for (const [index, { finding, what }] of rows.entries()) {
      const stays = finding === undefined ? [] : [finding];
      await own.until(
        async () => JSON.stringify(await findings(own, index)) === JSON.stringify(stays),
        `${what}: ${stays.join() || 'no finding'}`,
      );
    }
    expect(JSON.stringify(own.machineGpu(last))).toBe(neighbour);
    // Each change was meant before it was made, and told afterwards.
    for (const line of own.steps.filter((text) => text.includes('"result"'))) {
      const [, gpu = '', step = ''] = /"gpu":"([^"]*)","step":"([^"]*)"/.exec(line) ?? [];
      expect(
        own.steps.some((text) => text.includes('"intent"') && text.includes(gpu) && text.includes(`"${step}"`)),
        line,
      ).toBe(true);
    }
  }, 120_000);

  it('names a slice by what it is, not by ids that come back', async () => {
    const own = await onMachine({ gpuCount: 1 });
    own.smi('-i 0 -mig 1');
    own.smi('mig -i 0 -cgi 15:2 -C');
    const before = own.machineGpu().instances[0];
    own.start();
    const id = own.scratch.allocation();
    const [uuid = ''] = own.gpus;
    const devices = [{ gpuUuid: uuid, slice: { profile: '2g.20gb', start: 2 } }];
    const intent = { case: 'run' as const, value: { command: ['sleep', '600'] } };
    await own.order([desired(uuid, '2g.20gb@2')], [{ id, workload: 'w', workspace: 's', devices, intent }]);
    await own.runs(id);
    const after = own.machineGpu().instances[0];
    // Else the row would show nothing.
    expect([after?.id, after?.computeInstances[0]?.migUuid]).toEqual([before?.id, before?.computeInstances[0]?.migUuid]);
    expect(own.machineLayout()).toBe('2g.20gb@2');
    expect(own.steps.some((line) => line.includes('destroy 1g.20gb@2'))).toBe(true);
  }, 60_000);

  it('cuts a board of twelve units with graphics, without media engines, and with all of them, killed in between', async () => {
    const own = await onMachine({ model: 'rtx-pro-6000' });
    own.start();
    for (const layout of ['1g.24gb+gfx@0 1g.24gb-me@3 2g.48gb@6', '1g.24gb+me.all@9 2g.48gb-me@0', '4g.96gb+gfx@0']) {
      const { length } = own.steps;
      await own.order([desired(own.gpus[0], layout)]);
      await own.until(() => own.steps.length > length + 2, 'it is under way');
      await own.kill();
      own.start();
      await own.until(() => sorted(own.machineLayout()) === sorted(layout), layout);
    }
    await own.until(() => isTold(own, '4g.96gb+gfx@0'), 'the agent says so');
    expect(await findings(own, 0)).toEqual([]);

    // What can never be meant is refused as a whole; what the driver will not do fails alone, and in its words.
    expect(await own.order([desired(own.gpus[0], '1g.24gb@3 2g.48gb@0')])).toMatchObject({
      case: 'refused',
      value: { detail: expect.stringContaining('2g.48gb@0 overlaps 1g.24gb@3') as string },
    });
    await own.order([desired(own.gpus[0], '1g.24gb+me@0 1g.24gb+me.all@3 1g.10gb@9')]);
    await own.until(async () => (await findings(own, 0)).some((text) => text.startsWith('layout-failed: ')), 'it is told');
    await own.until(
      async () => (await isTold(own, '1g.24gb+me@0')) || (await isTold(own, '1g.24gb+me.all@3')),
      'one has the media engines',
    );
  }, 120_000);
});

describe('a MIG mode that waits', () => {
  it('on Ampere, with an exit code of 0, is made effective by a reset as soon as the client is gone', async () => {
    const own = await onMachine({ model: 'a100-40gb' });
    own.spoil({ rules: [{ match: { args: '-mig 1' }, times: 1, action: { gpuBusy: true } }] });
    own.start();
    await own.order([desired(own.gpus[0], '3g.20gb@4 1g.5gb@0')]);
    await own.until(() => isTold(own, '1g.5gb@0 3g.20gb@4'), 'it is cut');
    expect(own.steps.some((line) => line.includes('"reset"'))).toBe(true);
    expect(await findings(own, 0)).toEqual([]);
  }, 60_000);

  it('where no reset is possible is told, and effective after a reboot', async () => {
    const own = await onMachine({ model: 'a100-40gb' });
    own.spoil({ behaviour: { resetUnsupported: true, ignoreOtherNvidiaSmi: true } });
    own.start();
    await own.order([desired(own.gpus[0], '7g.40gb@0')]);
    await own.until(
      async () =>
        (await findings(own, 0)).some((text) => text.startsWith('layout-failed: Resetting GPU')) &&
        (await findings(own, 0)).some((text) => text.startsWith('mode-change-pending')),
      'it is told',
    );
    await own.kill();
    await own.reboot('boot-2');
    own.start();
    await own.until(() => isTold(own, '7g.40gb@0'), 'it is cut after the reboot');
    await own.until(async () => (await findings(own, 0)).length === 0, 'no finding sticks');
  }, 60_000);
});

describe('a reboot in the middle of cutting', () => {
  it('loses every instance, and the layout is made again from the ledger; what ran is told as lost', async () => {
    const own = await onMachine({ gpuCount: 1 });
    own.start();
    const id = own.scratch.allocation();
    const [uuid = ''] = own.gpus;
    const devices = [{ gpuUuid: uuid, slice: { profile: '3g.40gb', start: 4 } }];
    const holder = { id, workload: 'w', workspace: 's', devices, intent: { case: 'run' as const, value: { command: ['sleep', '600'] } } };
    await own.order([desired(uuid, '3g.40gb@4')], [holder]);
    await own.runs(id);
    const { length } = own.steps;
    await own.order([desired(uuid, '3g.40gb@4 1g.10gb@0 1g.10gb+me@1 2g.20gb@2')], [holder]);
    await own.until(() => own.steps.length > length + 1, 'it is under way');
    await own.kill();
    await own.reboot('boot-2');
    expect(own.machineLayout()).toBe('whole');
    own.start();
    await own.until(() => own.machineLayout() === '1g.10gb@0 1g.10gb+me@1 2g.20gb@2 3g.40gb@4', 'it is cut again');
    await own.until(async () => (await own.allocation(id))?.state === AllocationState.FAILED, 'what ran is told as lost');
    expect((await own.allocation(id))?.failure).toBe(FailureReason.NODE_REBOOTED);
    await own.until(async () => (await findings(own, 0)).length === 0, 'no finding sticks');
  }, 60_000);
});
