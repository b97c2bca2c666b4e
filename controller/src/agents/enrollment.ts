import {
  Enrollment,
  type HeartbeatRequest,
  type HeartbeatResponse,
  HeartbeatResponseSchema,
  type JoinRequest,
  type JoinResponse,
  JoinResponseSchema,
} from '@astrago/proto/enrollment';
import { serviceDefinition } from '@astrago/proto/grpc';
import { type NodeName, parseNodeName } from '@astrago/shared/domain/ids';
import { create } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import { type Authority, RefusedRequest } from './authority.ts';

export interface EnrollmentDeps {
  readonly authority: Authority;
  readonly mayJoin: (secret: string) => boolean;
  readonly heartbeatPeriodMs: number;
  readonly onHeartbeat: (node: NodeName, address: string, bootId: string) => void;
  readonly log: (facts: object, message: string) => void;
}

/**
 * Two ports for one service: joining needs no client certificate and offers nothing else; heartbeats need the node's own.
 */
export class EnrollmentServers implements AsyncDisposable {
  readonly joinAddress: string;
  readonly agentsAddress: string;
  readonly #servers: readonly grpc.Server[];

  private constructor(servers: readonly grpc.Server[], joinAddress: string, agentsAddress: string) {
    this.#servers = servers;
    this.joinAddress = joinAddress;
    this.agentsAddress = agentsAddress;
  }

  static async listen(binds: { readonly join: string; readonly agents: string }, deps: EnrollmentDeps): Promise<EnrollmentServers> {
    const pair = await deps.authority.issue('controller', 365);
    const keys = [{ cert_chain: Buffer.from(pair.certificatePem), private_key: Buffer.from(pair.keyPem) }];
    const authority = Buffer.from(deps.authority.certificatePem);
    const join = new grpc.Server();
    join.addService(serviceDefinition(Enrollment), { join: joinHandler(deps), heartbeat: refuse('heartbeats go to the other port') });
    const agents = new grpc.Server({ 'grpc.keepalive_time_ms': 10_000, 'grpc.keepalive_timeout_ms': 5000 });
    agents.addService(serviceDefinition(Enrollment), { join: refuse('joining goes to the other port'), heartbeat: heartbeatHandler(deps) });
    try {
      const joinAddress = await bind(join, binds.join, grpc.ServerCredentials.createSsl(authority, keys, false));
      const agentsAddress = await bind(agents, binds.agents, grpc.ServerCredentials.createSsl(authority, keys, true));
      return new EnrollmentServers([join, agents], joinAddress, agentsAddress);
    } catch (taken) {
      join.forceShutdown();
      agents.forceShutdown();
      throw taken;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) server.forceShutdown();
  }
}

async function bind(server: grpc.Server, address: string, credentials: grpc.ServerCredentials): Promise<string> {
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(address, credentials, (failure, bound) => (failure === null ? resolve(bound) : reject(failure))),
  );
  return `${address.slice(0, address.lastIndexOf(':'))}:${port}`;
}

function refuse(details: string): grpc.handleUnaryCall<unknown, unknown> {
  return (_call, answer) => answer({ code: grpc.status.UNIMPLEMENTED, details });
}

function joinHandler(deps: EnrollmentDeps): grpc.handleUnaryCall<JoinRequest, JoinResponse> {
  return (call, answer) => {
    const { token, node, signingRequestPem } = call.request;
    const name = parseNodeName(node);
    if (!deps.mayJoin(token)) {
      deps.log({ node, peer: call.getPeer() }, 'a node was refused: wrong join token');
      return void answer({ code: grpc.status.UNAUTHENTICATED, details: 'the join token is not valid' });
    }
    if (name === undefined || name === 'controller')
      return void answer({ code: grpc.status.INVALID_ARGUMENT, details: `${JSON.stringify(node)} is not a node name` });
    deps.authority.signRequest(signingRequestPem, name).then(
      (certificatePem) => answer(null, create(JoinResponseSchema, { certificatePem, authorityPem: deps.authority.certificatePem })),
      (failure: unknown) =>
        answer({
          code: failure instanceof RefusedRequest ? grpc.status.INVALID_ARGUMENT : grpc.status.INTERNAL,
          details: failure instanceof RefusedRequest ? failure.message : 'the certificate could not be made',
        }),
    );
  };
}

function heartbeatHandler(deps: EnrollmentDeps): grpc.handleUnaryCall<HeartbeatRequest, HeartbeatResponse> {
  return (call, answer) => {
    const { node, address, bootId } = call.request;
    const name = parseNodeName(node);
    if (name === undefined || call.getAuthContext().sslPeerCertificate?.subject?.CN !== name) {
      return void answer({ code: grpc.status.PERMISSION_DENIED, details: `the certificate is not of node ${node}` });
    }
    if (!isAddress(address))
      return void answer({ code: grpc.status.INVALID_ARGUMENT, details: `${JSON.stringify(address)} is not host:port` });
    deps.onHeartbeat(name, address, bootId);
    answer(null, create(HeartbeatResponseSchema, { periodMs: deps.heartbeatPeriodMs }));
  };
}

/** Only what can be dialled over TCP: gRPC would take sockets of this machine and names of other schemes too. */
function isAddress(text: string): boolean {
  const match = /^(?:\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  return port > 0 && port < 65_536;
}
