// The agent as it is run: a process with its environment, killed and started again.
import { existsSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { readAgentConfig } from './config.ts';
import { readEnvironmentValue, readProc } from './processes/proc.ts';
import { LoneAgent } from './testing/lone-agent.ts';

// Real processes on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 180_000 });

let node: LoneAgent;
beforeEach(async () => {
  const samplePeriods = { ASTRAGO_SAMPLE_PERIOD_MS: '10000', ASTRAGO_INVENTORY_PERIOD_MS: '10000' };
  node = await LoneAgent.make({}, { ASTRAGO_SECRET_OF_THE_AGENT: 'hidden', SECRET_OF_THE_AGENT: 'hidden', ...samplePeriods });
});
afterEach(() => node[Symbol.asyncDispose]());

function run(id: string, script: string) {
  return { id, workload: 'w', workspace: 's', intent: { case: 'run' as const, value: { command: ['sh', '-c', script] } } };
}

/** Of a file that is written bit by bit only what has its end. */
const textOf = (file: string) => existsSync(file) && readFileSync(file, 'utf8').endsWith('\n') && readFileSync(file, 'utf8');

describe('the agent process', () => {
  it('needs nothing but its environment, and says what is missing', async () => {
    expect(() => readAgentConfig({})).toThrow('set ASTRAGO_AGENT_DATA: the directory this agent keeps its state in');
    expect(() =>
      readAgentConfig({
        ASTRAGO_AGENT_DATA: '/d',
        ASTRAGO_JOIN_ADDRESS: 'a:1',
        ASTRAGO_CONTROLLER_ADDRESS: 'a:2',
        ASTRAGO_CPU_MILLI: 'many',
      }),
    ).toThrow('ASTRAGO_CPU_MILLI must be a whole number');

    const bare = node.spawn({ ASTRAGO_CONTROLLER_ADDRESS: '' });
    expect(await bare.ended()).toEqual({ exitCode: 1, signal: null });
    expect(bare.log).toContain('the agent could not start: set ASTRAGO_CONTROLLER_ADDRESS');
  });

  it('works without its controller, is alone on its data, and hides its secrets from workloads', async () => {
    const first = node.start();
    const { metricsPort } = await first.up();
    expect(await (await fetch(`http://127.0.0.1:${metricsPort}/healthz`)).text()).toBe('ok\n');
    await node.until(async () => (await node.metrics()).includes('astrago_gpu_info{node="node-1"'), 'the GPU is measured');

    const second = node.spawn();
    expect(await second.ended()).toEqual({ exitCode: 1, signal: null });
    expect(second.log).toContain(`another agent (process ${first.pid}) works on`);

    const id = node.scratch.allocation();
    const told = node.scratch.path('env');
    await node.mustApply({ allocations: [run(id, `env > ${told}.new; mv ${told}.new ${told}; exec sleep 300`)] });
    const environment = await node.until(() => textOf(told), 'the workload tells its environment');
    expect(environment).not.toContain('hidden');
    expect(environment).not.toMatch(/ASTRAGO_(NODE_NAME|AGENT_DATA|DIRECTORY|PATH)/);
    expect(environment).toContain(`ASTRAGO_ALLOCATION_ID=${id}`);
    const names = environment.split('\n').flatMap((line) => (line.includes('=') ? [line.slice(0, line.indexOf('='))] : []));
    // What a shell adds of its own is not the agent's.
    expect(names.filter((name) => !['PWD', 'OLDPWD', 'SHLVL', '_'].includes(name)).toSorted()).toEqual([
      'ASTRAGO_ALLOCATION_ID',
      'ASTRAGO_WORKLOAD',
      'ASTRAGO_WORKSPACE',
      'CUDA_VISIBLE_DEVICES',
      'HOME',
      'LANG',
      'NVIDIA_VISIBLE_DEVICES',
      'PATH',
      'USER',
    ]);
  });

  it.each(['SIGTERM', 'SIGKILL'] as const)('ended by %s leaves its work running, and the next one knows it', async (signal) => {
    const id = node.scratch.allocation();
    const ran = node.scratch.path('ran');
    node.start();
    await node.mustApply({ allocations: [run(id, `echo $$ >> ${ran}; exec sleep 300`)] });
    const pid = Number(await node.until(() => textOf(ran), 'the work runs'));

    await node.kill(signal);
    node.start();

    await node.until(
      async () =>
        (await node.metrics())
          .split('\n')
          .some((line) => line.startsWith('astrago_allocation_info{') && line.includes(`"${id}"`) && line.includes('state="running"')),
      'it is adopted',
    );
    expect(readProc(pid)).toBeDefined();
    expect(await readEnvironmentValue(pid, 'ASTRAGO_ALLOCATION_ID')).toBe(id);
    expect(readFileSync(ran, 'utf8')).toBe(`${pid}\n`);
  });
});
