export interface JoinToken {
  readonly secret: string;
  /** SHA-256 of the CA certificate's DER, hex: whom the node may trust with the secret. */
  readonly authorityFingerprint: string;
}

export function parseJoinToken(text: string): JoinToken | undefined {
  const match = /^([A-Za-z0-9_-]{16,128})\.([0-9a-f]{64})$/.exec(text.trim());
  return match?.[1] === undefined || match[2] === undefined ? undefined : { secret: match[1], authorityFingerprint: match[2] };
}
