import {
  type ApplyRequest,
  type ApplyResponse,
  ApplyResponseSchema,
  EnforcementMode,
  type LogsRequest,
  type LogsResponse,
  LogsResponseSchema,
  NodeAgent,
  RefusalReason,
  type WatchRequest,
  type WatchResponse,
  WatchResponseSchema,
} from '@astrago/proto/agent';
import { serviceDefinition } from '@astrago/proto/grpc';
import type { EnforcementPolicy } from '@astrago/shared/domain/enforcement';
import type { GpuUuid, NodeName } from '@astrago/shared/domain/ids';
import { systemClock } from '@astrago/shared/runtime/clock';
import { requireTls13 } from '@astrago/shared/runtime/tls-minimum';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { AgentUnavailable } from '../app/ports.ts';
import { TemporaryDirectory } from '../testing/temporary-directory.ts';
import { Authority } from './authority.ts';
import { NodeLink, type NodeReports } from './node-link.ts';

const node = 'node-1' as NodeName;
const order = {
  epoch: 3,
  generation: 4,
  content: { gpus: [{ uuid: 'GPU-1' as GpuUuid, layout: { kind: 'whole' } }], allocations: [] },
} as const;

/** An agent that says what a test wants said, with the certificate of `certified`. */
class ScriptedAgent {
  readonly applied: ApplyRequest[] = [];
  answer: MessageInitShape<typeof ApplyResponseSchema> = { answer: { case: 'accepted', value: {} } };
  reports: readonly MessageInitShape<typeof WatchResponseSchema>[] = [];
  logs: (call: grpc.ServerWritableStream<LogsRequest, LogsResponse>) => void = (call) => call.end();
  #server: grpc.Server | undefined;

  async listen(authority: Authority, certified: string, port = 0): Promise<number> {
    const pair = await authority.issue(certified, 1);
    const server = new grpc.Server();
    server.addService(serviceDefinition(NodeAgent), {
      apply: (call: grpc.ServerUnaryCall<ApplyRequest, ApplyResponse>, answer: grpc.sendUnaryData<ApplyResponse>) => {
        this.applied.push(call.request);
        answer(null, create(ApplyResponseSchema, this.answer));
      },
      watch: (call: grpc.ServerWritableStream<WatchRequest, WatchResponse>) => {
        for (const report of this.reports) call.write(create(WatchResponseSchema, report));
      },
      logs: (call: grpc.ServerWritableStream<LogsRequest, LogsResponse>) => this.logs(call),
      exec: (call: grpc.ServerDuplexStream<unknown, unknown>) => call.end(),
    });
    const keys = [{ cert_chain: Buffer.from(pair.certificatePem), private_key: Buffer.from(pair.keyPem) }];
    const secure = grpc.ServerCredentials.createSsl(Buffer.from(authority.certificatePem), keys, true);
    this.#server = server;
    return new Promise((resolve, reject) =>
      server.bindAsync(`127.0.0.1:${port}`, secure, (failure, bound) => (failure === null ? resolve(bound) : reject(failure))),
    );
  }

  close(): void {
    this.#server?.forceShutdown();
  }
}

let directory: TemporaryDirectory;
let authority: Authority;
let agent: ScriptedAgent;
let link: NodeLink | undefined;
let told: string[];
let watched: string[];
let logged: string[];

beforeAll(requireTls13);
beforeEach(async () => {
  directory = new TemporaryDirectory();
  authority = await Authority.open(directory.file('authority'), Date.now);
  agent = new ScriptedAgent();
  told = [];
  watched = [];
  logged = [];
});
afterEach(async () => {
  await link?.[Symbol.asyncDispose]();
  link = undefined;
  agent.close();
  directory[Symbol.dispose]();
});

async function connect(port: number, enforcement?: EnforcementPolicy): Promise<NodeLink> {
  const reports: NodeReports = {
    onWatched: (name, obstacle) => watched.push(obstacle === undefined ? `${name} is watched` : `${name} is not: ${obstacle}`),
    onInventory: (name, inventory) => told.push(`${name} inventory ${inventory.gpus.length}`),
    onAllocations: (name, allocations) => told.push(`${name} allocations ${allocations.map((one) => one.id).join()}`),
    onReadings: (name, readings) => told.push(`${name} readings ${readings.length}`),
    onStrangers: (name, strangers) => told.push(`${name} strangers ${strangers.map((one) => one.pid).join()}`),
  };
  const pair = await authority.issue('controller', 1);
  link = new NodeLink({
    enforcement,
    node,
    address: `127.0.0.1:${port}`,
    credentials: { authorityPem: authority.certificatePem, ...pair },
    reports,
    clock: systemClock,
    random: () => 0,
    log: (_facts, message) => logged.push(message),
  });
  return link;
}

const inventory = (name: string) => ({ report: { case: 'inventory' as const, value: { node: name, bootId: 'b', agentVersion: '1' } } });

describe('the link to a node', () => {
  it('takes reports, and none that the node makes for another', async () => {
    const gpuUuid = 'GPU-00000000-0000-0000-0000-000000000000';
    agent.reports = [
      inventory('node-2'),
      inventory('node-1'),
      {
        report: {
          case: 'allocations',
          value: {
            allocations: [
              { id: 'alc_00000001', state: 2 },
              { id: '../x', state: 2 },
            ],
          },
        },
      },
      { report: { case: 'readings', value: { readings: [{ gpuUuid }, { gpuUuid: 'what' }] } } },
      {
        report: {
          case: 'processes',
          value: {
            processes: [
              { gpuUuid, pid: 1, allocation: 'alc_00000001' },
              { gpuUuid, pid: 2 },
            ],
          },
        },
      },
    ];

    await connect(await agent.listen(authority, node));

    await vi.waitFor(() =>
      expect(told).toEqual(['node-1 inventory 0', 'node-1 allocations alc_00000001', 'node-1 readings 1', 'node-1 strangers 2']),
    );
  });

  it('watches again when the agent was away, and tells of the silence once', async () => {
    agent.reports = [inventory('node-1')];
    const port = await agent.listen(authority, node);
    await connect(port);
    await vi.waitFor(() => expect(told).toHaveLength(1));

    agent.close();
    await vi.waitFor(() => expect(logged).toEqual(['the agent is not watched']));
    await agent.listen(authority, node, port);

    await vi.waitFor(() => expect(told).toHaveLength(2), 10_000);
    expect(logged).toEqual(['the agent is not watched']);
    expect(watched).toEqual(['node-1 is watched', expect.stringMatching(/^node-1 is not: ./), 'node-1 is watched']);
  });

  it('hands over with each order what is done about processes that are not where they belong', async () => {
    const policy: EnforcementPolicy = {
      foreignProcess: 'terminate',
      outsideAllocation: 'notify',
      memoryOverShare: 'observe',
      graceSeconds: 7,
    };
    const here = await connect(await agent.listen(authority, node), policy);
    await here.apply(order);

    expect(agent.applied[0]?.desired?.enforcement).toMatchObject({
      foreignProcess: EnforcementMode.TERMINATE,
      outsideAllocation: EnforcementMode.NOTIFY,
      memoryOverShare: EnforcementMode.OBSERVE,
      graceSeconds: 7,
    });
  });

  it('hands over an order, and says what became of it', async () => {
    const here = await connect(await agent.listen(authority, node));

    expect(await here.apply(order)).toEqual({ kind: 'accepted' });
    expect(agent.applied[0]?.desired).toMatchObject({ epoch: 3n, generation: 4n, gpus: [{ uuid: 'GPU-1', layout: { case: 'whole' } }] });
    agent.answer = { answer: { case: 'refused', value: { reason: RefusalReason.STALE_EPOCH, detail: 'late', epoch: 9n, generation: 1n } } };

    expect(await here.apply(order)).toEqual({ kind: 'refused', reason: 'stale-epoch', detail: 'late', epoch: 9, generation: 1 });
  });

  it.each([
    ['the certificate of another node', 'node-2'],
    ['the certificate of the controller', 'controller'],
  ])('gives nothing to one who has %s', async (_what, certified) => {
    const here = await connect(await agent.listen(authority, certified));

    await expect(here.apply(order)).rejects.toMatchObject({ code: grpc.status.UNAVAILABLE });

    expect(agent.applied).toEqual([]);
  });

  it('gives nothing to one of another CA', async () => {
    using elsewhere = new TemporaryDirectory();
    const other = await Authority.open(elsewhere.file('authority'), Date.now);
    const here = await connect(await agent.listen(other, node));

    await expect(here.apply(order)).rejects.toMatchObject({ code: grpc.status.UNAVAILABLE });

    expect(agent.applied).toEqual([]);
  });

  it('streams output to its end', async () => {
    agent.logs = (call) => {
      call.write(create(LogsResponseSchema, { chunk: Buffer.from('one ') }));
      call.write(create(LogsResponseSchema, { chunk: Buffer.from('two') }));
      call.end();
    };
    const here = await connect(await agent.listen(authority, node));

    const chunks: Uint8Array[] = [];
    for await (const chunk of here.logs('alc_00000001', false, new AbortController().signal)) chunks.push(chunk);

    expect(Buffer.concat(chunks).toString()).toBe('one two');
  });

  it('survives a reader that goes away while more output comes', async () => {
    const cancelled = Promise.withResolvers<void>();
    agent.logs = (call) => {
      call.on('cancelled', () => cancelled.resolve());
      for (let index = 0; index < 200; index += 1) call.write(create(LogsResponseSchema, { chunk: Buffer.alloc(64 * 1024) }));
    };
    const here = await connect(await agent.listen(authority, node));
    const reading = new AbortController();

    const output = here.logs('alc_00000001', true, reading.signal);
    await output.next();
    // Between two reads, as when the client of a slow connection is gone.
    reading.abort();
    await cancelled.promise;
    await output.return(undefined);

    expect(await here.apply(order)).toEqual({ kind: 'accepted' });
  });

  it('says of output that the node does not answer', async () => {
    const port = await agent.listen(authority, node);
    agent.close();
    const here = await connect(port);

    const output = here.logs('alc_00000001', false, new AbortController().signal);

    await expect(output.next()).rejects.toBeInstanceOf(AgentUnavailable);
  });

  it('ends when it is closed, whatever is under way', async () => {
    agent.logs = () => undefined;
    const here = await connect(await agent.listen(authority, node));
    const output = here.logs('alc_00000001', true, new AbortController().signal);
    const next = output.next().catch((failure: unknown) => failure);

    await here[Symbol.asyncDispose]();
    agent.close();

    expect(await next).toBeInstanceOf(AgentUnavailable);
  });
});
