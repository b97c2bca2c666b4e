import 'reflect-metadata';
import { createHash, randomBytes, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import type { Credentials } from '../app/credentials.ts';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
x509.cryptoProvider.set(webcrypto as never);

/** A certificate authority that lives as long as a test. */
export class TestAuthority {
  readonly pem: string;
  readonly fingerprint: string;
  readonly #certificate: x509.X509Certificate;
  readonly #key: webcrypto.CryptoKey;

  private constructor(certificate: x509.X509Certificate, key: webcrypto.CryptoKey) {
    this.#certificate = certificate;
    this.#key = key;
    this.pem = certificate.toString('pem');
    this.fingerprint = createHash('sha256').update(new Uint8Array(certificate.rawData)).digest('hex');
  }

  static async make(): Promise<TestAuthority> {
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: randomBytes(16).toString('hex'),
      name: `CN=test CA ${randomBytes(4).toString('hex')}`,
      signingAlgorithm: algorithm,
      keys: keys as never,
      extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
    });
    return new TestAuthority(certificate, keys.privateKey);
  }

  async issue(commonName: string): Promise<Credentials> {
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
    const certificatePem = await this.#sign(commonName, keys.publicKey, ['localhost', commonName]);
    const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
    return { certificatePem, keyPem: `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`, authorityPem: this.pem };
  }

  /** Signs a request as a controller would, with the names it asks for; returns them too. */
  async signRequest(
    requestPem: string,
  ): Promise<{ readonly certificatePem: string; readonly subject: string; readonly names: readonly string[] }> {
    const request = new x509.Pkcs10CertificateRequest(requestPem);
    if (!(await request.verify())) throw new Error('not signed by its own key');
    const names =
      request.extensions.find((one) => one instanceof x509.SubjectAlternativeNameExtension)?.names.items.map((one) => one.value) ?? [];
    const key = (await request.publicKey.export()) as webcrypto.CryptoKey;
    const subject = request.subject.replace(/^CN=/, '');
    return { certificatePem: await this.#sign(subject, key, names), subject, names };
  }

  async #sign(commonName: string, publicKey: webcrypto.CryptoKey, names: readonly string[]): Promise<string> {
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: randomBytes(16).toString('hex'),
      subject: `CN=${commonName}`,
      issuer: this.#certificate.subject,
      signingAlgorithm: algorithm,
      publicKey: publicKey as never,
      signingKey: this.#key as never,
      extensions: [
        new x509.SubjectAlternativeNameExtension([
          ...names.filter((name) => name !== '127.0.0.1').map((value) => ({ type: 'dns' as const, value })),
          { type: 'ip', value: '127.0.0.1' },
        ]),
      ],
    });
    return `${certificate.toString('pem')}\n${this.pem}\n`;
  }
}
