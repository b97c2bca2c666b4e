// The agent as it is run: a process with its environment, killed and started again.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ApplyRequestSchema, type ApplyResponse, NodeAgent } from '@astrago/proto/agent';
import { serviceDefinition } from '@astrago/proto/grpc';
import { createMachine } from '@astrago/sim';
import { create } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { readAgentConfig } from './config.ts';
import { readEnvironmentValue, readProc } from './processes/proc.ts';
import { Scratch } from './testing/scratch.ts';
import { TestAuthority } from './testing/test-authority.ts';
import { until } from './testing/until.ts';

// Real processes on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 180_000 });

let scratch: Scratch;
let authority: TestAuthority;
const running: ChildProcess[] = [];

beforeEach(async () => {
  scratch = new Scratch();
  authority = await TestAuthority.make();
  createMachine({ directory: scratch.path('machine'), model: 'h100-80gb', gpuCount: 1, seed: scratch.directory });
  // As after joining.
  const own = await authority.issue('node-1');
  mkdirSync(scratch.path('data', 'credentials'), { recursive: true });
  for (const [name, text] of [
    ['node.crt', own.certificatePem],
    ['node.key', own.keyPem],
    ['ca.crt', own.authorityPem],
  ] as const)
    writeFileSync(scratch.path('data', 'credentials', name), text);
});
afterEach(async () => {
  for (const agent of running.splice(0)) {
    if (agent.exitCode === null && agent.signalCode === null) {
      const gone = once(agent, 'exit');
      agent.kill('SIGKILL');
      await gone;
    }
  }
  await scratch[Symbol.asyncDispose]();
});

interface Started {
  readonly agent: ChildProcess;
  readonly log: () => string;
}

function start(more: Readonly<Record<string, string>> = {}): Started {
  let log = '';
  const agent = spawn(process.execPath, [join(import.meta.dirname, 'main.ts')], {
    env: {
      PATH: process.env['PATH'],
      ASTRAGO_WORKLOAD_PATH: process.env['PATH'],
      ASTRAGO_ALLOW_ROOT_WORKLOADS: '1',
      ASTRAGO_NODE_NAME: 'node-1',
      ASTRAGO_AGENT_DATA: scratch.path('data'),
      ASTRAGO_JOIN_ADDRESS: '127.0.0.1:1',
      ASTRAGO_CONTROLLER_ADDRESS: '127.0.0.1:1',
      ASTRAGO_NVIDIA_SMI: scratch.path('machine', 'bin', 'nvidia-smi'),
      ASTRAGO_METRICS_BIND: '127.0.0.1:0',
      ASTRAGO_KERNEL_LOG: scratch.path('kmsg'),
      ASTRAGO_SECRET_OF_THE_AGENT: 'hidden',
      SECRET_OF_THE_AGENT: 'hidden',
      ...more,
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  running.push(agent);
  agent.stderr?.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  return { agent, log: () => log };
}

async function up(started: Started): Promise<{ readonly address: string; readonly metricsPort: number }> {
  return until(() => {
    const line = started
      .log()
      .split('\n')
      .find((text) => text.includes('the agent is up'));
    return line !== undefined && (JSON.parse(line) as { address: string; metricsPort: number });
  }, 'the agent is up').catch((cause: unknown) => {
    throw new Error(started.log(), { cause });
  });
}

async function order(address: string, generation: number, allocation: string, script: string): Promise<void> {
  const own = await authority.issue('controller');
  const Client = grpc.makeGenericClientConstructor(serviceDefinition(NodeAgent), 'NodeAgent');
  const client = new Client(
    address,
    grpc.credentials.createSsl(Buffer.from(authority.pem), Buffer.from(own.keyPem), Buffer.from(own.certificatePem)),
  );
  const request = create(ApplyRequestSchema, {
    desired: {
      epoch: 1n,
      generation: BigInt(generation),
      allocations: [{ id: allocation, workload: 'w', workspace: 's', intent: { case: 'run', value: { command: ['sh', '-c', script] } } }],
    },
  });
  const apply = client['apply'] as (request: object, answer: (failure: grpc.ServiceError | null, response: ApplyResponse) => void) => void;
  const answer = await new Promise<ApplyResponse['answer']>((resolve, reject) =>
    apply.call(client, request, (failure, response) => (failure === null ? resolve(response.answer) : reject(failure))),
  );
  client.close();
  expect(answer.case).toBe('accepted');
}

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

    const bare = start({ ASTRAGO_CONTROLLER_ADDRESS: '' });
    await once(bare.agent, 'exit');
    expect(bare.log()).toContain('the agent could not start: set ASTRAGO_CONTROLLER_ADDRESS');
  });

  it('works without its controller, is alone on its data, and hides its secrets from workloads', async () => {
    const started = start();
    const { address, metricsPort } = await up(started);
    expect(await (await fetch(`http://127.0.0.1:${metricsPort}/healthz`)).text()).toBe('ok\n');
    await until(
      async () => (await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()).includes('astrago_gpu_info{node="node-1"'),
      'the GPU is measured',
    );

    const second = start();
    await once(second.agent, 'exit');
    expect(second.log()).toContain(`another agent (process ${started.agent.pid}) works on`);

    const id = scratch.allocation();
    await order(address, 1, id, `env > ${scratch.path('env')}.new; mv ${scratch.path('env')}.new ${scratch.path('env')}; exec sleep 300`);
    const environment = await until(() => {
      try {
        return readFileSync(scratch.path('env'), 'utf8');
      } catch {
        return undefined;
      }
    }, 'the workload tells its environment');
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
    const id = scratch.allocation();
    const first = start();
    await order((await up(first)).address, 1, id, `echo $$ >> ${scratch.path('ran')}; exec sleep 300`);
    const pid = Number(
      await until(() => {
        try {
          return readFileSync(scratch.path('ran'), 'utf8').trim();
        } catch {
          return undefined;
        }
      }, 'the work runs'),
    );

    const gone = once(first.agent, 'exit');
    first.agent.kill(signal);
    await gone;
    const second = start();
    const { metricsPort } = await up(second);

    await until(
      async () =>
        (await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text())
          .split('\n')
          .some((line) => line.startsWith('astrago_allocation_info{') && line.includes(`"${id}"`) && line.includes('state="running"')),
      'it is adopted',
    );
    expect(readProc(pid)).toBeDefined();
    expect(await readEnvironmentValue(pid, 'ASTRAGO_ALLOCATION_ID')).toBe(id);
    expect(readFileSync(scratch.path('ran'), 'utf8')).toBe(`${pid}\n`);
  });
});
