// How a node gets its certificate: once, with a token; afterwards it is in the data directory.

import { createHash, createPrivateKey, webcrypto, X509Certificate } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as tls from 'node:tls';
import { Enrollment, JoinRequestSchema, type JoinResponse } from '@astrago/proto/enrollment';
import { serviceDefinition } from '@astrago/proto/grpc';
import { splitAddress } from '@astrago/shared/runtime/address';
import type { Clock } from '@astrago/shared/runtime/clock';
import { create } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import type { Credentials } from '../app/credentials.ts';
import { writeDurably } from '../files/write-durably.ts';
import { parseJoinToken } from './token.ts';

export interface JoinFacts {
  readonly node: string;
  /** host:port of the controller's join service. */
  readonly joinAddress: string;
  readonly tokenFile: string | undefined;
  readonly directory: string;
  /** Addresses the certificate should be good for beside the node's name. */
  readonly hosts: readonly string[];
  readonly clock: Clock;
  /** 0 to 1. */
  readonly random: () => number;
  readonly log: (facts: object, message: string) => void;
}

const timeLimitMs = 15_000;
const firstPauseMs = 500;
const longestPauseMs = 10_000;

/** The stored credentials as long as they are good for this node, else new ones from the controller. */
export async function credentialsFor(facts: JoinFacts): Promise<Credentials> {
  return (await storedCredentials(facts)) ?? joinPatiently(facts);
}

async function storedCredentials({ directory, node, clock }: JoinFacts): Promise<Credentials | undefined> {
  try {
    const [certificatePem, keyPem, authorityPem] = await Promise.all(
      ['node.crt', 'node.key', 'ca.crt'].map((name) => readFile(join(directory, name), 'utf8')),
    );
    if (certificatePem === undefined || keyPem === undefined || authorityPem === undefined) return undefined;
    const certificate = new X509Certificate(certificatePem);
    const good =
      certificate.subject === `CN=${node}` &&
      clock.nowMs() < certificate.validToDate.getTime() &&
      certificate.checkPrivateKey(createPrivateKey(keyPem));
    return good ? { certificatePem, keyPem, authorityPem } : undefined;
  } catch {
    // None yet, or none that can be read: a new one is asked for.
    return undefined;
  }
}

/** A node may be up before its controller is: that is waited for. An answer of "no" is not. */
async function joinPatiently(facts: JoinFacts): Promise<Credentials> {
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(longestPauseMs, pauseMs * 2)) {
    try {
      return await joinCluster(facts);
    } catch (cause) {
      if (!isUnreachable(cause)) throw cause;
      if (pauseMs === firstPauseMs)
        facts.log(
          { address: facts.joinAddress, cause: cause instanceof Error ? cause.message : String(cause) },
          'the controller cannot be reached to join; it is tried again',
        );
      await facts.clock.sleep(pauseMs * (0.5 + facts.random()));
    }
  }
}

function isUnreachable(cause: unknown): boolean {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  return (
    code === grpc.status.UNAVAILABLE ||
    code === grpc.status.DEADLINE_EXCEEDED ||
    (typeof code === 'string' && /^E(CONN|HOST|NET|TIMEDOUT|AI_|PIPE)|ENOTFOUND/.test(code))
  );
}

async function joinCluster(facts: JoinFacts): Promise<Credentials> {
  if (facts.tokenFile === undefined) throw new Error('this node has no certificate yet and was given no join token file');
  const token = parseJoinToken(await readFile(facts.tokenFile, 'utf8'));
  if (token === undefined) throw new Error(`${facts.tokenFile} does not hold a join token`);
  const authorityPem = await fetchAuthority(facts.joinAddress, token.authorityFingerprint);
  const { keyPem, requestPem } = await signingRequest(facts);
  const answer = await callJoin(
    facts.joinAddress,
    authorityPem,
    create(JoinRequestSchema, { token: token.secret, node: facts.node, signingRequestPem: requestPem }),
  );
  await mkdir(facts.directory, { recursive: true, mode: 0o700 });
  // The certificate comes last: without it the rest is made anew.
  await writeDurably(join(facts.directory, 'node.key'), keyPem);
  await writeDurably(join(facts.directory, 'ca.crt'), authorityPem);
  await writeDurably(join(facts.directory, 'node.crt'), answer.certificatePem);
  return { certificatePem: answer.certificatePem, keyPem, authorityPem };
}

/** The chain is looked at before anything is sent: only the CA that the token names is trusted with the secret. */
async function fetchAuthority(address: string, fingerprint: string): Promise<string> {
  const { host, port } = splitAddress(address);
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host, port, rejectUnauthorized: false, ALPNProtocols: ['h2'], minVersion: 'TLSv1.3' }, () => {
      let certificate: tls.DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
      const seen = new Set<string>();
      while (certificate?.raw !== undefined && !seen.has(certificate.fingerprint256)) {
        seen.add(certificate.fingerprint256);
        if (createHash('sha256').update(certificate.raw).digest('hex') === fingerprint) {
          resolve(
            `-----BEGIN CERTIFICATE-----\n${certificate.raw.toString('base64').replace(/.{64}/g, '$&\n').trimEnd()}\n-----END CERTIFICATE-----\n`,
          );
          socket.destroy();
          return;
        }
        certificate = certificate.issuerCertificate;
      }
      socket.destroy();
      reject(
        new Error(
          `${address} does not present the CA that the join token names; the token is of another cluster, or something stands in between`,
        ),
      );
    });
    socket.setTimeout(timeLimitMs, () =>
      socket.destroy(Object.assign(new Error(`${address} did not answer within ${timeLimitMs} ms`), { code: 'ETIMEDOUT' })),
    );
    socket.on('error', reject);
  });
}

async function signingRequest(facts: JoinFacts): Promise<{ readonly keyPem: string; readonly requestPem: string }> {
  // Loaded only here: a node joins once.
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  x509.cryptoProvider.set(webcrypto as never);
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const names = [facts.node, ...facts.hosts].map((name) => ({
    type: /^[\d.]+$|:/.test(name) ? ('ip' as const) : ('dns' as const),
    value: name,
  }));
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: `CN=${facts.node}`,
    keys: keys as never,
    signingAlgorithm: algorithm,
    extensions: [new x509.SubjectAlternativeNameExtension(names)],
  });
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return {
    keyPem: `-----BEGIN PRIVATE KEY-----\n${key.replace(/.{64}/g, '$&\n').trimEnd()}\n-----END PRIVATE KEY-----\n`,
    requestPem: request.toString('pem'),
  };
}

async function callJoin(address: string, authorityPem: string, request: object): Promise<JoinResponse> {
  const Client = grpc.makeGenericClientConstructor(serviceDefinition(Enrollment), 'Enrollment');
  const client = new Client(address, grpc.credentials.createSsl(Buffer.from(authorityPem)));
  try {
    return await new Promise<JoinResponse>((resolve, reject) => {
      const join = client['join'] as (
        request: object,
        options: grpc.CallOptions,
        answer: (failure: grpc.ServiceError | null, response: JoinResponse) => void,
      ) => void;
      join.call(client, request, { deadline: Date.now() + timeLimitMs }, (failure, response) =>
        failure === null ? resolve(response) : reject(failure),
      );
    });
  } finally {
    client.close();
  }
}
