// `astrago agent doctor`: gives the doctor this machine to look at.
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { systemClock } from '@astrago/shared/runtime/clock';
import type { Environment } from '@astrago/shared/runtime/environment';
import type { AgentCommand } from './commands/command-line.ts';
import { makeBundle } from './doctor/bundle/make-bundle.ts';
import { recordCommands } from './doctor/bundle/recorded-commands.ts';
import { writeBundle } from './doctor/bundle/write-bundle.ts';
import { lookAtLedger } from './doctor/checks/ledger-files.ts';
import { type DoctorReport, exitCodeOf, reportText } from './doctor/report.ts';
import { checks, runChecks } from './doctor/run-checks.ts';
import type { SmiAnswer, Surroundings } from './doctor/surroundings.ts';
import { systemFiles } from './doctor/system-files.ts';
import { systemNetwork } from './doctor/system-network.ts';
import { unsealed } from './ledger/seal.ts';
import { type DoctorConfig, readDoctorConfig } from './look-config.ts';
import { enabledUnits } from './mig-manager/enabled-units.ts';
import { runningManagers } from './mig-manager/running-managers.ts';
import { type CommandSurroundings, defaultLimits, runCommand } from './smi/command.ts';
import { createSmiDriver } from './smi/driver.ts';
import { agentVersion } from './version.ts';

/** Of one check. The one of the driver runs several commands, each with its own limit, and none after one that hangs. */
const checkLimitMs = (commandLimitMs: number): number => 3 * commandLimitMs + 15_000;

export async function examine(
  command: Extract<AgentCommand, { kind: 'doctor' }>,
  environment: Environment,
  print: (text: string) => void,
  /** For messages that are not the report. */
  tell: (text: string) => void,
): Promise<0 | 1> {
  const config = readDoctorConfig(environment);
  const around = surroundings(config, command.limitMs);
  const findings = await runChecks(checks, around, { clock: systemClock, limitMs: checkLimitMs(command.limitMs) });
  const report: DoctorReport = {
    schemaVersion: 1,
    node: config.node,
    agentVersion,
    takenAt: new Date(systemClock.nowMs()).toISOString(),
    findings,
  };
  print(command.json ? `${JSON.stringify(report, null, 2)}\n` : reportText(report));
  if (command.bundle === undefined) return exitCodeOf(report);
  try {
    const files = await makeBundle({
      recording: await recordCommands(around.smi),
      report,
      settings: config.settings,
      dataDirectory: config.dataDirectory,
      files: around.files,
      redact: command.redact ? { hostNames: [hostname(), config.node], salt: randomBytes(32) } : undefined,
    });
    await writeBundle(files, command.bundle, systemClock.nowMs());
  } catch (failure) {
    tell(`no bundle: ${failure instanceof Error ? failure.message : String(failure)}\n`);
    return 1;
  }
  const left = command.redact ? 'serial numbers, UUIDs and host names are replaced' : 'it holds serial numbers, UUIDs and host names';
  tell(`wrote ${command.bundle}; ${left}\n`);
  return exitCodeOf(report);
}

function surroundings(config: DoctorConfig, limitMs: number): Surroundings {
  const files = systemFiles();
  const program = config.nvidiaSmi;
  const limits = { queryMs: limitMs };
  const around: CommandSurroundings = {
    program,
    environment: config.environment,
    limits: { ...defaultLimits, ...limits },
    clock: systemClock,
    kill: (child) => {
      child.kill('SIGKILL');
    },
  };
  return {
    settings: { ...config, path: config.environment['PATH'] ?? '/usr/local/bin:/usr/bin:/bin' },
    smi: (args) => ask(args, around),
    driver: createSmiDriver({ program, environment: config.environment, limits }),
    files,
    network: systemNetwork(),
    ledger: (directory) => lookAtLedger(files, directory, (line) => unsealed(line) !== undefined),
    migManagers: async () => (await Promise.all([runningManagers({ proc: '/proc' }).find(), enabledUnits({ root: '/' }).find()])).flat(),
    process: { nodeVersion: process.versions.node, uid: process.getuid?.() },
    nowMs: systemClock.nowMs,
  };
}

async function ask(args: readonly string[], around: CommandSurroundings): Promise<SmiAnswer> {
  const startMs = systemClock.elapsedMs();
  const end = await runCommand({ args, kind: 'query' }, around, new AbortController().signal);
  const ms = systemClock.elapsedMs() - startMs;
  switch (end.kind) {
    case 'exited':
      return { kind: 'ended', exitCode: end.exitCode, stdout: end.stdout, stderr: end.stderr, ms };
    case 'not-started':
      return { kind: 'not-started', reason: end.cause instanceof Error ? end.cause.message : String(end.cause) };
    case 'abandoned':
      return { kind: 'given-up', ms };
    default:
      return end satisfies never;
  }
}
