// Sharing through the agent as it is run: a process, orders and reports over gRPC, a control program of the test's own.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type AllocatedDeviceSchema,
  AllocationState,
  type AllocationStatus,
  ApplyRequestSchema,
  type ApplyResponse,
  type DesiredAllocationSchema,
  type DesiredGpuSchema,
  EnforcementClass,
  type Gpu,
  MpsDaemonState,
  NodeAgent,
  WatchRequestSchema,
  type WatchResponse,
} from '@astrago/proto/agent';
import { serviceDefinition } from '@astrago/proto/grpc';
import { createMachine } from '@astrago/sim';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeMpsControl } from './mps/testing/fake-mps-control.ts';
import { Scratch } from './testing/scratch.ts';
import { TestAuthority } from './testing/test-authority.ts';
import { until } from './testing/until.ts';

// Real processes on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 240_000 });

type Device = MessageInitShape<typeof AllocatedDeviceSchema>;
type Client = InstanceType<ReturnType<typeof grpc.makeGenericClientConstructor>>;
type Work = readonly [id: string, device: Device, stop?: 'stop'];

let scratch: Scratch;
let authority: TestAuthority;
let fake: FakeMpsControl;
let gpus: readonly string[];
let agent: ChildProcess | undefined;
let log = '';
let generation = 0;
const clients: Client[] = [];
let allocations: readonly AllocationStatus[] = [];
let seen: readonly Gpu[] = [];

beforeEach(async () => {
  scratch = new Scratch();
  authority = await TestAuthority.make();
  gpus = createMachine({ directory: scratch.path('machine'), model: 'h100-80gb', gpuCount: 4, seed: scratch.directory }).gpuUuids;
  fake = new FakeMpsControl(scratch.path('tools'));
  generation = 0;
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
  await kill();
  fake[Symbol.dispose]();
  await scratch[Symbol.asyncDispose]();
});

async function kill(): Promise<void> {
  for (const client of clients.splice(0)) client.close();
  if (agent !== undefined && agent.exitCode === null && agent.signalCode === null) {
    const gone = once(agent, 'exit');
    agent.kill('SIGKILL');
    await gone;
  }
  agent = undefined;
  [allocations, seen] = [[], []];
}

function spawnAgent(more: Readonly<Record<string, string>> = {}): ChildProcess {
  log = '';
  agent = spawn(process.execPath, [join(import.meta.dirname, 'main.ts')], {
    env: {
      PATH: process.env['PATH'],
      ASTRAGO_NODE_NAME: 'node-1',
      ASTRAGO_AGENT_DATA: scratch.path('data'),
      ASTRAGO_JOIN_ADDRESS: '127.0.0.1:1',
      ASTRAGO_CONTROLLER_ADDRESS: '127.0.0.1:1',
      ASTRAGO_NVIDIA_SMI: scratch.path('machine', 'bin', 'nvidia-smi'),
      ASTRAGO_NVIDIA_CUDA_MPS_CONTROL: fake.program,
      ASTRAGO_MPS_DIRECTORY: scratch.path('mps'),
      ASTRAGO_ALLOW_ROOT_WORKLOADS: '1',
      ASTRAGO_WORKLOAD_PATH: process.env['PATH'],
      ASTRAGO_METRICS_BIND: '127.0.0.1:0',
      ASTRAGO_INVENTORY_PERIOD_MS: '500',
      ...more,
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  agent.stderr?.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  return agent;
}

/** Starts an agent and listens to its reports. */
async function start(): Promise<Client> {
  spawnAgent();
  const line = await until(() => log.split('\n').find((text) => text.includes('the agent is up')), 'the agent is up').catch(
    (cause: unknown) => {
      throw new Error(log, { cause });
    },
  );
  const own = await authority.issue('controller');
  const Generic = grpc.makeGenericClientConstructor(serviceDefinition(NodeAgent), 'NodeAgent');
  const client = new Generic(
    (JSON.parse(line) as { address: string }).address,
    grpc.credentials.createSsl(Buffer.from(authority.pem), Buffer.from(own.keyPem), Buffer.from(own.certificatePem)),
  );
  clients.push(client);
  const watch = client['watch'] as (request: object) => grpc.ClientReadableStream<WatchResponse>;
  const stream = watch.call(client, create(WatchRequestSchema, {}));
  stream.on('data', ({ report }: WatchResponse) => {
    if (report.case === 'allocations') allocations = report.value.allocations;
    if (report.case === 'inventory') seen = report.value.gpus;
  });
  stream.on('error', () => undefined);
  return client;
}

async function order(client: Client, layouts: readonly string[], work: readonly Work[]): Promise<ApplyResponse['answer']> {
  generation += 1;
  const ordered = layouts.map(
    (layout, index): MessageInitShape<typeof DesiredGpuSchema> => ({
      uuid: gpus[index] ?? '',
      layout: layout === 'whole' ? { case: 'whole', value: {} } : { case: 'mig', value: { slices: [{ profile: layout, start: 0 }] } },
    }),
  );
  const command = ['sh', '-c', "trap '' TERM; sleep 300 & wait; wait"];
  const wanted = work.map(
    ([id, device, stop]): MessageInitShape<typeof DesiredAllocationSchema> => ({
      id,
      workload: 'w',
      workspace: 's',
      devices: [device],
      intent: stop === undefined ? { case: 'run', value: { command } } : { case: 'stop', value: { graceSeconds: 0 } },
    }),
  );
  const request = create(ApplyRequestSchema, {
    desired: { epoch: 1n, generation: BigInt(generation), gpus: ordered, allocations: wanted },
  });
  const apply = client['apply'] as (request: object, answer: (failure: grpc.ServiceError | null, response: ApplyResponse) => void) => void;
  return new Promise((resolve, reject) =>
    apply.call(client, request, (failure, response) => (failure === null ? resolve(response.answer) : reject(failure))),
  );
}

const mps = (index: number, milli: number, profile?: string): Device => ({
  gpuUuid: gpus[index] ?? '',
  ...(profile === undefined ? {} : { slice: { profile, start: 0 } }),
  share: { case: 'mps', value: { milli } },
});
const modes = (): string =>
  execFileSync(scratch.path('machine', 'bin', 'nvidia-smi'), ['--query-gpu=compute_mode', '--format=csv,noheader'], { encoding: 'utf8' })
    .trim()
    .replaceAll('\n', ' ');
const ledger = (): readonly { readonly step: string; readonly result?: string }[] => {
  try {
    return readFileSync(scratch.path('data', 'ledger', 'steps.jsonl'), 'utf8')
      .split('\n')
      .filter((line) => line.endsWith('}'))
      .map((line) => JSON.parse(line) as { step: string; result?: string });
  } catch {
    return [];
  }
};
const daemons = (index: number): readonly string[] =>
  (seen.find(({ uuid }) => uuid === gpus[index])?.mpsDaemons ?? []).map(
    ({ state, clientPids }) => `${MpsDaemonState[state]} ${clientPids.length}`,
  );
const are = (state: AllocationState, count: number): Promise<unknown> =>
  until(() => allocations.filter((one) => one.state === state).length === count, `${count} are ${AllocationState[state]}`).catch(
    (cause: unknown) => {
      throw new Error(`${JSON.stringify(allocations.map(({ id, state: now, detail }) => [id, AllocationState[now], detail]))} ${log}`, {
        cause,
      });
    },
  );

describe('a node that shares its GPUs', () => {
  it('does so in every way at once, through the death of its agent, and is as it was afterwards', async () => {
    const client = await start();
    const ids = Array.from({ length: 7 }, () => scratch.allocation());
    const devices: readonly Device[] = [
      mps(0, 300),
      mps(0, 700),
      mps(1, 500, '3g.40gb'),
      mps(1, 250, '3g.40gb'),
      { gpuUuid: gpus[2] ?? '', share: { case: 'timeSliced', value: { milli: 500 } } },
      { gpuUuid: gpus[2] ?? '', share: { case: 'timeSliced', value: { milli: 500 } } },
      { gpuUuid: gpus[3] ?? '', share: { case: 'exclusiveProcess', value: {} } },
    ];
    const layouts = ['whole', '3g.40gb', 'whole', 'whole'];
    const work = ids.map((id, index): Work => [id, devices[index] ?? {}]);

    expect(await order(client, layouts, [...work, [scratch.allocation(), mps(0, 1)]])).toMatchObject({
      case: 'refused',
      value: { detail: expect.stringContaining('hold 1001 thousandths together') },
    });
    expect((await order(client, layouts, work)).case).toBe('accepted');
    await are(AllocationState.RUNNING, 7);
    await until(() => daemons(0).join() === 'READY 2' && daemons(1).join() === 'READY 2', 'all are connected');
    expect(new Set(allocations.map(({ id, enforcement }) => `${ids.indexOf(id)} ${EnforcementClass[enforcement]}`))).toEqual(
      new Set(['0 DRIVER', '1 DRIVER', '2 DRIVER', '3 DRIVER', '4 ADVISORY', '5 ADVISORY', '6 HARDWARE']),
    );
    expect(modes()).toBe('Exclusive_Process Default Default Exclusive_Process');
    const control = fake.processes('control');
    expect(control).toHaveLength(2);

    await kill();
    const next = await start();
    await are(AllocationState.RUNNING, 7);
    await until(() => daemons(0).join() === 'READY 2' && daemons(1).join() === 'READY 2', 'all are known');
    expect(fake.processes('control')).toEqual(control);

    await order(
      next,
      layouts,
      work.map(([id, device]): Work => [id, device, 'stop']),
    );
    await are(AllocationState.EXITED, 7);
    await until(() => modes() === 'Default Default Default Default' && fake.processes('control').length === 0, 'all is as it was');
    const terminated = ledger().filter(({ step, result }) => step.startsWith('terminate MPS clients') && result === 'done');
    expect(terminated).toHaveLength(4);
    expect(fake.processes('server')).toEqual([]);
  });

  it('gets there when its agent is killed after every line of its ledger', async () => {
    const id = scratch.allocation();
    await order(await start(), ['whole'], [[id, mps(0, 500)]]);
    // Each life a line longer than the one before, until one is long enough.
    for (let life = 1; ; life += 1) {
      const before = ledger().length;
      const isOver = (): boolean => allocations.some(({ state }) => state === AllocationState.RUNNING);
      await until(() => ledger().length - before >= life || isOver(), `life ${life} has had its lines`);
      const done = isOver();
      await kill();
      await start();
      if (done) break;
    }

    await are(AllocationState.RUNNING, 1);
    await until(() => daemons(0).join() === 'READY 1', 'it is connected');
    expect([modes().split(' ')[0], fake.processes('control').length]).toEqual(['Exclusive_Process', 1]);
  });
});

describe('a directory whose sockets no socket can have', () => {
  it('is refused at the start, with what to do', async () => {
    const refused = spawnAgent({ ASTRAGO_MPS_DIRECTORY: `/${'deep/'.repeat(20)}mps` });
    await once(refused, 'exit');

    expect(log).toContain('set ASTRAGO_MPS_DIRECTORY to a shorter directory');
  });
});
