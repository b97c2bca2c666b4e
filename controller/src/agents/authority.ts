// The cluster's own certificate authority, made in the data directory at the first start.
import 'reflect-metadata';
import { createHash, randomBytes, webcrypto } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const dayMs = 24 * 3600 * 1000;
x509.cryptoProvider.set(webcrypto as never);

export interface KeyPairPem {
  readonly certificatePem: string;
  readonly keyPem: string;
}

/** A signing request that must not be signed; the message says why. */
export class RefusedRequest extends Error {
  override name = 'RefusedRequest';
}

export class Authority {
  readonly certificatePem: string;
  /** SHA-256 of the certificate's DER, hex; part of every join token. */
  readonly fingerprint: string;
  readonly #certificate: x509.X509Certificate;
  readonly #key: webcrypto.CryptoKey;
  readonly #nowMs: () => number;

  private constructor(certificate: x509.X509Certificate, key: webcrypto.CryptoKey, nowMs: () => number) {
    this.#certificate = certificate;
    this.#key = key;
    this.#nowMs = nowMs;
    this.certificatePem = certificate.toString('pem');
    this.fingerprint = createHash('sha256').update(new Uint8Array(certificate.rawData)).digest('hex');
  }

  static async open(directory: string, nowMs: () => number): Promise<Authority> {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const keyFile = join(directory, 'ca.key');
    const certificateFile = join(directory, 'ca.crt');
    // The certificate is written last: with it, the pair is whole.
    if (!existsSync(certificateFile)) await makeAuthority(keyFile, certificateFile, nowMs());
    const key = await webcrypto.subtle.importKey('pkcs8', derOf(readFileSync(keyFile, 'utf8')), algorithm, false, ['sign']);
    return new Authority(new x509.X509Certificate(readFileSync(certificateFile, 'utf8')), key, nowMs);
  }

  /** A pair for one of the controller's own ends. */
  async issue(commonName: string, days: number): Promise<KeyPairPem> {
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
    const names = ['localhost', hostname(), '127.0.0.1', '::1', commonName];
    const certificatePem = await this.#sign(`CN=${commonName}`, keys.publicKey, names, days);
    return { certificatePem, keyPem: pem('PRIVATE KEY', await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)) };
  }

  /** Signs a node's request: the name must be the node's own, and the key must have signed it. */
  async signRequest(requestPem: string, node: string): Promise<string> {
    const request = readRequest(requestPem);
    if (request === undefined || !(await request.verify()))
      throw new RefusedRequest('the signing request is not readable or not signed by its own key');
    if (request.subject !== `CN=${node}`) throw new RefusedRequest(`the signing request is for ${request.subject}, not for node ${node}`);
    const asked = request.extensions.find((extension) => extension instanceof x509.SubjectAlternativeNameExtension)?.names.items ?? [];
    // A node may be reached by addresses, but may not carry the name of another.
    const names = asked.filter((name) => name.type === 'ip' || name.value === node || name.value === 'localhost').map((name) => name.value);
    const publicKey = await request.publicKey.export();
    return this.#sign(`CN=${node}`, publicKey as webcrypto.CryptoKey, [...new Set([node, ...names])], 365);
  }

  async #sign(subject: string, publicKey: webcrypto.CryptoKey, names: readonly string[], days: number): Promise<string> {
    const nowMs = this.#nowMs();
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: randomBytes(16).toString('hex'),
      subject,
      issuer: this.#certificate.subject,
      // Clocks of nodes differ.
      notBefore: new Date(nowMs - dayMs),
      notAfter: new Date(nowMs + days * dayMs),
      signingAlgorithm: algorithm,
      publicKey: publicKey as never,
      signingKey: this.#key as never,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
        new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: isAddress(value) ? 'ip' : 'dns', value }))),
      ],
    });
    return `${certificate.toString('pem')}\n${this.certificatePem}\n`;
  }
}

async function makeAuthority(keyFile: string, certificateFile: string, nowMs: number): Promise<void> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomBytes(16).toString('hex'),
    name: `CN=AstraGo CA ${randomBytes(4).toString('hex')}`,
    notBefore: new Date(nowMs - dayMs),
    notAfter: new Date(nowMs + 3650 * dayMs),
    signingAlgorithm: algorithm,
    keys: keys as never,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  });
  writeFileSync(keyFile, pem('PRIVATE KEY', await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)), { mode: 0o600 });
  writeFileSync(`${certificateFile}.new`, certificate.toString('pem'), { mode: 0o600 });
  renameSync(`${certificateFile}.new`, certificateFile);
}

function readRequest(text: string): x509.Pkcs10CertificateRequest | undefined {
  try {
    return new x509.Pkcs10CertificateRequest(text);
  } catch {
    return undefined;
  }
}

function isAddress(name: string): boolean {
  return /^\d+(\.\d+){3}$/.test(name) || name.includes(':');
}

function pem(label: string, der: ArrayBuffer): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

function derOf(text: string): Buffer<ArrayBuffer> {
  return Buffer.from(text.replace(/-----[^-]+-----|\s/g, ''), 'base64');
}
