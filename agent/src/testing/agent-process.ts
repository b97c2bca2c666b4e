// An agent as it is run, on a simulated machine: its own process, its own data, spoken to as a controller does.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  ApplyRequestSchema,
  type ApplyResponse,
  type DesiredStateSchema,
  type ExecRequest,
  ExecRequestSchema,
  type ExecResponse,
  NodeAgent,
  WatchRequestSchema,
  type WatchResponse,
} from '@astrago/proto/agent';
import { serviceDefinition } from '@astrago/proto/grpc';
import { createMachine } from '@astrago/sim';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import { Scratch } from './scratch.ts';
import { TestAuthority } from './test-authority.ts';
import { until } from './until.ts';

type Reports = {
  [Case in WatchResponse['report'] as NonNullable<Case['case']>]?: Extract<
    WatchResponse['report'],
    { case: NonNullable<Case['case']> }
  >['value'];
};

interface Client extends grpc.Client {
  apply(request: object, answer: (failure: grpc.ServiceError | null, response: ApplyResponse) => void): void;
  watch(request: object): grpc.ClientReadableStream<WatchResponse>;
  exec(): grpc.ClientDuplexStream<ExecRequest, ExecResponse>;
}

export class AgentProcess implements AsyncDisposable {
  readonly scratch = new Scratch();
  readonly gpus: readonly string[];
  /** The newest report of each kind. */
  readonly reports: Reports = {};
  readonly #authority: TestAuthority;
  #child: ChildProcess | undefined;
  #client: Client | undefined;
  #log = '';
  #generation = 0n;

  private constructor(authority: TestAuthority) {
    this.#authority = authority;
    this.gpus = createMachine({
      directory: this.scratch.path('machine'),
      model: 'h100-80gb',
      gpuCount: 1,
      seed: this.scratch.directory,
    }).gpuUuids;
  }

  /** Starts it as after joining, and watches it. */
  static async start(environment: Readonly<Record<string, string>> = {}): Promise<AgentProcess> {
    const agent = new AgentProcess(await TestAuthority.make());
    try {
      await agent.#start(environment);
      return agent;
    } catch (failure) {
      await agent[Symbol.asyncDispose]();
      throw failure;
    }
  }

  async #start(environment: Readonly<Record<string, string>>): Promise<void> {
    const own = await this.#authority.issue('node-1');
    mkdirSync(this.scratch.path('data', 'credentials'), { recursive: true });
    // Another user's workloads have to get to their directories.
    chmodSync(this.scratch.directory, 0o711);
    writeFileSync(this.scratch.path('data', 'credentials', 'node.crt'), own.certificatePem);
    writeFileSync(this.scratch.path('data', 'credentials', 'node.key'), own.keyPem);
    writeFileSync(this.scratch.path('data', 'credentials', 'ca.crt'), own.authorityPem);
    this.#child = spawn(process.execPath, [join(import.meta.dirname, '../main.ts')], {
      env: {
        PATH: process.env['PATH'],
        ASTRAGO_WORKLOAD_PATH: process.env['PATH'],
        ASTRAGO_ALLOW_ROOT_WORKLOADS: '1',
        ASTRAGO_NODE_NAME: 'node-1',
        ASTRAGO_AGENT_DATA: this.scratch.path('data'),
        ASTRAGO_JOIN_ADDRESS: '127.0.0.1:1',
        ASTRAGO_CONTROLLER_ADDRESS: '127.0.0.1:1',
        ASTRAGO_NVIDIA_SMI: this.scratch.path('machine', 'bin', 'nvidia-smi'),
        ASTRAGO_METRICS_BIND: '127.0.0.1:0',
        ASTRAGO_DETAIL_PERIOD_MS: '100',
        ...environment,
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#log += chunk.toString();
    });
    const address = await until(() => {
      if (this.#child?.exitCode !== null) throw new Error(`the agent has ended:\n${this.#log}`);
      const line = this.#log.split('\n').find((text) => text.includes('the agent is up'));
      return line !== undefined && (JSON.parse(line) as { address: string }).address;
    }, 'the agent is up');
    const controller = await this.#authority.issue('controller');
    const Maker = grpc.makeGenericClientConstructor(serviceDefinition(NodeAgent), 'NodeAgent');
    const secure = grpc.credentials.createSsl(
      Buffer.from(this.#authority.pem),
      Buffer.from(controller.keyPem),
      Buffer.from(controller.certificatePem),
    );
    this.#client = new Maker(address, secure) as unknown as Client;
    const watching = this.#client.watch(create(WatchRequestSchema, {}));
    watching.on('error', () => undefined);
    watching.on('data', ({ report }: WatchResponse) => {
      if (report.case !== undefined) Object.assign(this.reports, { [report.case]: report.value });
    });
  }

  async order(desired: MessageInitShape<typeof DesiredStateSchema>): Promise<void> {
    this.#generation += 1n;
    const request = create(ApplyRequestSchema, { desired: { epoch: 1n, generation: this.#generation, ...desired } });
    const { answer } = await new Promise<ApplyResponse>((resolve, reject) =>
      this.#client?.apply(request, (failure, response) => (failure === null ? resolve(response) : reject(failure))),
    );
    if (answer.case !== 'accepted') throw new Error(`the order was not accepted: ${JSON.stringify(answer.value)}`);
  }

  /** A further command beside a running allocation; what it wrote, of both streams, and its exit code. */
  async exec(allocation: string, command: readonly string[]): Promise<{ readonly output: string; readonly exitCode: number | undefined }> {
    const call = this.#client?.exec();
    if (call === undefined) throw new Error('the agent was not started');
    call.write(create(ExecRequestSchema, { message: { case: 'start', value: { allocation, command: [...command] } } }));
    call.end();
    let output = '';
    let exitCode: number | undefined;
    for await (const { message } of call as AsyncIterable<ExecResponse>) {
      if (message.case === 'exitCode') exitCode = message.value;
      else if (message.case !== undefined) output += Buffer.from(message.value).toString('utf8');
    }
    return { output, exitCode };
  }

  /** Waits with what the agent said in the message of a failure. */
  async eventually<T>(look: () => T | undefined | false, what: string): Promise<T> {
    return until(look, what).catch((cause: unknown) => {
      throw new Error(`${what}: never; the agent said:\n${this.#log.slice(-3000)}`, { cause });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client?.close();
    if (this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null) {
      const gone = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await gone;
    }
    await this.scratch[Symbol.asyncDispose]();
  }
}
