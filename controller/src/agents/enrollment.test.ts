import 'reflect-metadata';
import { webcrypto, X509Certificate } from 'node:crypto';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import tls from 'node:tls';
import {
  Enrollment,
  HeartbeatRequestSchema,
  type HeartbeatResponse,
  JoinRequestSchema,
  type JoinResponse,
} from '@astrago/proto/enrollment';
import { serviceDefinition } from '@astrago/proto/grpc';
import { systemClock } from '@astrago/shared/runtime/clock';
import { requireTls13 } from '@astrago/shared/runtime/tls-minimum';
import { create } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import * as x509 from '@peculiar/x509';
import { beforeAll, describe, expect, it } from 'vitest';
import { credentialsFor } from '../../../agent/src/enrollment/join.ts';
import { TemporaryDirectory } from '../testing/temporary-directory.ts';
import { Authority } from './authority.ts';
import { EnrollmentServers } from './enrollment.ts';

const secret = 'secret-of-this-test-cluster';

type NodeCredentials = Awaited<ReturnType<typeof credentialsFor>>;

/** The two servers of a controller, and nodes that come to them. */
class Door implements AsyncDisposable {
  readonly authority: Authority;
  readonly servers: EnrollmentServers;
  readonly heartbeats: string[];
  readonly logged: string[];
  readonly #directory: TemporaryDirectory;

  private constructor(
    directory: TemporaryDirectory,
    authority: Authority,
    servers: EnrollmentServers,
    told: { readonly heartbeats: string[]; readonly logged: string[] },
  ) {
    this.#directory = directory;
    this.authority = authority;
    this.servers = servers;
    this.heartbeats = told.heartbeats;
    this.logged = told.logged;
  }

  static async open(): Promise<Door> {
    const directory = new TemporaryDirectory();
    const authority = await Authority.open(directory.file('authority'), Date.now);
    const told = { heartbeats: [] as string[], logged: [] as string[] };
    const servers = await EnrollmentServers.listen(
      { join: '127.0.0.1:0', agents: '127.0.0.1:0' },
      {
        authority,
        mayJoin: (given) => given === secret,
        heartbeatPeriodMs: 1234,
        onHeartbeat: (node, address, bootId) => told.heartbeats.push(`${node} ${address} ${bootId}`),
        log: (_facts, message) => told.logged.push(message),
      },
    );
    return new Door(directory, authority, servers, told);
  }

  /** As an agent joins. */
  async join(node: string, token = `${secret}.${this.authority.fingerprint}`): Promise<NodeCredentials> {
    const directory = this.#directory.file(node);
    mkdirSync(directory, { recursive: true });
    const tokenFile = this.#directory.file(`${node}-token`);
    writeFileSync(tokenFile, token);
    return credentialsFor({
      node,
      joinAddress: this.servers.joinAddress,
      tokenFile,
      directory,
      hosts: ['127.0.0.1', 'other-node'],
      clock: systemClock,
      random: () => 0,
      log: () => undefined,
    });
  }

  async joinWith(fields: { readonly token?: string; readonly node: string; readonly signingRequestPem: string }): Promise<JoinResponse> {
    const secure = grpc.credentials.createSsl(Buffer.from(this.authority.certificatePem));
    return call<JoinResponse>(this.servers.joinAddress, secure, 'join', create(JoinRequestSchema, { token: secret, ...fields }));
  }

  async heartbeat(
    node: string,
    credentials: NodeCredentials | undefined,
    address = this.servers.agentsAddress,
  ): Promise<HeartbeatResponse> {
    const authority = Buffer.from(this.authority.certificatePem);
    const secure =
      credentials === undefined
        ? grpc.credentials.createSsl(authority)
        : grpc.credentials.createSsl(authority, Buffer.from(credentials.keyPem), Buffer.from(credentials.certificatePem));
    return call<HeartbeatResponse>(
      address,
      secure,
      'heartbeat',
      create(HeartbeatRequestSchema, { node, address: '10.0.0.1:8000', bootId: 'boot-1' }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.servers[Symbol.asyncDispose]();
    this.#directory[Symbol.dispose]();
  }
}

async function call<Response>(
  address: string,
  secure: grpc.ChannelCredentials,
  method: 'join' | 'heartbeat',
  request: object,
): Promise<Response> {
  const { requestSerialize, responseDeserialize, path } = serviceDefinition(Enrollment)[method] ?? missing(method);
  const client = new grpc.Client(address, secure);
  try {
    return await new Promise<Response>((resolve, reject) => {
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        new grpc.Metadata(),
        { deadline: Date.now() + 5000 },
        (failure, response) => (failure === null ? resolve(response as Response) : reject(failure)),
      );
    });
  } finally {
    client.close();
  }
}

function missing(what: string): never {
  throw new Error(`the test is wrong: ${what}`);
}

async function requestFor(name: string, signedByItsKey = true): Promise<string> {
  x509.cryptoProvider.set(webcrypto as never);
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const others = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const pair = signedByItsKey ? keys : { publicKey: keys.publicKey, privateKey: others.privateKey };
  const request = await x509.Pkcs10CertificateRequestGenerator.create({ name, keys: pair as never, signingAlgorithm: algorithm });
  return request.toString('pem');
}

beforeAll(requireTls13);

describe('joining', () => {
  it('gives a node with the token a certificate of its own, from the CA of the cluster', async () => {
    await using door = await Door.open();

    const credentials = await door.join('node-1');

    const certificate = new X509Certificate(credentials.certificatePem);
    const authority = new X509Certificate(door.authority.certificatePem);
    expect(certificate.subject).toBe('CN=node-1');
    expect(certificate.checkIssued(authority)).toBe(true);
    expect(certificate.verify(authority.publicKey)).toBe(true);
    expect(certificate.ca).toBe(false);
    expect(certificate.subjectAltName).toBe('DNS:node-1, IP Address:127.0.0.1');
  });

  it('is refused with another token, and told', async () => {
    await using door = await Door.open();

    const answer = door.join('node-1', `not-the-secret-of-it.${door.authority.fingerprint}`);

    await expect(answer).rejects.toMatchObject({ code: grpc.status.UNAUTHENTICATED });
    expect(door.logged).toEqual(['a node was refused: wrong join token']);
  });

  it('sends nothing to one who has not the CA that the token names', async () => {
    await using door = await Door.open();

    const answer = door.join('node-1', `not-the-secret-of-it.${'0'.repeat(64)}`);

    await expect(answer).rejects.toThrow('does not present the CA that the join token names');
    expect(door.logged).toEqual([]);
  });

  it.each([
    ['another node', 'node-1', 'CN=node-2'],
    ['a node and more', 'node-1', 'CN=node-1, O=admins'],
    ['the controller', 'controller', 'CN=controller'],
    ['what is no name of a node', 'no/name', 'CN=no/name'],
  ])('is refused when the certificate would be for %s', async (_what, node, subject) => {
    await using door = await Door.open();

    const answer = door.joinWith({ node, signingRequestPem: await requestFor(subject) });

    await expect(answer).rejects.toMatchObject({ code: grpc.status.INVALID_ARGUMENT });
  });

  it('is refused when the request was signed by another key', async () => {
    await using door = await Door.open();

    const answer = door.joinWith({ node: 'node-1', signingRequestPem: await requestFor('CN=node-1', false) });

    await expect(answer).rejects.toMatchObject({ code: grpc.status.INVALID_ARGUMENT });
  });

  it('is refused when the request is not readable', async () => {
    await using door = await Door.open();

    await expect(door.joinWith({ node: 'node-1', signingRequestPem: 'hello' })).rejects.toMatchObject({
      code: grpc.status.INVALID_ARGUMENT,
    });
  });

  it('does not let heartbeats in', async () => {
    await using door = await Door.open();

    const answer = door.heartbeat('node-1', await door.join('node-1'), door.servers.joinAddress);

    await expect(answer).rejects.toMatchObject({ code: grpc.status.UNIMPLEMENTED });
    expect(door.heartbeats).toEqual([]);
  });
});

describe('a heartbeat', () => {
  it('with the certificate of its node is taken, and told the pace', async () => {
    await using door = await Door.open();

    const answer = await door.heartbeat('node-1', await door.join('node-1'));

    expect(answer.periodMs).toBe(1234);
    expect(door.heartbeats).toEqual(['node-1 10.0.0.1:8000 boot-1']);
  });

  it('with the certificate of another node is refused', async () => {
    await using door = await Door.open();

    const answer = door.heartbeat('node-1', await door.join('node-2'));

    await expect(answer).rejects.toMatchObject({ code: grpc.status.PERMISSION_DENIED });
    expect(door.heartbeats).toEqual([]);
  });

  it('without a certificate does not get through', async () => {
    await using door = await Door.open();

    await expect(door.heartbeat('node-1', undefined)).rejects.toMatchObject({ code: grpc.status.UNAVAILABLE });

    expect(door.heartbeats).toEqual([]);
  });

  it('with a certificate of another CA does not get through', async () => {
    await using door = await Door.open();
    await using other = await Door.open();

    await expect(door.heartbeat('node-1', await other.join('node-1'))).rejects.toMatchObject({ code: grpc.status.UNAVAILABLE });

    expect(door.heartbeats).toEqual([]);
  });
});

describe('the servers', () => {
  it.each(['joinAddress', 'agentsAddress'] as const)('do not speak TLS 1.2 at the %s', async (which) => {
    await using door = await Door.open();
    const port = Number(door.servers[which].split(':')[1]);
    const credentials = await door.join('node-1');
    const connect = (version: tls.SecureVersion): Promise<string | null> =>
      new Promise((resolve, reject) => {
        const options = {
          host: '127.0.0.1',
          port,
          ca: credentials.authorityPem,
          cert: credentials.certificatePem,
          key: credentials.keyPem,
        };
        const socket = tls.connect({ ...options, minVersion: version, maxVersion: version, ALPNProtocols: ['h2'] }, () => {
          resolve(socket.getProtocol());
          socket.destroy();
        });
        socket.on('error', reject);
      });

    await expect(connect('TLSv1.2')).rejects.toThrow(/protocol version/i);
    await expect(connect('TLSv1.3')).resolves.toBe('TLSv1.3');
  });
});

describe('the authority', () => {
  it('is made once, and kept in files only its owner reads', async () => {
    using directory = new TemporaryDirectory();

    const first = await Authority.open(directory.path, Date.now);
    const again = await Authority.open(directory.path, Date.now);

    expect(again.fingerprint).toBe(first.fingerprint);
    expect(['ca.key', 'ca.crt'].map((name) => statSync(directory.file(name)).mode & 0o777)).toEqual([0o600, 0o600]);
  });
});
