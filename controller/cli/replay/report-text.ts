import { humanDuration } from '../show/human-time.ts';
import { facts } from '../show/table.ts';
import type { Mapping } from './pod-to-workload.ts';
import type { ReplayReport, Spread } from './report.ts';

export interface ReplaySetting {
  readonly file: string;
  readonly mapping: Mapping;
  readonly burst: boolean;
  readonly concurrency: number;
}

export function replayText(report: ReplayReport, setting: ReplaySetting): string {
  const { mapping } = setting;
  const list = (counts: Readonly<Record<string, number>>): string => {
    const entries = Object.entries(counts);
    return entries.length === 0 ? '0' : entries.map(([word, count]) => `${count} ${word}`).join(', ');
  };
  const arrivals = setting.burst ? `as fast as the API takes them, ${setting.concurrency} at a time` : `recorded times / ${mapping.speed}`;
  return facts([
    ['trace', `${setting.file}, ${report.rows} rows`],
    [
      'mapping',
      `a share of one GPU to the smallest of ${mapping.table.profiles.map((entry) => `${entry.profile} (${entry.computeSlices}/${mapping.table.computeSlices})`).join(', ')} with enough compute; whole GPUs, CPU and memory as recorded; models ${mapping.respectModel ? 'as recorded' : 'ignored'}`,
    ],
    ['run times', `recorded / ${mapping.speed}, at least ${mapping.minMs} ms, at most ${mapping.maxMs} ms; the command is sleep`],
    ['arrivals', arrivals],
    ['submitted', report.submitted],
    ['refused', list(report.refused)],
    ['ended', list(report.ended)],
    ['end reasons', list(report.endReasons)],
    ['waiting', list(report.waiting)],
    ['unexplained', report.unexplained.length === 0 ? '0' : `${report.unexplained.length}: ${report.unexplained.slice(0, 10).join(', ')}`],
    ['submissions/s', report.submissionsPerSecond],
    ['placements/s', report.placementsPerSecond ?? '--'],
    ['submit to placed', spreadText(report.submitToPlacedMs)],
    ['submit to running', spreadText(report.submitToRunningMs)],
    [
      'audit',
      `${report.audit.rounds} rounds, ${report.audit.findings.length} findings${report.audit.findings.map((finding) => `\n    ${finding}`).join('')}`,
    ],
    [
      'first to last',
      report.workMs === undefined ? undefined : `${humanDuration(report.workMs)} from the first submission to the last end`,
    ],
    ['wall time', humanDuration(report.wallMs)],
  ]);
}

function spreadText(spread: Spread | undefined): string {
  return spread === undefined
    ? '--'
    : `p50 ${humanDuration(spread.p50)}, p99 ${humanDuration(spread.p99)}, max ${humanDuration(spread.max)} (${spread.count} measured)`;
}
