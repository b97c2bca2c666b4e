// Sharing from end to end through the programs as they are run: the agent's process, spoken to as its controller would,
// and a simulated machine with its own nvidia-smi, nvidia-cuda-mps-control, servers and CUDA clients. One node is shared
// in every way at once, and the tests go through its life in the order they stand here.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AllocationState, EnforcementClass, type GpuProcess, MpsRole } from '@astrago/proto/agent';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { LoneAgent } from './testing/lone-agent.ts';
import { type Device, SharedNode, type StepLine } from './testing/shared-node.ts';
import { until } from './testing/until.ts';

// Real processes on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });

const { RUNNING, EXITED, PREPARING } = AllocationState;

const deviceOf = (node: SharedNode, index: number, share: Device['share'], slice?: string): Device => ({
  gpuUuid: node.agent.gpus[index] ?? '',
  ...(slice === undefined ? {} : { slice: { profile: slice, start: 0 } }),
  ...(share === undefined ? {} : { share }),
});
const mps = (milli: number, memoryMib?: number): Device['share'] => ({
  case: 'mps',
  value: { milli, ...(memoryMib === undefined ? {} : { memoryMib }) },
});
const mibOf = (text: string): number => Number(/at most (\d+) MiB/.exec(text)?.[1]);
const threadsOf = (text: string): string | undefined => /active threads: (.*) multiprocessors/.exec(text)?.[1];
const programs = ['nvidia-cuda-mps-control', 'nvidia-cuda-mps-server', 'cuda-client'] as const;

describe('a node that is shared in every way at once', () => {
  let node: SharedNode;
  const on = (index: number, share: Device['share'], slice?: string): Device => deviceOf(node, index, share, slice);
  /** Steps that were done on a GPU, each once for each time. */
  const done = (lines: readonly StepLine[], index: number): readonly string[] =>
    lines.filter(({ gpu, result }) => gpu === node.agent.gpus[index] && result === 'done').map(({ step }) => step);
  let onGpu: readonly string[] = [];
  let onSlice: readonly string[] = [];
  let inTurns: readonly string[] = [];
  let alone = '';
  let migUuid = '';

  beforeAll(async () => {
    node = await SharedNode.start(['whole', '3g.40gb@0', 'whole', 'whole']);
    const { client } = node;
    onGpu = [node.want(on(0, mps(300)), [client]), node.want(on(0, mps(255, 4000)), [client])];
    onSlice = [
      node.want(on(1, mps(500), '3g.40gb'), [client]),
      node.want(on(1, mps(250), '3g.40gb'), [client, '--ignore-sigterm', '--linger']),
    ];
    inTurns = [500, 500].map((milli) => node.want(on(2, { case: 'timeSliced', value: { milli } }), [client]));
    alone = node.want(on(3, { case: 'exclusiveProcess', value: {} }), [client]);
    expect((await node.order()).case).toBe('accepted');
    await node.served(node.all);
    migUuid = (await node.agent.gpu(1))?.slices[0]?.migUuid ?? '';
    for (const index of [0, 1])
      await node.agent.until(async () => (await node.daemons(index)) === 'READY 2', `both clients on GPU ${index} are told`);
  });
  afterAll(() => node[Symbol.asyncDispose]());

  it('is not shared beyond what there is', async () => {
    const tooMuch = node.want(on(0, mps(446)), [node.client]);
    expect(await node.order()).toMatchObject({
      case: 'refused',
      value: { detail: expect.stringContaining('hold 1001 thousandths together') },
    });
    node.drop(tooMuch);
  });

  it('holds two on a GPU and two on a slice each to its own share of threads and memory, as CUDA tells them', async () => {
    const gpu = await node.agent.gpu(0);
    const slice = (await node.agent.gpu(1))?.profiles.find(({ name }) => name === '3g.40gb');
    // A percentage is rounded down to whole multiprocessors.
    expect(onGpu.map((id) => threadsOf(node.output(id)))).toEqual(['29.5 % (39 of 132', '25.0 % (33 of 132']);
    expect(onGpu.map((id) => mibOf(node.output(id)))).toEqual([Math.floor((gpu?.memoryMib ?? 0) * 0.3), 4000]);
    expect(onSlice.map((id) => threadsOf(node.output(id)))).toEqual(['50.0 % (30 of 60', '25.0 % (15 of 60']);
    expect(onSlice.map((id) => mibOf(node.output(id)))).toEqual([0.5, 0.25].map((part) => Math.floor((slice?.memoryMib ?? 0) * part)));
    const servers = node.all.map((id) => /MPS server (\d+)/.exec(node.output(id))?.[1]);
    expect([servers[0] === servers[1], servers[2] === servers[3], servers[0] === servers[2]]).toEqual([true, true, false]);
    expect(node.output(onSlice[0] ?? '')).toContain(`device 0: ${migUuid}\n`);
  });

  it('refuses memory above the share of one as CUDA does, while the others go on', async () => {
    const greedy = node.want(on(0, mps(100, 1000)), [node.client], 1001);
    await node.order();
    await node.reach([greedy], EXITED);

    expect((await node.agent.allocation(greedy))?.exitCode).toBe(1);
    expect(node.output(greedy)).toMatch(/memory: 1001 MiB of at most 1000 MiB\nCUDA error 2 \(CUDA_ERROR_OUT_OF_MEMORY\)/);
    expect(await node.statesOf(onGpu)).toEqual(['RUNNING', 'RUNNING']);
  });

  it('has the compute mode that each way of sharing needs', () => {
    expect(node.modes).toBe('Exclusive_Process Default Default Exclusive_Process');
  });

  it('keeps a second process out where one has its GPU as an exclusive process', async () => {
    const second = spawn(node.client, [], { env: { PATH: process.env['PATH'], CUDA_VISIBLE_DEVICES: node.agent.gpus[3] } });
    let said = '';
    second.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    const [exitCode] = (await once(second, 'close')) as [number];

    expect([exitCode, said]).toEqual([1, expect.stringContaining('CUDA error 46')]);
    expect(await node.statesOf([alone])).toEqual(['RUNNING']);
  });

  it('runs those that share in turns beside each other and calls that advisory', async () => {
    expect(inTurns.map((id) => node.output(id).startsWith('without MPS\n'))).toEqual([true, true]);
    const classes = await Promise.all(
      [...inTurns, ...onGpu, ...onSlice, alone].map(async (id) => (await node.agent.allocation(id))?.enforcement),
    );
    const { ADVISORY, DRIVER, HARDWARE } = EnforcementClass;
    expect(classes).toEqual([ADVISORY, ADVISORY, DRIVER, DRIVER, DRIVER, DRIVER, HARDWARE]);
  });

  it('says of each MPS client whose it is, and takes no server for a stranger', async () => {
    for (const [index, ids] of [onGpu, onSlice].entries()) {
      const here = async (): Promise<readonly GpuProcess[]> =>
        (await node.agent.processes()).filter(({ gpuUuid }) => gpuUuid === node.agent.gpus[index]);
      const clients = async (): Promise<readonly GpuProcess[]> =>
        (await here()).filter(({ mpsRole, name }) => mpsRole === MpsRole.CLIENT && name === 'cuda-client');
      await node.agent.until(async () => (await clients()).length === 2, `the clients on GPU ${index} are told`);
      const whose = (await clients()).map(({ allocation, pid }) => `${allocation} ${pid}`);
      expect(whose.toSorted()).toEqual(ids.map((id) => `${id} ${node.clientOf(id)}`).toSorted());
      // What runs beside them in their allocations, and the server.
      const strangers = (await here()).filter(({ allocation }) => allocation === undefined);
      expect(strangers.map(({ mpsRole }) => mpsRole)).toEqual([MpsRole.SERVER]);
      expect(await node.conditions(index)).toEqual([]);
    }
  });

  it('tells its daemons and their clients to whoever scrapes', async () => {
    const gpu = node.agent.gpus[0];
    const lines = (await node.agent.metrics()).split('\n').filter((line) => line.startsWith('astrago_mps_') && !line.endsWith(' 0'));
    expect(lines.toSorted()).toEqual(
      [gpu, migUuid]
        .flatMap((device) => [`astrago_mps_clients{device="${device}"} 2`, `astrago_mps_daemon_state{device="${device}",state="ready"} 1`])
        .toSorted(),
    );
  });

  it('does not ask a daemon again and again for what has not changed', async () => {
    const asked = (): number =>
      readFileSync(join(node.directoryOf(migUuid), 'logs', 'control.log'), 'utf8').split('command: get_server_list').length - 1;
    const before = asked();
    const listings = new Set<bigint | undefined>();
    await node.agent.until(
      async () => listings.add((await node.agent.inventory())?.observedAtMs).size > 6,
      'it has looked around six times',
    );

    // One may fall into this time, as an answer does not hold for ever.
    expect(asked() - before).toBeLessThanOrEqual(1);
  });

  it('goes on through kill -9 of its agent: the next one adopts the daemons, and no client notices', async () => {
    const running = (): readonly (readonly number[])[] => [
      node.processes('nvidia-cuda-mps-control'),
      node.processes('nvidia-cuda-mps-server'),
      node.processes('cuda-client'),
    ];
    const before = running();
    expect(before.map((pids) => pids.length)).toEqual([2, 2, 7]);
    const said = node.all.map((id) => node.output(id));
    const { length } = node.steps;

    await node.agent.kill();
    node.agent.start();
    await node.reach([...onGpu, ...onSlice, ...inTurns, alone], RUNNING);
    for (const index of [0, 1]) await node.agent.until(async () => (await node.daemons(index)) === 'READY 2', 'its clients are known');

    expect(running()).toEqual(before);
    expect(node.all.map((id) => node.output(id))).toEqual(said);
    expect(node.steps.slice(length)).toEqual([]);
  });

  it('ends a fatal fault of one client with all clients of its device and no other, then serves new ones', async () => {
    // It notices nothing, and so keeps the faulted server from ending until it is ended itself.
    const silent = node.want(on(0, mps(100)), ['sleep', '600']);
    await node.order();
    await node.agent.until(async () => /READY [3-9]/.test(await node.daemons(0)), 'it is a client, too');
    process.kill(node.clientOf(onGpu[0]), 'SIGUSR1');

    await node.reach(onGpu, EXITED);
    expect(onGpu.map((id) => /CUDA error \d+/.exec(node.output(id))?.[0])).toEqual(['CUDA error 700', 'CUDA error 719']);
    await node.agent.until(async () => (await node.conditions(0)).join().startsWith('mps-fault: the GPU: MPS server'), 'it is told');
    expect(await node.daemons(0)).toMatch(/^FAULT [1-9]$/);
    expect(await node.agent.metrics()).toContain(`astrago_mps_daemon_state{device="${node.agent.gpus[0]}",state="fault"} 1`);
    expect(await node.statesOf([...onSlice, ...inTurns, alone])).toEqual(Array.from({ length: 5 }, () => 'RUNNING'));

    const servers = node.processes('nvidia-cuda-mps-server');
    const late = node.want(on(0, mps(400)), [node.client]);
    await node.order();
    await node.reach([late], PREPARING);
    node.stop([silent], 5);
    await node.order();
    await node.served([late]);
    await node.agent.until(async () => (await node.conditions(0)).length === 0, 'it is well again');
    const server = Number(/MPS server (\d+)/.exec(node.output(late))?.[1]);
    expect(servers).not.toContain(server);
    expect(node.processes('nvidia-cuda-mps-server')).toContain(server);
    onGpu = [late];
  });

  it('starts a daemon that was killed again, later each time, and says so when it dies again and again', async () => {
    // Programs that do not use CUDA at the moment, so that the daemon's death does not end them.
    const quiet = node.want(on(0, mps(100)), ['sleep', '600']);
    await node.order();
    await node.reach([quiet], RUNNING);
    const { length } = node.steps;
    const daemon = (): number | undefined =>
      node.processes('nvidia-cuda-mps-control').find((pid) => node.deviceOf(pid) === node.agent.gpus[0]);
    const times = (step: string, line: (one: StepLine) => boolean): readonly number[] =>
      node.steps.slice(length).flatMap((one) => (one.step.startsWith(step) && line(one) ? [one.atMs] : []));
    const deathsAtMs: number[] = [];
    for (let death = 1; death <= 3; death += 1) {
      deathsAtMs.push(Date.now());
      process.kill(daemon() ?? expect.unreachable(), 'SIGKILL');
      await node.agent.until(() => times('limit MPS', ({ result }) => result === 'done').length === death, 'it is there again');
    }
    await node.agent.until(
      async () => (await node.conditions(0)).join().startsWith('mps-failed: the GPU: the MPS control daemon has died 3 times'),
      'it is told',
    );
    // Whoever computed through it got the error of a server that is gone.
    expect(onGpu.map((id) => /CUDA error \d+/.exec(node.output(id))?.[0])).toEqual(['CUDA error 806']);
    expect(await node.statesOf([quiet])).toEqual(['RUNNING']);

    const startsAtMs = times('start MPS', ({ intent }) => intent === true);
    const restsMs = startsAtMs.map((atMs, index) => atMs - (deathsAtMs[index] ?? 0));
    expect(restsMs).toHaveLength(3);
    expect(restsMs[1]).toBeGreaterThanOrEqual(1000);
    expect(restsMs[2]).toBeGreaterThanOrEqual(2000);
    node.stop([quiet], 5);
    await node.order();
    await node.reach([quiet], EXITED);
  });

  it('stops a client by SIGTERM, then terminate_client, then SIGKILL, and its neighbour goes on', async () => {
    const [neighbour = '', stubborn = ''] = onSlice;
    const pid = node.clientOf(stubborn);
    const log = join(node.directoryOf(migUuid), 'logs', 'control.log');
    node.stop([stubborn], 1);
    await node.order();
    await node.reach([stubborn], EXITED);

    expect(node.output(stubborn)).toMatch(/ready\nSIGTERM\nCUDA error 810 /);
    expect((await node.agent.allocation(stubborn))?.exitCode).toBe(137);
    const commands = readFileSync(log, 'utf8')
      .split('\n')
      .flatMap((line) => /(?:terminate_client \d+ \d+|Client \d+ disconnected)$/.exec(line)?.[0] ?? []);
    const [server] = /\d+/.exec(node.output(neighbour)) ?? [];
    // It is let go of while it lives: its process ends only after that.
    expect(commands).toEqual([`terminate_client ${server} ${pid}`]);
    expect(await node.statesOf([neighbour])).toEqual(['RUNNING']);
  });

  it('destroys a slice only after its daemon has quit', async () => {
    const { length } = node.steps;
    node.stop(onSlice, 5);
    node.layouts[1] = '7g.80gb@0';
    await node.order();
    const steps = (): readonly string[] => done(node.steps.slice(length), 1).filter((step) => !step.startsWith('terminate'));
    await node.agent.until(() => steps().includes('create 7g.80gb@0'), 'it is cut anew');

    expect(node.agent.machineLayout(1)).toBe('7g.80gb@0');
    expect(steps()).toEqual(['stop MPS on 3g.40gb@0', 'destroy 3g.40gb@0', 'create 7g.80gb@0']);
  });

  it('leaves no daemon, no server, no socket directory and no compute mode when all have ended', async () => {
    node.stop(node.all, 5);
    await node.order();
    await node.reach(node.all, EXITED);
    await node.agent.until(() => node.modes === 'Default Default Default Default' && node.directories.length === 0, 'all is as it was');

    for (const program of programs) expect(node.processes(program)).toEqual([]);
    for (const index of [1, 2, 3]) {
      await node.agent.until(async () => (await node.conditions(index)).length === 0, 'no finding sticks');
      expect(await node.daemons(index)).toBe('');
    }
    // A daemon that died again and again keeps its GPU from new work for a minute more.
    expect(await node.daemons(0)).toMatch(/^(FAILED 0)?$/);
    await node.agent.until(async () => !/astrago_mps_clients\{.*[1-9]$/m.test(await node.agent.metrics()), 'no client is scraped');
  });
});

// Beside each other: each waits most of its time.
describe.concurrent('kill -9 of the agent at each line of the ledger', () => {
  /** Strikes at the first such line of each step until all is as it is to be; says at which steps it did. */
  async function strikeUntil(node: SharedNode, kind: 'intent' | 'outcome', isOver: () => Promise<boolean>): Promise<readonly string[]> {
    const struck = new Set<string>();
    for (;;) {
      const { length } = node.steps;
      const fresh = (): readonly string[] =>
        node.steps
          .slice(length)
          .filter((line) => (line.intent === true) === (kind === 'intent') && line.result?.startsWith('not known') !== true)
          .map(({ step }) => step);
      const line = await node.agent.until(
        async () => fresh().find((step) => !struck.has(step)) ?? ((await isOver()) && 'over'),
        `another ${kind}, or the end`,
      );
      if (line === 'over') return [...struck];
      await node.agent.kill();
      // An agent that always died between its line and the command it takes would get nowhere.
      for (const step of fresh().slice(-1)) struck.add(step);
      node.agent.start();
    }
  }

  it.each(['intent', 'outcome'] as const)(
    'after each %s, while a GPU is shared and given back: the end is as it was ordered',
    async (kind) => {
      await using node = await SharedNode.start(['whole']);
      const id = node.want(deviceOf(node, 0, mps(500)), [node.client, '--ignore-sigterm', '--linger']);
      await node.order();
      const struck = [...(await strikeUntil(node, kind, async () => (await node.daemons(0)) === 'READY 1'))];
      await node.served([id]);
      expect([node.modes, node.processes('nvidia-cuda-mps-control').length]).toEqual(['Exclusive_Process', 1]);
      expect(threadsOf(node.output(id))).toBe('50.0 % (66 of 132');

      node.stop([id], 0);
      await node.order();
      const isOver = async (): Promise<boolean> =>
        (await node.statesOf([id])).join() === 'EXITED' && node.directories.length === 0 && node.modes === 'Default';
      struck.push(...(await strikeUntil(node, kind, isOver)));
      for (const name of programs) expect(node.processes(name)).toEqual([]);
      await node.agent.until(async () => (await node.daemons(0)) === '' && (await node.conditions(0)).length === 0, 'no finding sticks');

      // It did die at those lines; on a busy machine one may have come and gone between two looks.
      const every = ['set compute mode exclusive', 'start MPS', 'limit MPS', 'terminate MPS', 'stop MPS', 'set compute mode default'];
      const missed = every.filter((text) => !struck.some((step) => step.startsWith(text)));
      expect(missed.length, `not struck: ${missed.join(', ')}`).toBeLessThanOrEqual(1);
    },
  );
});

describe('a directory whose sockets no socket can have', () => {
  it('is refused at the start, with what to do', async () => {
    await using refused = await LoneAgent.make({}, { ASTRAGO_MPS_DIRECTORY: `/${'deep/'.repeat(20)}mps` });
    refused.start();

    await until(() => refused.log.includes('set ASTRAGO_MPS_DIRECTORY to a shorter directory'), 'it is refused');
  });
});
