import { Enrollment, HeartbeatRequestSchema, type HeartbeatResponse } from '@astrago/proto/enrollment';
import { serviceDefinition } from '@astrago/proto/grpc';
import type { Clock } from '@astrago/shared/runtime/clock';
import { create } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import type { Credentials } from '../app/credentials.ts';

export interface HeartbeatDeps {
  readonly node: string;
  readonly bootId: string;
  /** host:port where this agent listens. */
  readonly ownAddress: string;
  readonly controllerAddress: string;
  readonly credentials: Credentials;
  readonly clock: Clock;
  /** 0 to 1. */
  readonly random: () => number;
  /** The controller has answered. */
  readonly onAnswer?: () => void;
  readonly log: (facts: object, message: string) => void;
}

const firstPauseMs = 250;
const longestPauseMs = 5000;

/** Says where the agent is, for ever: at the pace the controller names, slower and spread out while it does not answer. */
export async function heartbeat(deps: HeartbeatDeps, signal: AbortSignal): Promise<void> {
  const { authorityPem, keyPem, certificatePem } = deps.credentials;
  const secure = grpc.credentials.createSsl(Buffer.from(authorityPem), Buffer.from(keyPem), Buffer.from(certificatePem));
  const Client = grpc.makeGenericClientConstructor(serviceDefinition(Enrollment), 'Enrollment');
  const client = new Client(deps.controllerAddress, secure, {
    'grpc.initial_reconnect_backoff_ms': 200,
    'grpc.max_reconnect_backoff_ms': 2000,
    'grpc.keepalive_time_ms': 10_000,
  });
  const request = create(HeartbeatRequestSchema, { node: deps.node, address: deps.ownAddress, bootId: deps.bootId });
  let pauseMs = firstPauseMs;
  let answered = true;
  try {
    while (!signal.aborted) {
      try {
        const answer = await beat(client, request);
        deps.onAnswer?.();
        pauseMs = firstPauseMs;
        if (!answered) deps.log({}, 'the controller answers again');
        answered = true;
        await deps.clock.sleep(answer.periodMs, signal);
      } catch (cause) {
        if (answered) deps.log({ cause: cause instanceof Error ? cause.message : String(cause) }, 'the controller does not answer');
        answered = false;
        await deps.clock.sleep(pauseMs * (0.5 + deps.random()), signal);
        pauseMs = Math.min(longestPauseMs, pauseMs * 2);
      }
    }
  } finally {
    client.close();
  }
}

function beat(client: grpc.Client, request: object): Promise<HeartbeatResponse> {
  return new Promise((resolve, reject) => {
    const call = (
      client as unknown as Record<
        'heartbeat',
        (
          request: object,
          options: grpc.CallOptions,
          answer: (failure: grpc.ServiceError | null, response: HeartbeatResponse) => void,
        ) => void
      >
    ).heartbeat;
    call.call(client, request, { deadline: Date.now() + 5000 }, (failure, response) =>
      failure === null ? resolve(response) : reject(failure),
    );
  });
}
