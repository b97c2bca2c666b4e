import {
  type ApplyRequest,
  type ApplyResponse,
  type LogsRequest,
  LogsRequestSchema,
  type LogsResponse,
  NodeAgent,
  RefusalReason,
  type WatchRequest,
  WatchRequestSchema,
  type WatchResponse,
} from '@astrago/proto/agent';
import { serviceDefinition } from '@astrago/proto/grpc';
import type { EnforcementPolicy } from '@astrago/shared/domain/enforcement';
import type { NodeName } from '@astrago/shared/domain/ids';
import type { Clock } from '@astrago/shared/runtime/clock';
import { create } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import type { ObservedAllocation, ObservedNode, ObservedReading } from '#core/cluster/observed';
import type { Order, RefusalReason as Refusal } from '../app/desired-state.ts';
import { AgentUnavailable, type ApplyOutcome } from '../app/ports.ts';
import { allocationsFromWire, inventoryFromWire, type ReportedInventory, readingsFromWire, strangersFromWire } from './from-wire.ts';
import { orderToWire } from './to-wire.ts';

export interface NodeReports {
  /** Whether its reports come: `undefined` when they do, or what stands in the way. Told when it changes. */
  onWatched(node: NodeName, obstacle: string | undefined): void;
  onInventory(node: NodeName, inventory: ReportedInventory): void;
  onAllocations(node: NodeName, allocations: readonly ObservedAllocation[]): void;
  onReadings(node: NodeName, readings: readonly ObservedReading[]): void;
  onStrangers(node: NodeName, strangers: ObservedNode['strangers']): void;
}

export interface LinkCredentials {
  readonly authorityPem: string;
  readonly certificatePem: string;
  readonly keyPem: string;
}

interface Client extends grpc.Client {
  apply(
    request: ApplyRequest,
    options: grpc.CallOptions,
    answer: (failure: grpc.ServiceError | null, response: ApplyResponse) => void,
  ): void;
  watch(request: WatchRequest): grpc.ClientReadableStream<WatchResponse>;
  logs(request: LogsRequest): grpc.ClientReadableStream<LogsResponse>;
}

const applyTimeoutMs = 5000;
const firstPauseMs = 100;
const longestPauseMs = 3000;

/** The controller's end of one agent, at one address. Watches for ever, with a pause that grows while nobody answers. */
export class NodeLink implements AsyncDisposable {
  readonly address: string;
  readonly #node: NodeName;
  readonly #client: Client;
  readonly #nowMs: () => number;
  readonly #enforcement: EnforcementPolicy | undefined;
  readonly #ending = new AbortController();
  readonly #watching: Promise<void>;

  constructor(deps: {
    readonly node: NodeName;
    readonly address: string;
    readonly credentials: LinkCredentials;
    readonly reports: NodeReports;
    readonly clock: Clock;
    /** Absent: everything is observed and nothing more. */
    readonly enforcement?: EnforcementPolicy | undefined;
    /** 0 to 1. */
    readonly random: () => number;
    readonly log: (facts: object, message: string) => void;
  }) {
    this.#node = deps.node;
    this.#enforcement = deps.enforcement;
    this.#nowMs = deps.clock.nowMs;
    this.address = deps.address;
    const { authorityPem, certificatePem, keyPem } = deps.credentials;
    const secure = grpc.credentials.createSsl(Buffer.from(authorityPem), Buffer.from(keyPem), Buffer.from(certificatePem));
    const Client = grpc.makeGenericClientConstructor(serviceDefinition(NodeAgent), 'NodeAgent');
    // Whatever listens at the address must hold the certificate of this very node.
    this.#client = new Client(deps.address, secure, {
      'grpc.ssl_target_name_override': deps.node,
      'grpc.default_authority': deps.node,
      'grpc.keepalive_time_ms': 5000,
      'grpc.keepalive_timeout_ms': 5000,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 2000,
      'grpc.max_receive_message_length': 64 * 1024 * 1024,
    }) as unknown as Client;
    this.#watching = this.#watchForEver(deps);
  }

  async apply(order: Order): Promise<ApplyOutcome> {
    const response = await new Promise<ApplyResponse>((resolve, reject) =>
      this.#client.apply(orderToWire(order, this.#enforcement), { deadline: this.#nowMs() + applyTimeoutMs }, (failure, answer) =>
        failure === null ? resolve(answer) : reject(failure),
      ),
    );
    if (response.answer.case === 'accepted') return { kind: 'accepted' };
    if (response.answer.case !== 'refused') throw new Error('the agent gave no answer');
    const { reason, detail, epoch, generation } = response.answer.value;
    return { kind: 'refused', reason: refusals[reason], detail, epoch: Number(epoch), generation: Number(generation) };
  }

  async *logs(allocation: string, follow: boolean, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    if (signal.aborted) return;
    const call = quiet(this.#client.logs(create(LogsRequestSchema, { allocation, offset: 0n, follow })));
    const cancel = (): void => call.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      for await (const message of call) yield (message as LogsResponse).chunk;
    } catch (cause) {
      if (!signal.aborted) throw new AgentUnavailable(this.#node, { cause });
    } finally {
      signal.removeEventListener('abort', cancel);
      call.cancel();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    this.#client.close();
    await this.#watching;
  }

  async #watchForEver(deps: {
    readonly reports: NodeReports;
    readonly clock: Clock;
    readonly random: () => number;
    readonly log: (facts: object, message: string) => void;
  }): Promise<void> {
    const { signal } = this.#ending;
    let pauseMs = firstPauseMs;
    let told = false;
    let watched: boolean | undefined;
    while (!signal.aborted) {
      const call = quiet(this.#client.watch(create(WatchRequestSchema)));
      const cancel = (): void => call.cancel();
      signal.addEventListener('abort', cancel, { once: true });
      try {
        for await (const message of call) {
          pauseMs = firstPauseMs;
          told = false;
          if (watched !== true) deps.reports.onWatched(this.#node, undefined);
          watched = true;
          this.#dispatch(message as WatchResponse, deps.reports);
        }
        if (watched !== false && !signal.aborted) deps.reports.onWatched(this.#node, 'the agent ended the conversation');
        watched = false;
      } catch (failure) {
        const text = failure instanceof Error ? failure.message : String(failure);
        if (watched !== false && !signal.aborted) deps.reports.onWatched(this.#node, text);
        watched = false;
        // Once a silence, not once a try.
        if (!told && !signal.aborted) {
          deps.log({ node: this.#node, address: this.address, failure: text }, 'the agent is not watched');
          told = true;
        }
      } finally {
        signal.removeEventListener('abort', cancel);
        call.cancel();
      }
      if (signal.aborted) return;
      await deps.clock.sleep(pauseMs * (0.5 + deps.random()), signal);
      pauseMs = Math.min(longestPauseMs, pauseMs * 2);
    }
  }

  #dispatch({ report }: WatchResponse, reports: NodeReports): void {
    switch (report.case) {
      case 'inventory':
        // A node that speaks with its own certificate for another name is not believed.
        if (report.value.node === this.#node) reports.onInventory(this.#node, inventoryFromWire(report.value, this.#node));
        return;
      case 'allocations':
        reports.onAllocations(this.#node, allocationsFromWire(report.value));
        return;
      case 'readings':
        reports.onReadings(this.#node, readingsFromWire(report.value));
        return;
      case 'processes':
        reports.onStrangers(this.#node, strangersFromWire(report.value));
        return;
      // Told in the agent's own log and metrics; nothing is decided on it here.
      case 'enforcement':
      case undefined:
        return;
      default:
        report satisfies never;
    }
  }
}

/** grpc-js reports the end of a call that nobody reads any more as an error event; without a listener that would end the process. */
function quiet<Stream extends grpc.ClientReadableStream<unknown>>(call: Stream): Stream {
  call.on('error', () => undefined);
  return call;
}

const refusals: Readonly<Record<RefusalReason, Refusal>> = {
  [RefusalReason.UNSPECIFIED]: 'invalid',
  [RefusalReason.STALE_EPOCH]: 'stale-epoch',
  [RefusalReason.STALE_GENERATION]: 'stale-generation',
  [RefusalReason.CONTENT_DIFFERS]: 'content-differs',
  [RefusalReason.INVALID]: 'invalid',
  [RefusalReason.LEDGER_UNAVAILABLE]: 'ledger-unavailable',
};
