// Debian's Prometheus: the one that is installed, or its package unpacked beside our other caches.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Environment } from '@astrago/shared/runtime/environment';

export interface PrometheusPrograms {
  readonly prometheus: string;
  readonly promtool: string;
}

let found: Promise<PrometheusPrograms> | undefined;

/** Fetches the package when it is not there; test files that come at the same time wait for one another. */
export function prometheusPrograms(): Promise<PrometheusPrograms> {
  found ??= findPrometheus(process.env);
  return found;
}

/** @param environment `PATH` says where programs are, `XDG_CACHE_HOME` where the package may be unpacked. */
export async function findPrometheus(environment: Environment): Promise<PrometheusPrograms> {
  const installed = inDirectories((environment['PATH'] ?? '').split(delimiter));
  if (installed !== undefined) return installed;
  const cache = join(environment['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'astrago', 'prometheus');
  const unpacking = spawn('/bin/sh', [join(import.meta.dirname, 'unpack-prometheus.sh'), cache], {
    env: { ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [unpacking.stdout, unpacking.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')));
  await once(unpacking, 'close');
  const unpacked = inDirectories([join(cache, 'usr/bin')]);
  if (unpacked === undefined)
    throw new Error(
      `these tests need Debian's package prometheus, and it could not be fetched; install it with: apt-get install prometheus\n${said}`,
    );
  return unpacked;
}

function inDirectories(directories: readonly string[]): PrometheusPrograms | undefined {
  const directory = directories.find((one) => one !== '' && isProgram(join(one, 'prometheus')) && isProgram(join(one, 'promtool')));
  return directory === undefined ? undefined : { prometheus: join(directory, 'prometheus'), promtool: join(directory, 'promtool') };
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What `promtool check metrics` finds in an exposition, a line each; it throws where it cannot even read it. */
export async function promtoolFindings(exposition: string): Promise<readonly string[]> {
  const { promtool } = await prometheusPrograms();
  const ran = spawnSync(promtool, ['check', 'metrics'], { input: exposition, encoding: 'utf8', timeout: 30_000 });
  // 3 is for findings, 1 for what is no exposition.
  if (ran.status !== 0 && ran.status !== 3) throw new Error(`promtool ended with ${ran.status}: ${ran.stderr}`);
  return `${ran.stdout}${ran.stderr}`.split('\n').filter((line) => line !== '');
}
