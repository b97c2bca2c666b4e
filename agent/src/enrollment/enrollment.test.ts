// Joining and staying known, against a controller that is nothing but its two enrollment services.
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import {
  Enrollment,
  type HeartbeatRequest,
  HeartbeatResponseSchema,
  type JoinRequest,
  JoinResponseSchema,
} from '@astrago/proto/enrollment';
import { serviceDefinition } from '@astrago/proto/grpc';
import { systemClock } from '@astrago/shared/runtime/clock';
import { create } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Scratch } from '../testing/scratch.ts';
import { TestAuthority } from '../testing/test-authority.ts';
import { until } from '../testing/until.ts';
import { heartbeat } from './heartbeat.ts';
import { credentialsFor, type JoinFacts } from './join.ts';

// Real processes on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 180_000 });

const secret = 'correct-horse-battery';
let scratch: Scratch;
let authority: TestAuthority;
let server: grpc.Server;
let address: string;
let joins: { readonly node: string; readonly subject: string; readonly names: readonly string[] }[];
let beats: HeartbeatRequest[];
let told: string[];

async function serve(mutual: boolean, bind = '127.0.0.1:0', by = authority): Promise<void> {
  server = new grpc.Server();
  server.addService(serviceDefinition(Enrollment), {
    join: (call: grpc.ServerUnaryCall<JoinRequest, unknown>, answer: grpc.sendUnaryData<unknown>) => {
      const { token, node, signingRequestPem } = call.request;
      if (token !== secret) return answer({ code: grpc.status.UNAUTHENTICATED, details: 'the join token is not valid' });
      by.signRequest(signingRequestPem).then(
        ({ certificatePem, ...facts }) => {
          joins.push({ node, ...facts });
          answer(null, create(JoinResponseSchema, { certificatePem, authorityPem: by.pem }));
        },
        (failure: unknown) => answer({ code: grpc.status.INTERNAL, details: String(failure) }),
      );
    },
    heartbeat: (call: grpc.ServerUnaryCall<HeartbeatRequest, unknown>, answer: grpc.sendUnaryData<unknown>) => {
      beats.push(call.request);
      answer(null, create(HeartbeatResponseSchema, { periodMs: 20 }));
    },
  });
  const own = await by.issue('controller');
  const secure = grpc.ServerCredentials.createSsl(
    Buffer.from(by.pem),
    [{ cert_chain: Buffer.from(own.certificatePem), private_key: Buffer.from(own.keyPem) }],
    mutual,
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(bind, secure, (failure, bound) => (failure === null ? resolve(bound) : reject(failure))),
  );
  address = `127.0.0.1:${port}`;
}

const facts = (more: Partial<JoinFacts> = {}): JoinFacts => ({
  node: 'node-1',
  joinAddress: address,
  tokenFile: scratch.path('token'),
  directory: scratch.path('credentials'),
  hosts: ['localhost', '127.0.0.1'],
  clock: systemClock,
  random: () => 0,
  log: (_, message) => told.push(message),
  ...more,
});

beforeEach(async () => {
  scratch = new Scratch();
  authority = await TestAuthority.make();
  joins = [];
  beats = [];
  told = [];
  writeFileSync(scratch.path('token'), `${secret}.${authority.fingerprint}\n`);
});
afterEach(async () => {
  server.forceShutdown();
  await scratch[Symbol.asyncDispose]();
});

describe('joining', () => {
  it('gets a certificate for the own name and addresses, keeps it, and needs no token again', async () => {
    await serve(false);

    const first = await credentialsFor(facts());

    expect(joins).toEqual([{ node: 'node-1', subject: 'node-1', names: ['node-1', 'localhost', '127.0.0.1'] }]);
    expect(statSync(scratch.path('credentials', 'node.key')).mode & 0o777).toBe(0o600);
    expect(readFileSync(scratch.path('credentials', 'node.key'), 'utf8')).toContain('PRIVATE KEY');
    rmSync(scratch.path('token'));
    expect(await credentialsFor(facts())).toEqual(first);
    expect(joins).toHaveLength(1);
  });

  it('is done again when what is stored is of another name or cannot be read', async () => {
    await serve(false);
    await credentialsFor(facts());

    await credentialsFor(facts({ node: 'node-2' }));
    writeFileSync(scratch.path('credentials', 'node.crt'), '');
    await credentialsFor(facts({ node: 'node-2' }));

    expect(joins.map((join) => join.subject)).toEqual(['node-1', 'node-2', 'node-2']);
  });

  it('sends no secret to a controller whose CA is not the one of the token', async () => {
    await serve(false, '127.0.0.1:0', await TestAuthority.make());

    await expect(credentialsFor(facts())).rejects.toThrow('does not present the CA that the join token names');
    expect(joins).toEqual([]);
    expect(existsSync(scratch.path('credentials'))).toBe(false);
  });

  it('ends with a clear text where trying again would not help', async () => {
    await serve(false);

    writeFileSync(scratch.path('token'), `${'wrong'.repeat(4)}.${authority.fingerprint}`);
    await expect(credentialsFor(facts())).rejects.toThrow('the join token is not valid');
    writeFileSync(scratch.path('token'), 'nonsense');
    await expect(credentialsFor(facts())).rejects.toThrow('does not hold a join token');
    await expect(credentialsFor(facts({ tokenFile: undefined }))).rejects.toThrow('was given no join token file');
  });

  it('waits for a controller that is not up yet', async () => {
    await serve(false);
    const own = address;
    server.forceShutdown();
    const joining = credentialsFor(facts({ joinAddress: own }));
    await until(() => told.length > 0, 'the wait is told');

    await serve(false, own);

    expect((await joining).certificatePem).toContain('BEGIN CERTIFICATE');
  });
});

describe('the heartbeat', () => {
  it('goes on at the pace of the controller, and over its absence', async () => {
    await serve(true);
    const own = address;
    const ending = new AbortController();
    const beating = heartbeat(
      {
        node: 'node-1',
        bootId: 'boot',
        ownAddress: '127.0.0.1:7',
        controllerAddress: own,
        credentials: await authority.issue('node-1'),
        clock: systemClock,
        random: () => 0,
        log: (_, message) => told.push(message),
      },
      ending.signal,
    );
    await until(() => beats.length >= 3, 'it beats');
    expect(beats[0]).toMatchObject({ node: 'node-1', address: '127.0.0.1:7', bootId: 'boot' });

    server.forceShutdown();
    await until(() => told.includes('the controller does not answer'), 'the absence is told');
    await serve(true, own);
    beats.length = 0;
    await until(() => beats.length >= 2, 'it beats again');
    expect(told).toEqual(['the controller does not answer', 'the controller answers again']);

    ending.abort();
    await beating;
  });
});
