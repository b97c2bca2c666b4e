import { beforeEach, describe, expect, it } from 'vitest';
import { TestAuthority } from '../../testing/test-authority.ts';
import type { Surroundings } from '../surroundings.ts';
import { filesOf, lines, machine, type Settings } from '../testing/machine.ts';
import { checkCertificates, checkController } from './controller.ts';

describe('the controller', () => {
  let authority: TestAuthority;
  beforeEach(async () => {
    authority = await TestAuthority.make();
  });
  const set = { dataDirectory: '/data', joinAddress: 'c:1', controllerAddress: 'c:2' };

  async function pemFiles(): Promise<Record<string, string>> {
    const own = await authority.issue('node-1');
    return {
      '/data/credentials/node.crt': own.certificatePem,
      '/data/credentials/node.key': own.keyPem,
      '/data/credentials/ca.crt': own.authorityPem,
    };
  }

  it('has given certificates, good for a while', async () => {
    const files = filesOf(await pemFiles(), [], { look: () => Promise.resolve({ kind: 'there', mode: 0o600, uid: 0, directory: false }) });
    const at =
      (days: number): (() => number) =>
      () =>
        Date.now() + days * 86_400_000;
    const found = async (nowMs: () => number): Promise<string> =>
      lines(await checkCertificates(machine({ files, settings: set, nowMs })))[0] ?? '';

    expect(await found(at(0))).toMatch(/^ok certificates: good for \d+ more days$/);
    const days = Number(/\d+/.exec(await found(at(0)))?.[0]);
    expect(await found(at(days - 3))).toMatch(/^warning certificates: the certificate ends in \d days$/);
    expect(await found(at(days + 3))).toMatch(/^problem certificates: expired on 20/);
    expect(await found(at(-30))).toMatch(/^problem certificates: not good before 20/);
  });

  it('has given certificates that do not belong together, or none', async () => {
    const one = await pemFiles();
    const other = await authority.issue('node-1');
    const found = async (texts: Record<string, string>): Promise<readonly string[]> =>
      lines(await checkCertificates(machine({ files: filesOf(texts), settings: set, nowMs: Date.now })));

    expect(await found({ ...one, '/data/credentials/node.key': other.keyPem })).toEqual([
      'problem certificates: key and certificate do not belong together',
    ]);
    expect(await found({ ...one, '/data/credentials/ca.crt': (await TestAuthority.make()).pem })).toEqual([
      'problem certificates: ca.crt did not sign node.crt',
    ]);
    expect((await found({ ...one, '/data/credentials/node.crt': 'garbage' }))[0]).toMatch(/^problem certificates: they cannot be read/);
    expect(await found({})).toEqual(['ok certificates: none yet; the agent gets one when it joins']);
  });

  it('is not set, half set, out of reach, a stranger, or well', async () => {
    const found = async (
      settings: Partial<Settings>,
      greeting: Awaited<ReturnType<Surroundings['network']['greet']>>,
    ): Promise<readonly string[]> =>
      lines(
        await checkController(
          machine({ settings, network: { greet: () => Promise.resolve(greeting), listens: () => Promise.resolve('free') } }),
        ),
      );
    const nowMs = machine().nowMs();

    expect(await found({}, { kind: 'unreachable', reason: '-' })).toEqual([
      'skipped controller: no controller is set (ASTRAGO_CONTROLLER_ADDRESS)',
    ]);
    expect(await found({ joinAddress: 'c:1' }, { kind: 'untried', dateMs: nowMs })).toEqual([
      'problem controller: ASTRAGO_CONTROLLER_ADDRESS is not set',
      'ok controller-join: c:1 answers; whether it is ours is known after joining',
      'ok controller-clock: the same as here',
    ]);
    expect(await found(set, { kind: 'unreachable', reason: 'ECONNREFUSED' })).toEqual([
      'problem controller: c:2 cannot be reached (ECONNREFUSED)',
      'problem controller-join: c:1 cannot be reached (ECONNREFUSED)',
    ]);
    expect((await found(set, { kind: 'distrusted', reason: 'r' }))[0]).toBe(
      'problem controller: c:2 does not prove to be our controller (r)',
    );
    expect(await found(set, { kind: 'trusted', dateMs: nowMs - 90_000 })).toEqual([
      'ok controller: c:2 answers',
      'ok controller-join: c:1 answers',
      'warning controller-clock: 90 s apart from here',
    ]);
    expect((await found(set, { kind: 'trusted', dateMs: undefined }))[2]).toBe(
      'unknown controller-clock: the controller does not tell its time',
    );
  });
});
