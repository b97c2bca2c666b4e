import {
  type ApplyRequest,
  type ApplyResponse,
  ApplyResponseSchema,
  type ExecRequest,
  type ExecResponse,
  type LogsRequest,
  type LogsResponse,
  LogsResponseSchema,
  NodeAgent as NodeAgentService,
  RefusalReason,
  type WatchRequest,
  type WatchResponse,
} from '@astrago/proto/agent';
import { serviceDefinition } from '@astrago/proto/grpc';
import { parseAllocationId } from '@astrago/shared/domain/ids';
import { create } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import type { Credentials } from '../app/credentials.ts';
import type { ApplyAnswer, NodeAgent } from '../app/node-agent.ts';
import type { ProcessLauncher } from '../app/ports.ts';
import { ExecRefused, type ExecTarget, serveExec } from './exec.ts';
import { followOutput } from './follow-output.ts';
import { orderFromWire, UnreadableOrder } from './from-wire.ts';
import { sendMessage } from './send-message.ts';
import { allocationsToWire, enforcementToWire, inventoryToWire, type NodeFacts, processesToWire, readingsToWire } from './to-wire.ts';

export interface GrpcServerDeps {
  readonly agent: NodeAgent;
  readonly launcher: ProcessLauncher;
  readonly facts: NodeFacts;
  /** Whether an allocation may still write output. */
  readonly mayGrow: (allocation: string) => boolean;
  readonly execTarget: (allocation: string) => Promise<ExecTarget | undefined>;
  /** The controller has given an order, or asked to be told of everything. */
  readonly onController?: () => void;
}

/** The one peer that may give orders. */
const controllerName = 'controller';

export class GrpcServer implements AsyncDisposable {
  readonly #server: grpc.Server;
  readonly address: string;

  private constructor(server: grpc.Server, address: string) {
    this.#server = server;
    this.address = address;
  }

  /** @param bind host:port; port 0 for any. */
  static async listen(bind: string, credentials: Credentials, deps: GrpcServerDeps): Promise<GrpcServer> {
    const server = new grpc.Server({ 'grpc.keepalive_time_ms': 10_000, 'grpc.keepalive_timeout_ms': 5000 });
    server.addService(serviceDefinition(NodeAgentService), implementation(deps));
    const secure = grpc.ServerCredentials.createSsl(
      Buffer.from(credentials.authorityPem),
      [{ cert_chain: Buffer.from(credentials.certificatePem), private_key: Buffer.from(credentials.keyPem) }],
      true,
    );
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync(bind, secure, (failure, bound) => (failure === null ? resolve(bound) : reject(failure))),
    );
    return new GrpcServer(server, `${bind.slice(0, bind.lastIndexOf(':'))}:${port}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
  }
}

function implementation(deps: GrpcServerDeps): grpc.UntypedServiceImplementation {
  return {
    apply: (call: grpc.ServerUnaryCall<ApplyRequest, ApplyResponse>, answer: grpc.sendUnaryData<ApplyResponse>) => {
      if (!isController(call)) return void answer(forbidden);
      deps.onController?.();
      apply(deps.agent, call.request).then(
        (response) => answer(null, response),
        (failure: unknown) => answer(errorOf(failure)),
      );
    },
    watch: (call: grpc.ServerWritableStream<WatchRequest, WatchResponse>) =>
      guarded(call, (signal) => {
        deps.onController?.();
        return watch(deps, call, signal);
      }),
    logs: (call: grpc.ServerWritableStream<LogsRequest, LogsResponse>) =>
      guarded(call, async (signal) => {
        const { offset, follow } = call.request;
        const allocation = parseAllocationId(call.request.allocation);
        // An id is a part of a path here: what is not one names nothing.
        if (allocation === undefined) return;
        const growing = () => follow && deps.mayGrow(allocation);
        for await (const piece of followOutput(deps.launcher, allocation, Number(offset), growing, signal)) {
          await sendMessage(call, create(LogsResponseSchema, { chunk: piece.bytes, offset: BigInt(piece.offset) }), signal);
        }
      }),
    exec: (call: grpc.ServerDuplexStream<ExecRequest, ExecResponse>) =>
      guarded(call, (signal) =>
        serveExec(call, async (id) => (parseAllocationId(id) === undefined ? undefined : deps.execTarget(id)), signal),
      ),
  };
}

type Stream<Request, Response> = grpc.ServerWritableStream<Request, Response> | grpc.ServerDuplexStream<Request, Response>;

/** Runs a streaming answer with a signal that ends with the call, and ends the call with the answer. */
function guarded<Request, Response>(call: Stream<Request, Response>, serve: (signal: AbortSignal) => Promise<void>): void {
  if (!isController(call)) {
    fail(call, forbidden);
    return;
  }
  const ended = new AbortController();
  call.on('cancelled', () => ended.abort());
  call.on('close', () => ended.abort());
  call.on('error', () => ended.abort());
  serve(ended.signal).then(
    () => call.end(),
    (failure: unknown) => fail(call, errorOf(failure)),
  );
}

/** Ends a stream with a status. Destroying it would end it without one, and leave the caller waiting. */
function fail<Request, Response>(call: Stream<Request, Response>, status: { readonly code: grpc.status; readonly details: string }): void {
  call.emit('error', Object.assign(new Error(status.details), status));
}

const forbidden = { code: grpc.status.PERMISSION_DENIED, details: `only the certificate of ${controllerName} may call this` };

function isController(call: Pick<grpc.ServerUnaryCall<unknown, unknown>, 'getAuthContext'>): boolean {
  return call.getAuthContext().sslPeerCertificate?.subject?.CN === controllerName;
}

function errorOf(failure: unknown): { code: grpc.status; details: string } {
  if (failure instanceof ExecRefused)
    return { code: failure.reason === 'not-running' ? grpc.status.NOT_FOUND : grpc.status.INVALID_ARGUMENT, details: failure.message };
  if (failure instanceof UnreadableOrder) return { code: grpc.status.INVALID_ARGUMENT, details: failure.message };
  return { code: grpc.status.INTERNAL, details: failure instanceof Error ? failure.message : String(failure) };
}

const refusals = {
  'stale-epoch': RefusalReason.STALE_EPOCH,
  'stale-generation': RefusalReason.STALE_GENERATION,
  'content-differs': RefusalReason.CONTENT_DIFFERS,
  invalid: RefusalReason.INVALID,
} as const;

async function apply(agent: NodeAgent, request: ApplyRequest): Promise<ApplyResponse> {
  const answer = await agent.apply(orderFromWire(request.desired));
  if (answer.kind === 'accepted' || answer.kind === 'repeated')
    return create(ApplyResponseSchema, { answer: { case: 'accepted', value: {} } });
  const value = {
    reason: refusalOf(answer),
    detail: answer.detail,
    epoch: BigInt(agent.order.epoch),
    generation: BigInt(agent.order.generation),
  };
  return create(ApplyResponseSchema, { answer: { case: 'refused', value } });
}

function refusalOf(answer: Extract<ApplyAnswer, { kind: 'refused' | 'ledger-unavailable' }>): RefusalReason {
  return answer.kind === 'ledger-unavailable' ? RefusalReason.LEDGER_UNAVAILABLE : refusals[answer.reason];
}

/** One snapshot of each kind at once, then each again when it changed; a slow reader gets the newest only. */
async function watch(
  deps: GrpcServerDeps,
  call: grpc.ServerWritableStream<WatchRequest, WatchResponse>,
  signal: AbortSignal,
): Promise<void> {
  const { state } = deps.agent;
  const pump = async <T>(source: { watch(signal: AbortSignal): AsyncIterable<T> }, toWire: (value: T) => WatchResponse): Promise<void> => {
    for await (const value of source.watch(signal)) await sendMessage(call, toWire(value), signal);
  };
  await Promise.all([
    pump(state.inventory, (snapshot) => inventoryToWire(deps.facts, snapshot, deps.agent.order)),
    pump(state.allocations, allocationsToWire),
    pump(state.processes, ({ processes }) => processesToWire(processes)),
    pump(state.readings, ({ atMs, readings }) => readingsToWire(atMs, readings)),
    pump(state.enforcement, enforcementToWire),
  ]);
}
