// Somebody sets the clock, by hours and in both directions, at any moment. Whatever the agent decides it decides by the time
// that has passed: one history is played with the clock that is right and with clocks that jump, and must come out the same.
import { type GpuUuid, parseAllocationId, parseGpuUuid } from '@astrago/shared/domain/ids';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { AllocationStatus } from '../../agent/core/allocation-step.ts';
import { type DesiredAllocation, emptyOrder, type Order } from '../../agent/core/order.ts';
import type { GpuSample } from '../../agent/core/telemetry/sample.ts';
import { Enforcer } from '../../agent/src/app/enforcer.ts';
import type { DatedKernelNote } from '../../agent/src/app/health-ports.ts';
import { HealthWatch } from '../../agent/src/app/health-watch.ts';
import type { MpsControl } from '../../agent/src/app/mps-control.ts';
import { NodeAgent, type NodeAgentDeps } from '../../agent/src/app/node-agent.ts';
import { type AttributedProcess, NodeState, nodeKey } from '../../agent/src/app/node-state.ts';
import type { Ledger, ObservedGpu, ObservedProcess, ProcessLauncher, ProcessState } from '../../agent/src/app/ports.ts';
import type { TelemetrySource } from '../../agent/src/app/telemetry-source.ts';
import { type ClockJump, VirtualClock } from '../../agent/src/testing/virtual-clock.ts';

const seconds = 1000;
const hours = 3600 * seconds;
const lengthMs = 230 * seconds;

/** `fine` runs work; `stuck` never leaves its mode; `taken` has a stranger to be ended; `held` one that may not be. */
const [fine, stuck, taken, held] = [1, 2, 3, 4].map(gpuOf) as [GpuUuid, GpuUuid, GpuUuid, GpuUuid];

function gpuOf(number: number): GpuUuid {
  return parseGpuUuid(`GPU-00000000-0000-0000-0000-00000000000${number}`) ?? wrong();
}

function wrong(): never {
  throw new Error('the test is wrong');
}

function work(name: string, gpu: GpuUuid, stopAfterSeconds?: number): DesiredAllocation {
  const run = { kind: 'run', command: ['work'], environment: {}, workingDirectory: undefined } as const;
  return {
    id: parseAllocationId(`alloc_${name}`.padEnd(16, '0')) ?? wrong(),
    workload: name,
    workspace: 's',
    devices: [{ gpu, slice: undefined }],
    intent: stopAfterSeconds === undefined ? run : { kind: 'stop', graceSeconds: stopAfterSeconds },
  };
}

const policy = { foreignProcess: 'terminate', outsideAllocation: 'terminate', memoryOverShare: 'terminate', graceSeconds: 15 } as const;

function orderOf(generation: number, stubborn: DesiredAllocation): Order {
  const gpus = [fine, stuck, taken, held].map((uuid) => ({ uuid, layout: { kind: 'whole' as const } }));
  return { epoch: 1, generation, gpus, allocations: [stubborn, work('waits', stuck), work('behind', held)], enforcement: policy };
}

/** All that the agent has decided, each with the time that had passed. */
async function play(jumps: readonly ClockJump[]): Promise<readonly string[]> {
  const clock = new VirtualClock(jumps);
  const decisions: string[] = [];
  const decide = (what: string): void => {
    decisions.push(`${clock.elapsedMs()} ${what}`);
  };
  const ending = new AbortController();
  const state = new NodeState(() => clock.nowMs());
  const takes = (ms: number): Promise<void> => clock.sleep(ms, ending.signal);

  // Who sits where: told to end they stay, killed they go; one more comes when the controller is silent.
  const strangers = new Map([
    [77, { gpu: taken, fromMs: 0 }],
    [88, { gpu: held, fromMs: 0 }],
    [99, { gpu: fine, fromMs: 150 * seconds }],
  ]);
  const processes = (): readonly ObservedProcess[] =>
    [...strangers]
      .filter(([, { fromMs }]) => fromMs <= clock.elapsedMs())
      .map(([pid, { gpu }]) => ({
        gpuUuid: gpu,
        gpuInstanceId: undefined,
        computeInstanceId: undefined,
        pid,
        name: 'python',
        usedMemoryMiB: 100,
      }));

  const boards = [fine, stuck, taken, held].map(
    (uuid, index): ObservedGpu => ({
      uuid,
      index,
      model: 'NVIDIA H100 80GB HBM3',
      pciBusId: `00000000:0${index + 7}:00.0`,
      memoryMiB: 81_559,
      migCapable: true,
      migEnabled: uuid === stuck || uuid === held,
      migPending: undefined,
      profiles: [],
      slices: [],
    }),
  );
  const never = (what: string) => async (): Promise<never> => {
    decide(what);
    throw new Error(`${what} is no part of this history`);
  };
  const driver = {
    observe: async () => {
      await takes(40);
      return { driverVersion: '580.65.06', gpus: boards };
    },
    observeGpu: async (gpu: GpuUuid) => {
      await takes(30);
      return boards.find(({ uuid }) => uuid === gpu) ?? wrong();
    },
    observeProcesses: async () => {
      await takes(30);
      return processes();
    },
    readings: async () => [],
    setMigMode: async (gpu: GpuUuid, enabled: boolean) => {
      decide(`set MIG ${enabled} ${gpu}`);
      await takes(2 * lengthMs);
      return 'done' as const;
    },
    resetGpu: never('reset'),
    createSlice: never('create'),
    completeSlice: never('complete'),
    destroySlice: never('destroy'),
  };

  const sampleOf = (gpu: GpuUuid): GpuSample => ({
    gpuUuid: gpu,
    atMs: clock.nowMs(),
    words: {},
    // Too hot for a minute, and then not any more.
    values: { 'slowed-by-thermal': gpu === taken && clock.elapsedMs() < 60 * seconds ? 1 : 0 },
  });
  const telemetry: TelemetrySource = {
    status: { gpus: readerStatus, details: readerStatus, fields: [] },
    run: async (signal, sink) => {
      for (; !signal.aborted; await clock.sleep(seconds, signal)) {
        // One falls silent.
        const answering = boards.filter(({ uuid }) => uuid !== stuck || clock.elapsedMs() < 50 * seconds);
        sink.gpus(
          answering.map(({ uuid }) => sampleOf(uuid)),
          clock.nowMs(),
        );
        const extras = [{ gpuUuid: fine, atMs: clock.nowMs(), values: { 'ecc-uncorrected': 1 }, words: {} }];
        sink.devices({ atMs: clock.nowMs(), processes: processes(), slices: [], extras, complete: true });
      }
    },
  };

  const running = new Map<string, ProcessState>();
  const launcher: ProcessLauncher = {
    start: async ({ allocation }) => {
      decide(`start ${allocation}`);
      running.set(allocation, { kind: 'running', pid: 5, startedAtMs: clock.nowMs() });
    },
    bar: async () => true,
    state: async (id) => running.get(id) ?? { kind: 'absent' },
    launched: async () => undefined,
    signal: async (id, signal) => {
      decide(`${signal} ${id}`);
      if (signal === 'SIGKILL') running.set(id, { kind: 'exited', exitCode: 137, startedAtMs: undefined, endedAtMs: clock.nowMs() });
      return 1;
    },
    membersOf: async () => [],
    pidsByAllocation: async () => new Map(),
    forget: async () => undefined,
    known: async () => [...running.keys()],
    output: async () => undefined,
  };

  let order = emptyOrder;
  const verdicts = new Map<string, AllocationStatus>();
  const ledger: Ledger = {
    get order() {
      return order;
    },
    putOrder: async (next) => {
      order = next;
    },
    verdict: (id) => verdicts.get(id),
    putVerdict: async (id, status) => {
      decide(`verdict ${id} ${JSON.stringify(status)}`);
      verdicts.set(id, status);
    },
    forget: async (id) => void verdicts.delete(id),
    intent: async (gpu, step) => decide(`intent ${step} ${gpu}`),
    outcome: async (_, step, result) => decide(`outcome ${step}: ${result}`),
    deed: async ({ deed, pid, detail }) => decide(`${deed} ${pid}: ${detail}`),
  };

  const agent = new NodeAgent({
    ...sharesNothing,
    driver,
    ledger,
    launcher,
    telemetry,
    clock,
    state,
    attribution: {
      attribute: async (listed) => listed.map((one): AttributedProcess => ({ ...one, allocation: undefined, startTime: `${one.pid}0` })),
    },
    environment: () => ({}),
    inventoryPeriodMs: 1000,
    detailPeriodMs: 1000,
    prepareTimeoutMs: 25 * seconds,
    strangersTimeoutMs: 12 * seconds,
    log: () => undefined,
  });
  const enforcer = new Enforcer({
    state,
    ledger,
    clock,
    signals: {
      obstacle: (pid) => (pid === 88 ? 'not-permitted' : undefined),
      send: (pid, _, signal) => {
        decide(`${signal} ${pid}`);
        if (signal === 'SIGKILL') strangers.delete(pid);
        return 'sent';
      },
    },
    // Silent from then on.
    controllerHeardAtMs: () => Math.min(clock.elapsedMs(), 120 * seconds),
    controllerSilenceMaxMs: 20 * seconds,
    log: () => undefined,
  });
  const notes: DatedKernelNote[] = [];
  const health = new HealthWatch({
    state,
    clock,
    order: () => agent.order,
    samplePeriodMs: 1000,
    driftAfterMs: 60 * seconds,
    kernelLog: {
      take: async () => ({ status: { kind: 'readable', lostRecords: 0 }, notes: notes.splice(0), more: false }),
      [Symbol.asyncDispose]: async () => undefined,
    },
    resets: { ageMs: () => undefined, note: async () => undefined },
    log: () => undefined,
  });

  let known: readonly string[] = [];
  const notice = (): void => {
    const now = [
      ...[nodeKey, fine, stuck, taken, held].flatMap((key) =>
        (state.inventory.current?.conditions.get(key) ?? []).map(({ kind, detail }) => `${key} ${kind} (${detail})`),
      ),
      ...(state.allocations.current ?? []).map(({ id, status }) => `${id} ${status.kind}`),
    ];
    for (const one of now) if (!known.includes(one)) decide(`now ${one}`);
    for (const one of known) if (!now.includes(one)) decide(`no longer ${one}`);
    known = now;
  };
  const stopped = [state.inventory, state.allocations].map(async (latest) => {
    for await (const _ of latest.watch(ending.signal)) notice();
  });
  const loops = [agent, enforcer, health].map((one) => one.run(ending.signal));
  const stubborn = work('stubborn', fine);
  await agent.apply(orderOf(1, stubborn));
  await clock.passUntil(40 * seconds);
  const xid = { code: 13, text: '', pid: undefined, process: undefined, gpuInstanceId: undefined };
  notes.push({ kind: 'xid', pci: '0:7:0', xid, ageMs: 0 });
  await clock.passUntil(70 * seconds);
  await agent.apply(orderOf(2, work('stubborn', fine, 10)));
  await clock.passUntil(lengthMs);
  ending.abort();
  await clock.passUntil(lengthMs + 1);
  await Promise.all([...loops, ...stopped]);
  return decisions;
}

const readerStatus = { state: 'running', restarts: 0, abandoned: 0, lastSuccessAtMs: undefined, lastError: undefined } as const;

/** No device is shared in this history. */
const sharesNothing: Pick<NodeAgentDeps, 'mps' | 'computeModes' | 'modes'> = {
  // The rest of it would be a mistake to ask.
  mps: { devices: async () => [], processesOf: () => [] } satisfies Partial<MpsControl> as unknown as MpsControl,
  computeModes: { computeMode: async () => 'default', setComputeMode: async () => wrong() },
  modes: { gpus: () => [], get: () => undefined, remember: async () => wrong(), forget: async () => wrong() },
};

/** Whole hours, so that no moment comes twice by the wall clock to the millisecond. */
const someJumps = fc.array(
  fc.record({
    // Most comes to its end early.
    atMs: fc.oneof(fc.integer({ min: 1, max: 15 * seconds }), fc.integer({ min: 1, max: lengthMs })),
    byMs: fc.integer({ min: -200, max: 200 }).map((count) => count * hours),
  }),
  { minLength: 2, maxLength: 5 },
);

/** Elapsed seconds and what comes then: graces, time-outs, what lasts before it is raised, cleared or acted on. */
const patience = [
  /^12\d{3} verdict alloc_behind0000 .*gpu-in-use/,
  /^15000 SIGTERM 77/,
  /^25000 verdict alloc_waits00000 .*create-failed/,
  /^30000 SIGKILL 77/,
  /^3\d{4} now .* thermal-slowdown/,
  /^53000 now .* telemetry-stale/,
  /^6\d{4} now .* layout-drifted/,
  /^80000 SIGKILL alloc_stubborn00/,
  /^165000 held-back 99: .* controller has not been heard/,
  /^180000 no longer .* thermal-slowdown/,
];

it('no jump of the clock changes what is decided, or when', async () => {
  const right = await play([]);
  // Each kind of patience has come to its end in it.
  for (const what of patience) expect(right).toContainEqual(expect.stringMatching(what));
  await fc.assert(
    fc.asyncProperty(someJumps, async (jumps) => {
      expect(await play(jumps)).toEqual(right);
    }),
    { numRuns: 15 },
  );
});
