// Whom workloads run as, through the agent as it is run, spoken to as a controller does.
import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { AllocationState, FailureReason } from '@astrago/proto/agent';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { LoneAgent } from './testing/lone-agent.ts';

// Real processes on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 180_000 });

let agent: LoneAgent | undefined;

afterEach(() => agent?.[Symbol.asyncDispose]());

function run(id: string, command: readonly string[]) {
  return { id, workload: 'w', workspace: 's', intent: { case: 'run' as const, value: { command: [...command] } } };
}

describe.runIf(process.getuid?.() === 0)('an agent that is root', () => {
  it('runs workloads and commands beside them as the user it was told of', async () => {
    agent = await LoneAgent.running(
      {},
      {
        ASTRAGO_ALLOW_ROOT_WORKLOADS: '',
        ASTRAGO_WORKLOAD_USER: 'nobody',
        ASTRAGO_WORKLOAD_PATH: '/usr/bin:/bin',
      },
    );
    const on = agent;
    // Where a workload says something to this test.
    const told = on.scratch.path('told');
    mkdirSync(told);
    chmodSync(told, 0o777);
    const id = on.scratch.allocation();
    const script = `id -un > ${told}/new; mv ${told}/new ${told}/user; exec sleep 300`;
    await on.mustApply({ allocations: [run(id, ['sh', '-c', script])] });

    expect(await on.until(() => existsSync(`${told}/user`) && readFileSync(`${told}/user`, 'utf8'), 'the workload says who it is')).toBe(
      'nobody\n',
    );
    expect(await on.exec(id, ['id', '-un'])).toEqual({ output: 'nobody\n', exitCode: 0 });
    expect((await on.exec(id, ['no-such-program'])).exitCode).toBe(127);
  });

  it('and was told of nobody starts none, and says what to do', async () => {
    agent = await LoneAgent.running({}, { ASTRAGO_ALLOW_ROOT_WORKLOADS: '' });
    const on = agent;
    await on.mustApply({ allocations: [run(on.scratch.allocation(), ['true'])] });

    const failed = await on.until(
      () => on.reports.allocations?.allocations.find(({ state }) => state === AllocationState.FAILED),
      'the allocation has failed',
    );
    expect(failed.failure).toBe(FailureReason.START_FAILED);
    expect(failed.detail).toContain('name an unprivileged user in ASTRAGO_WORKLOAD_USER, or set ASTRAGO_ALLOW_ROOT_WORKLOADS=1');
  });
});
