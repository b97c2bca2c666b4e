/** What a node proves itself with, and whom it believes. PEM each. */
export interface Credentials {
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly authorityPem: string;
}
