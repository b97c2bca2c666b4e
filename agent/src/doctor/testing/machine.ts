// Made-up machines for the doctor to look at.
import { expect } from 'vitest';
import { lookAtLedger } from '../checks/ledger-files.ts';
import type { Finding } from '../finding.ts';
import type { Entry, Files, Surroundings } from '../surroundings.ts';

export type Settings = Surroundings['settings'];

/** A machine of text files; a path in `closed` may not be opened by this user. */
export function filesOf(texts: Readonly<Record<string, string>>, closed: readonly string[] = [], more: Partial<Files> = {}): Files {
  const paths = Object.keys(texts);
  const isDirectory = (path: string): boolean => paths.some((one) => one.startsWith(`${path}/`));
  return {
    look: (path): Promise<Entry> =>
      Promise.resolve(
        paths.includes(path) || isDirectory(path)
          ? { kind: 'there', mode: 0o700, uid: 0, directory: isDirectory(path) }
          : { kind: 'absent' },
      ),
    readText: (path) => Promise.resolve(closed.includes(path) ? undefined : texts[path]),
    list: (path) =>
      Promise.resolve([
        ...new Set(paths.filter((one) => one.startsWith(`${path}/`)).map((one) => one.slice(path.length + 1).split('/')[0] ?? '')),
      ]),
    link: () => Promise.resolve(undefined),
    may: (path) => Promise.resolve((paths.includes(path) || isDirectory(path)) && !closed.includes(path)),
    opens: (path) => Promise.resolve(paths.includes(path) && !closed.includes(path)),
    freeBytes: () => Promise.resolve(5 * 2 ** 30),
    ...more,
  };
}

const settings: Settings = {
  nvidiaSmi: 'nvidia-smi',
  dataDirectory: undefined,
  joinAddress: undefined,
  controllerAddress: undefined,
  metricsBind: '127.0.0.1:9410',
  mpsControl: 'nvidia-cuda-mps-control',
  kernelLog: '/dev/kmsg',
  mpsDirectory: undefined,
  path: '/usr/bin',
};

export function machine(more: Partial<Omit<Surroundings, 'settings'>> & { readonly settings?: Partial<Settings> } = {}): Surroundings {
  const files = more.files ?? filesOf({});
  return {
    smi: () => Promise.resolve({ kind: 'not-started', reason: 'spawn nvidia-smi ENOENT' }),
    driver: { observe: () => Promise.resolve({ driverVersion: '590.48.01', gpus: [] }), topology: () => Promise.resolve([]) },
    network: { greet: () => Promise.resolve({ kind: 'unreachable', reason: 'nobody' }), listens: () => Promise.resolve('free') },
    ledger: (directory) => lookAtLedger(files, directory, (line) => line.endsWith('}')),
    migManagers: () => Promise.resolve([]),
    process: { nodeVersion: '24.1.0', uid: 0 },
    nowMs: () => Date.UTC(2026, 5, 1),
    ...more,
    files,
    settings: { ...settings, ...more.settings },
  };
}

/** One line a finding; the remedy left out, but checked to be there where one is needed. */
export function lines(findings: readonly Finding[]): readonly string[] {
  return findings.map(({ check, verdict, text, remedy }) => {
    expect(remedy !== undefined, text).toBe(verdict === 'warning' || verdict === 'problem');
    if (remedy !== undefined) expect(remedy).toMatch(/^[A-Z].*[^.]$|\.$/);
    return `${verdict} ${check}: ${text}`;
  });
}
