import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import type { TokenKind, TokenStore } from '../app/ports.ts';

export interface TokenDoorDeps {
  readonly store: TokenStore;
  readonly kind: TokenKind;
  /** Made at the first start. Whoever writes another secret into it has that one after a restart, and no older one. */
  readonly file: string;
  /** What the file holds after the secret, behind a dot. */
  readonly suffix?: string;
  readonly nowMs: number;
}

/**
 * Opens for one secret, of which the store keeps the hash. The file is for the owner's convenience: once read it may
 * be deleted, and the secret stays good.
 */
export function openTokenDoor(deps: TokenDoorDeps): (given: string) => boolean {
  const { store, kind } = deps;
  const secret = secretIn(deps.file) ?? (store.tokenHashes(kind).length === 0 ? makeSecret(deps) : undefined);
  if (secret !== undefined && !store.tokenHashes(kind).includes(hashOf(secret))) {
    const entry = { actor: 'controller', action: 'set-token', subject: kind, detail: '', atMs: deps.nowMs };
    store.commit({ changes: [], audit: [entry], idempotency: [], tokens: [{ kind, hash: hashOf(secret), atMs: deps.nowMs }] });
  }
  const hashes = store.tokenHashes(kind).map((hash) => Buffer.from(hash, 'hex'));
  // Takes equally long for every wrong guess.
  return (given) => hashes.some((hash) => timingSafeEqual(hash, Buffer.from(hashOf(given), 'hex')));
}

function secretIn(file: string): string | undefined {
  try {
    const secret = readFileSync(file, 'utf8').trim().split('.')[0];
    if (secret === undefined || secret.length < 16)
      throw new Error(`${file} holds no secret of at least 16 characters; delete it, or write one into it`);
    return secret;
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw cause;
  }
}

function makeSecret({ file, suffix }: TokenDoorDeps): string {
  const secret = randomBytes(32).toString('base64url');
  writeFileSync(file, `${secret}${suffix === undefined ? '' : `.${suffix}`}\n`, { mode: 0o600, flag: 'wx' });
  return secret;
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}
