// The service as a controller meets it: real TLS, real processes, a simulated machine.
import { existsSync, readFileSync } from 'node:fs';
import tls from 'node:tls';
import {
  AllocationState,
  ApplyRequestSchema,
  type ApplyResponse,
  type DesiredStateSchema,
  type ExecRequest,
  ExecRequestSchema,
  type ExecResponse,
  LogsRequestSchema,
  type LogsResponse,
  NodeAgent as NodeAgentService,
  RefusalReason,
  WatchRequestSchema,
  type WatchResponse,
} from '@astrago/proto/agent';
import { serviceDefinition } from '@astrago/proto/grpc';
import { requireTls13 } from '@astrago/shared/runtime/tls-minimum';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readProc } from '../processes/proc.ts';
import { type NodeBench, startBench } from '../testing/node-bench.ts';
import { TestAuthority } from '../testing/test-authority.ts';
import { until } from '../testing/until.ts';
import { GrpcServer } from './server.ts';

// Real processes on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 180_000 });

interface Client extends grpc.Client {
  apply(request: object, answer: (failure: grpc.ServiceError | null, response: ApplyResponse) => void): void;
  watch(request: object): grpc.ClientReadableStream<WatchResponse>;
  logs(request: object): grpc.ClientReadableStream<LogsResponse>;
  exec(): grpc.ClientDuplexStream<ExecRequest, ExecResponse>;
}

requireTls13();
let bench: NodeBench;
let authority: TestAuthority;
let server: GrpcServer;
let client: Client;
let generation = 0n;
const closing: (() => void)[] = [];

async function connect(commonName: string, by = authority): Promise<Client> {
  const own = await by.issue(commonName);
  const secure = grpc.credentials.createSsl(Buffer.from(authority.pem), Buffer.from(own.keyPem), Buffer.from(own.certificatePem));
  const Maker = grpc.makeGenericClientConstructor(serviceDefinition(NodeAgentService), 'NodeAgent');
  const made = new Maker(server.address, secure) as unknown as Client;
  closing.push(() => made.close());
  return made;
}

beforeAll(async () => {
  bench = await startBench();
  authority = await TestAuthority.make();
  server = await GrpcServer.listen('127.0.0.1:0', await authority.issue('node-1'), {
    agent: bench.agent,
    launcher: bench.launcher,
    facts: { node: 'node-1', bootId: 'boot', agentVersion: '1', cpuMilli: 8000, memoryMiB: 1024 },
    mayGrow: (id) => bench.agent.mayGrow(id),
    execTarget: (id) => bench.agent.execTarget(id),
  });
  client = await connect('controller');
});
afterAll(async () => {
  for (const close of closing) close();
  await server[Symbol.asyncDispose]();
  await bench[Symbol.asyncDispose]();
});

const apply = (desired: MessageInitShape<typeof DesiredStateSchema>, by = client): Promise<ApplyResponse['answer']> =>
  new Promise((resolve, reject) =>
    by.apply(create(ApplyRequestSchema, { desired }), (failure, response) =>
      failure === null ? resolve(response.answer) : reject(failure),
    ),
  );

async function run(script: string): Promise<string> {
  const id = bench.id();
  generation += 1n;
  const answer = await apply({
    epoch: 1n,
    generation,
    allocations: [{ id, workload: 'w', workspace: 's', intent: { case: 'run', value: { command: ['sh', '-c', script] } } }],
  });
  expect(answer.case).toBe('accepted');
  return id;
}

async function logs(allocation: string, offset = 0n, follow = true): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const { chunk } of client.logs(create(LogsRequestSchema, { allocation, offset, follow })) as AsyncIterable<LogsResponse>)
    chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

const failureOf = (call: grpc.ClientReadableStream<unknown>): Promise<grpc.ServiceError> =>
  new Promise((resolve, reject) => {
    call
      .on('data', () => undefined)
      .on('error', (failure) => resolve(failure as grpc.ServiceError))
      .on('end', () => reject(new Error('it ended well')));
  });

describe('who may call', () => {
  it('is the controller and nobody else, not even a node of the same cluster', async () => {
    const node = await connect('node-2');

    await expect(apply({ epoch: 9n, generation: 1n }, node)).rejects.toMatchObject({ code: grpc.status.PERMISSION_DENIED });
    expect(await failureOf(node.watch(create(WatchRequestSchema)))).toMatchObject({ code: grpc.status.PERMISSION_DENIED });
    expect(await failureOf(node.exec())).toMatchObject({ code: grpc.status.PERMISSION_DENIED });
  });

  it('is not a controller of another cluster, nor one without a certificate', async () => {
    const other = await connect('controller', await TestAuthority.make());
    await expect(apply({ epoch: 9n, generation: 1n }, other)).rejects.toMatchObject({ code: grpc.status.UNAVAILABLE });

    const [host, port] = server.address.split(':');
    const bare = tls.connect({ host, port: Number(port), rejectUnauthorized: false, ALPNProtocols: ['h2'] });
    expect(await new Promise((resolve) => bare.on('error', () => resolve('refused')).on('close', () => resolve('refused')))).toBe(
      'refused',
    );
  });

  it('speaks TLS 1.3 or is refused', async () => {
    const own = await authority.issue('controller');
    const [host, port] = server.address.split(':');
    const old = tls.connect({
      host,
      port: Number(port),
      ca: authority.pem,
      cert: own.certificatePem,
      key: own.keyPem,
      minVersion: 'TLSv1.2',
      maxVersion: 'TLSv1.2',
      ALPNProtocols: ['h2'],
    });
    expect(
      await new Promise((resolve) =>
        old.on('error', (failure: Error) => resolve(failure.message)).on('secureConnect', () => resolve('connected')),
      ),
    ).toMatch(/protocol version|alert/i);
  });
});

describe('an order', () => {
  it('is accepted, repeated, and refused with what the ledger holds', async () => {
    generation += 1n;
    expect((await apply({ epoch: 1n, generation })).case).toBe('accepted');
    expect((await apply({ epoch: 1n, generation })).case).toBe('accepted');

    const older = await apply({ epoch: 1n, generation: generation - 1n });
    expect(older).toMatchObject({ case: 'refused', value: { reason: RefusalReason.STALE_GENERATION, epoch: 1n, generation } });
    expect(await apply({ epoch: 0n, generation: 99n })).toMatchObject({ value: { reason: RefusalReason.STALE_EPOCH } });
    expect(await apply({ epoch: 1n, generation, gpus: [{ uuid: bench.gpu(), layout: { case: 'whole', value: {} } }] })).toMatchObject({
      value: { reason: RefusalReason.CONTENT_DIFFERS },
    });
  });

  it('that cannot be read is an error, and one that contradicts itself is refused', async () => {
    await expect(
      apply({ epoch: 1n, generation: 1000n, gpus: [{ uuid: 'GPU-1', layout: { case: 'whole', value: {} } }] }),
    ).rejects.toMatchObject({ code: grpc.status.INVALID_ARGUMENT, details: 'GPU UUID GPU-1 is not one' });
    await expect(apply({ epoch: 1n, generation: 1000n, gpus: [{ uuid: bench.gpu() }] })).rejects.toMatchObject({
      code: grpc.status.INVALID_ARGUMENT,
    });
    await expect(apply({ epoch: 1n, generation: 1000n, allocations: [{ id: '../etc' }] })).rejects.toMatchObject({
      code: grpc.status.INVALID_ARGUMENT,
    });

    await until(() => (bench.state.gpu(bench.gpu())?.profiles.length ?? 0) > 0, 'the profiles are listed');
    const slices = [
      { profile: '3g.40gb', start: 0 },
      { profile: '1g.10gb', start: 2 },
    ];
    expect(
      await apply({ epoch: 1n, generation: 1000n, gpus: [{ uuid: bench.gpu(), layout: { case: 'mig', value: { slices } } }] }),
    ).toMatchObject({ value: { reason: RefusalReason.INVALID, detail: expect.stringContaining('1g.10gb@2 overlaps 3g.40gb@0') } });
  });
});

describe('a watch', () => {
  it('gives one of each kind at once and then what changes', async () => {
    const call = client.watch(create(WatchRequestSchema));
    const seen = new Map<string, WatchResponse['report']>();
    call
      .on('data', ({ report }: WatchResponse) => {
        if (report.case !== undefined) seen.set(report.case, report);
      })
      .on('error', () => undefined);
    await until(() => seen.size === 4, 'all kinds came');
    expect(seen.get('inventory')).toMatchObject({
      value: { node: 'node-1', cpuMilli: 8000, driverVersion: '590.48.01', gpus: [{ uuid: bench.gpu(), migCapable: true }] },
    });

    const id = await run('exit 3');

    await until(() => {
      const report = seen.get('allocations');
      const status = report?.case === 'allocations' ? report.value.allocations.find((one) => one.id === id) : undefined;
      return status?.state === AllocationState.EXITED && status.exitCode === 3;
    }, 'the end is told');
    call.cancel();
  });
});

describe('logs', () => {
  it('follow to the end, whatever is still to come, and not a byte further', async () => {
    const id = await run('echo one; sleep 0.3; echo two >&2; head -c 300000 /dev/zero | tr "\\0" x; echo; echo three');

    const text = await logs(id);

    expect(text).toMatch(/^one\ntwo\nx{300000}\nthree\n$/);
    expect(await logs(id, 4n)).toBe(text.slice(4));
    expect(await logs(id, BigInt(text.length))).toBe('');
    expect(await logs(id, 1_000_000n)).toBe('');
  });

  it('outlive the allocation, and of what is not there are empty', async () => {
    const id = await run('echo told');
    expect(await logs(id)).toBe('told\n');
    await run('true');
    await until(() => bench.status(id) === undefined, 'it is forgotten');

    expect(await logs(id)).toBe('told\n');
    expect(await logs('alloc_000000000000')).toBe('');
    expect(await logs('../../ledger')).toBe('');
  });
});

describe('exec', () => {
  interface Outcome {
    readonly stdout: string;
    readonly stderr: string;
    readonly code: number | undefined;
  }

  async function exec(allocation: string, command: readonly string[], input?: string): Promise<Outcome> {
    const call = client.exec();
    const out: Record<'stdout' | 'stderr', Uint8Array[]> = { stdout: [], stderr: [] };
    let code: number | undefined;
    call.on('data', ({ message }: ExecResponse) => {
      if (message.case === 'exitCode') code = message.value;
      else if (message.case !== undefined) out[message.case].push(message.value);
    });
    const ended = new Promise<void>((resolve, reject) => call.on('end', resolve).on('error', reject));
    call.write(create(ExecRequestSchema, { message: { case: 'start', value: { allocation, command: [...command] } } }));
    if (input !== undefined) call.write(create(ExecRequestSchema, { message: { case: 'stdin', value: Buffer.from(input) } }));
    call.end();
    await ended;
    return { stdout: Buffer.concat(out.stdout).toString(), stderr: Buffer.concat(out.stderr).toString(), code };
  }

  it('runs beside the allocation with its devices, feeds it and tells its exit code', async () => {
    const id = await run('exec sleep 300');
    await bench.reaches(id, 'running');

    expect(
      await exec(
        id,
        ['sh', '-c', 'cat; echo "[$CUDA_VISIBLE_DEVICES][$NVIDIA_VISIBLE_DEVICES] $ASTRAGO_ALLOCATION_ID"; pwd; echo err >&2; exit 5'],
        'in\n',
      ),
    ).toEqual({
      stdout: `in\n[][void] ${id}\n${bench.scratch.path('data', 'allocations', id, 'work')}\n`,
      stderr: 'err\n',
      code: 5,
    });
    expect((await exec(id, ['sh', '-c', 'kill -TERM $$'])).code).toBe(143);
    expect(await exec(id, ['/no/such'])).toMatchObject({ code: 127, stderr: expect.stringContaining('ENOENT') });
    expect((await exec(id, ['head', '-c', '3000000', '/dev/zero'])).stdout).toHaveLength(3_000_000);
  });

  it('ends with the call, its whole tree, and with the allocation', async () => {
    const id = await run('exec sleep 300');
    await bench.reaches(id, 'running');
    const mark = bench.scratch.path('exec-pid');
    const call = client
      .exec()
      .on('data', () => undefined)
      .on('error', () => undefined);
    call.write(
      create(ExecRequestSchema, {
        message: { case: 'start', value: { allocation: id, command: ['sh', '-c', `sleep 300 & echo $! > ${mark}; wait`] } },
      }),
    );
    await until(() => existsSync(mark), 'it runs');

    call.cancel();

    const pid = Number(await until(() => readFileSync(mark, 'utf8').trim(), 'its pid'));
    await until(() => [undefined, 'Z'].includes(readProc(pid)?.state), 'it is gone');

    const other = exec(id, ['sleep', '300']);
    await until(async () => (await bench.launcher.membersOf(id)).length === 2, 'another one runs');
    await bench.launcher.signal(id, 'SIGTERM');
    expect((await other).code).toBe(143);
  });

  it('beside what does not run is refused', async () => {
    const id = await run('true');
    await bench.reaches(id, 'exited');

    await expect(exec(id, ['true'])).rejects.toMatchObject({ code: grpc.status.NOT_FOUND });
    await expect(exec(id, [])).rejects.toMatchObject({ code: grpc.status.INVALID_ARGUMENT });
  });
});
