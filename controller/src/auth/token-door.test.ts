import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { TokenKind } from '../app/ports.ts';
import { OpenedStore } from '../testing/opened-store.ts';
import { openTokenDoor } from './token-door.ts';

function doorOf(opened: OpenedStore, kind: TokenKind = 'admin', suffix?: string) {
  const file = `${opened.file}.${kind}`;
  return { file, opens: openTokenDoor({ store: opened.store, kind, file, nowMs: 1, ...(suffix === undefined ? {} : { suffix }) }) };
}

const secretIn = (file: string): string => readFileSync(file, 'utf8').trim();

describe('a door', () => {
  it('opens for the secret in its file, which only its owner reads', () => {
    using opened = new OpenedStore();

    const { file, opens } = doorOf(opened);

    expect(opens(secretIn(file))).toBe(true);
    expect(['', 'x', `${secretIn(file)}x`, secretIn(file).slice(1)].filter(opens)).toEqual([]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('keeps no secret in the store, and says in the audit log that there is one', () => {
    using opened = new OpenedStore();

    const { file } = doorOf(opened);

    expect(opened.store.tokenHashes('admin')).not.toContain(secretIn(file));
    expect(opened.store.tokenHashes('admin')).toHaveLength(1);
    expect(opened.raw((database) => database.prepare('SELECT action, subject, detail FROM audit').all())).toEqual([
      { action: 'set-token', subject: 'admin', detail: '' },
    ]);
  });

  it('opens for the same secret after a restart, also when the file is gone', () => {
    using opened = new OpenedStore();
    const secret = secretIn(doorOf(opened).file);

    expect(doorOf(opened).opens(secret)).toBe(true);
    rmSync(doorOf(opened).file);

    expect(doorOf(opened).opens(secret)).toBe(true);
    expect(opened.store.tokenHashes('admin')).toHaveLength(1);
  });

  it('opens for what the owner wrote into the file, and for nothing older', () => {
    using opened = new OpenedStore();
    const { file } = doorOf(opened);
    const old = secretIn(file);
    writeFileSync(file, 'a-secret-of-my-own-choice\n');

    const { opens } = doorOf(opened);

    expect([opens('a-secret-of-my-own-choice'), opens(old)]).toEqual([true, false]);
  });

  it('does not take an empty file for a secret', () => {
    using opened = new OpenedStore();
    const { file } = doorOf(opened);
    writeFileSync(file, '\n');

    expect(() => doorOf(opened)).toThrow(`${file} holds no secret`);
  });

  it('of joining carries the fingerprint behind the secret, and is not the door of admins', () => {
    using opened = new OpenedStore();

    const joining = doorOf(opened, 'join', 'f'.repeat(64));
    const admin = doorOf(opened, 'admin');

    const [secret = '', suffix] = secretIn(joining.file).split('.');
    expect(suffix).toBe('f'.repeat(64));
    expect([joining.opens(secret), admin.opens(secret)]).toEqual([true, false]);
  });
});
