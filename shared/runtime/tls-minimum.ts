import tls from 'node:tls';

/** Makes TLS 1.3 the least of every secure context of this process; grpc-js leaves no say over versions. */
export function requireTls13(): void {
  Object.assign(tls, { DEFAULT_MIN_VERSION: 'TLSv1.3' });
}
