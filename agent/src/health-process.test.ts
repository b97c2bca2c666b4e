// An agent process, a simulated machine and a kernel log in a file: what the driver logs becomes what the controller is told.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Gpu, NodeAgent, WatchRequestSchema, type WatchResponse } from '@astrago/proto/agent';
import { serviceDefinition } from '@astrago/proto/grpc';
import { createMachine } from '@astrago/sim';
import { create } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Scratch } from './testing/scratch.ts';
import { TestAuthority } from './testing/test-authority.ts';
import { until } from './testing/until.ts';

// Real processes on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 180_000 });

let scratch: Scratch;
let authority: TestAuthority;
let agent: ChildProcess | undefined;
let log = '';

beforeEach(async () => {
  scratch = new Scratch();
  authority = await TestAuthority.make();
  createMachine({ directory: scratch.path('machine'), model: 'h100-80gb', gpuCount: 2, seed: scratch.directory });
  const own = await authority.issue('node-1');
  mkdirSync(scratch.path('data', 'credentials'), { recursive: true });
  writeFileSync(scratch.path('data', 'credentials', 'node.crt'), own.certificatePem);
  writeFileSync(scratch.path('data', 'credentials', 'node.key'), own.keyPem);
  writeFileSync(scratch.path('data', 'credentials', 'ca.crt'), own.authorityPem);
  writeFileSync(scratch.path('kmsg'), '6,1,1000,-;Linux version 6.12\n');
});
afterEach(async () => {
  await stop();
  await scratch[Symbol.asyncDispose]();
});

async function stop(): Promise<void> {
  const running = agent;
  agent = undefined;
  if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
  const gone = once(running, 'exit');
  running.kill('SIGKILL');
  await gone;
}

/** Where it listens. */
async function start(): Promise<string> {
  log = '';
  agent = spawn(process.execPath, [join(import.meta.dirname, 'main.ts')], {
    env: {
      PATH: process.env['PATH'],
      ASTRAGO_NODE_NAME: 'node-1',
      ASTRAGO_AGENT_DATA: scratch.path('data'),
      ASTRAGO_JOIN_ADDRESS: '127.0.0.1:1',
      ASTRAGO_CONTROLLER_ADDRESS: '127.0.0.1:1',
      ASTRAGO_NVIDIA_SMI: scratch.path('machine', 'bin', 'nvidia-smi'),
      ASTRAGO_METRICS_BIND: '127.0.0.1:0',
      ASTRAGO_KERNEL_LOG: scratch.path('kmsg'),
      ASTRAGO_INVENTORY_PERIOD_MS: '500',
      // Given time, the word of the driver would outrank the Xid: it is not asked here.
      ASTRAGO_SAMPLE_PERIOD_MS: '600000',
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  agent.stderr?.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  const up = await until(() => log.split('\n').find((line) => line.includes('the agent is up')), 'the agent is up').catch(
    (cause: unknown) => {
      throw new Error(log, { cause });
    },
  );
  return (JSON.parse(up) as { address: string }).address;
}

/** The GPUs as the agent reports them, as soon as they are as asked. */
async function reported(address: string, asked: (gpus: readonly Gpu[]) => boolean): Promise<readonly Gpu[]> {
  const own = await authority.issue('controller');
  const Client = grpc.makeGenericClientConstructor(serviceDefinition(NodeAgent), 'NodeAgent');
  const secure = grpc.credentials.createSsl(Buffer.from(authority.pem), Buffer.from(own.keyPem), Buffer.from(own.certificatePem));
  const client = new Client(address, secure);
  const watch = client['watch'] as (request: object) => grpc.ClientReadableStream<WatchResponse>;
  const call = watch.call(client, create(WatchRequestSchema));
  call.on('error', () => undefined);
  try {
    for await (const message of call) {
      const { report } = message as WatchResponse;
      if (report.case === 'inventory' && asked(report.value.gpus)) return report.value.gpus;
    }
    throw new Error(`the agent stopped reporting: ${log}`);
  } finally {
    call.cancel();
    client.close();
  }
}

const kindsOf = (gpu: Gpu | undefined): readonly string[] =>
  (gpu?.conditions ?? []).map(({ kind }) => kind).filter((kind) => kind.startsWith('xid'));

it('an Xid becomes a condition of its GPU, which the next agent finds again', async () => {
  const address = await start();
  const [, second] = await reported(address, (gpus) => gpus.length === 2);
  expect(kindsOf(second)).toEqual([]);
  // As the kernel log writes the address of nvidia-smi.
  const pci = second?.pciBusId.replace(/^0{4}/, '').replace(/\.0$/, '').toLowerCase();
  appendFileSync(
    scratch.path('kmsg'),
    `3,2,2000000,-;NVRM: Xid (PCI:${pci}): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.\n`,
  );

  const gpus = await reported(address, ([, gpu]) => kindsOf(gpu).length > 0);
  expect(gpus.map(kindsOf)).toEqual([[], ['xid-needs-reboot']]);
  expect(gpus[1]?.conditions.find(({ kind }) => kind === 'xid-needs-reboot')?.detail).toBe('Xid 79, the GPU has fallen off the bus');

  await stop();
  const again = await reported(await start(), ([, gpu]) => kindsOf(gpu).length > 0);
  expect(again.map(kindsOf)).toEqual([[], ['xid-needs-reboot']]);
});
