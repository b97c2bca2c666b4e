import { readFile, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Gpu } from '@astrago/api';
import { answer, type CommandContext } from '../context.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { CommandFailure, usageFailure } from '../failure.ts';
import { AuditRounds } from '../replay/audit-rounds.ts';
import { followTrace } from '../replay/follow-trace.ts';
import { type Mapping, podToWorkload } from '../replay/pod-to-workload.ts';
import { parsePodTrace, type TracePod } from '../replay/pod-trace.ts';
import { type ProfileTable, parseProfileTable, profilesOfDevice } from '../replay/profile-sizes.ts';
import { reportOfReplay } from '../replay/report.ts';
import { replayText } from '../replay/report-text.ts';
import { submitTrace } from '../replay/submit-trace.ts';

export interface ReplayInput {
  readonly file: string;
  readonly limit?: number;
  readonly speed: number;
  readonly minMs: number;
  readonly maxMs: number;
  readonly burst?: boolean;
  readonly concurrency: number;
  readonly workspace: string;
  readonly prefix?: string;
  readonly profiles?: string;
  readonly respectModel?: boolean;
  readonly timeout: number;
  readonly settle: number;
  readonly out?: string;
}

export async function replay(context: CommandContext, input: ReplayInput): Promise<ExitCode> {
  const { clock, terminal } = context;
  const pods = await readTrace(input);
  // A trace is long: a controller that is restarted in the middle is waited for.
  const client = await context.connect({ retryDelaysMs: [100, 300, 1000, 2000, 5000, 10_000, 10_000] });
  const mapping: Mapping = {
    table: tableOf(input, input.profiles === undefined ? (await client.listGpus()).items : []),
    workspace: input.workspace,
    prefix: input.prefix,
    respectModel: input.respectModel === true,
    speed: input.speed,
    minMs: input.minMs,
    maxMs: input.maxMs,
  };
  const signal = context.interrupt();
  const startMs = clock.elapsedMs();
  const firstSeconds = pods[0]?.createdSeconds ?? 0;
  const arrivals = pods.map((pod) => ({
    afterMs: input.burst === true ? 0 : ((pod.createdSeconds - firstSeconds) * 1000) / input.speed,
    body: podToWorkload(pod, mapping),
  }));

  const audits = new AuditRounds(client, clock);
  const ended = new AbortController();
  const auditing = audits.run(3000, AbortSignal.any([signal, ended.signal]));
  // It is awaited below; until then a failure must not end the process.
  auditing.catch(() => undefined);
  terminal.remark(`Submitting ${arrivals.length} workloads.`);
  const submissions = await submitTrace(client, arrivals, { clock, concurrency: input.concurrency, signal });
  const submitMs = clock.elapsedMs() - startMs;
  terminal.remark(`Submitted in ${(submitMs / 1000).toFixed(1)} s; following.`);
  let told = startMs;
  const followed = await followTrace(client, new Set(submissions.flatMap((submission) => submission.id ?? [])), {
    clock,
    workspace: input.workspace,
    settleMs: input.settle * 1000,
    untilMs: startMs + input.timeout * 1000,
    signal,
    progress: (live) => {
      if (clock.elapsedMs() - told < 5000) return;
      told = clock.elapsedMs();
      terminal.remark(`${live} live after ${Math.round((told - startMs) / 1000)} s`);
    },
  });
  ended.abort();
  await auditing;
  await audits.once();
  if (signal.aborted) terminal.remark('Interrupted; what was submitted goes on.');

  const report = reportOfReplay({
    submissions,
    ...followed,
    submitMs,
    wallMs: clock.elapsedMs() - startMs,
    audit: { rounds: audits.rounds, findings: audits.findings },
  });
  const setting = { file: basename(input.file), mapping, burst: input.burst === true, concurrency: input.concurrency };
  const document = { ...setting, ...report };
  const records = followed.workloads.map((workload) => ({ ...workload, why: followed.whys.get(workload.id)?.sentence }));
  if (input.out !== undefined) await writeFile(input.out, `${JSON.stringify({ ...document, workloads: records }, undefined, 2)}\n`);
  answer(context, document, () => replayText(report, setting));
  if (signal.aborted) return exitCodes.interrupted;
  return report.audit.findings.length > 0 || report.unexplained.length > 0 ? exitCodes.failed : exitCodes.ok;
}

async function readTrace(input: ReplayInput): Promise<TracePod[]> {
  try {
    const pods = parsePodTrace(await readFile(input.file, 'utf8'), input.limit);
    if (pods.length > 0) return pods;
    throw new Error('it has no rows');
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new CommandFailure({
      code: 'bad-trace',
      exitCode: exitCodes.usage,
      what: `${input.file} cannot be replayed: ${why}.`,
      remedy: 'Give a pod list in the openb CSV format.',
      cause,
    });
  }
}

function tableOf(input: ReplayInput, gpus: readonly Gpu[]): ProfileTable {
  if (input.profiles !== undefined) {
    const table = parseProfileTable(input.profiles);
    if (table === undefined)
      throw usageFailure(`${JSON.stringify(input.profiles)} is no list of profiles.`, 'Write it as 1g.10gb=1,3g.40gb=3,7g.80gb=7.');
    return table;
  }
  for (const gpu of gpus) {
    const table =
      gpu.migCapable && gpu.memoryMiB !== undefined
        ? profilesOfDevice({ computeSlices: gpu.units.compute, memoryMiB: gpu.memoryMiB })
        : undefined;
    if (table !== undefined) return table;
  }
  throw usageFailure(
    'No GPU of this cluster can be cut, so shares cannot be mapped to slices.',
    'Name the profiles with --profiles, for example 1g.10gb=1,3g.40gb=3,7g.80gb=7.',
  );
}
