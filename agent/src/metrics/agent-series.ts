import { type CollectorName, type CollectorStatus, type Collectors, readerStates, type TelemetryHealth } from '../app/telemetry-status.ts';
import type { Exposition, Family } from './exposition.ts';

export const buildInfo = {
  name: 'astrago_build_info',
  type: 'gauge',
  help: 'Version of the agent, always 1',
  labels: ['version'],
} as const satisfies Family<string>;

export const collectSuccess = {
  name: 'astrago_agent_last_collect_success',
  type: 'gauge',
  help: 'Whether the latest attempt of this collector succeeded, 0 or 1',
  labels: ['collector'],
} as const satisfies Family<string>;

export const collectSuccessTime = {
  name: 'astrago_agent_last_collect_success_timestamp_seconds',
  type: 'gauge',
  help: 'When this collector last succeeded',
  labels: ['collector'],
} as const satisfies Family<string>;

export const collectDuration = {
  name: 'astrago_agent_last_collect_duration_seconds',
  type: 'gauge',
  help: 'How long the latest attempt of this collector took',
  labels: ['collector'],
} as const satisfies Family<string>;

export const readerRestarts = {
  name: 'astrago_agent_reader_restarts_total',
  type: 'counter',
  help: 'How often a long-running reader of nvidia-smi was started again',
  labels: ['reader'],
} as const satisfies Family<string>;

export const readerState = {
  name: 'astrago_agent_reader_state',
  type: 'gauge',
  help: 'State of a long-running reader of nvidia-smi: 1 for the one it is in, 0 for the others',
  labels: ['reader', 'state'],
} as const satisfies Family<string>;

export const readerAbandoned = {
  name: 'astrago_agent_reader_abandoned_processes',
  type: 'gauge',
  help: 'Processes of a reader that could not be killed and are still there',
  labels: ['reader'],
} as const satisfies Family<string>;

export const hungCommands = {
  name: 'astrago_agent_hung_commands',
  type: 'gauge',
  help: 'Commands of a tool that did not end when they were killed and are still there; each keeps others away from its GPU',
  labels: ['tool'],
} as const satisfies Family<string>;

/** By the tool's name. */
export type HungCommands = Readonly<Record<string, number>>;

export const fieldSupported = {
  name: 'astrago_field_supported',
  type: 'gauge',
  help: 'Whether the driver knows a field that is asked for, 0 or 1; a measure of a field it does not know has no series',
  labels: ['field', 'source'],
} as const satisfies Family<string>;

export function describeAgent(
  out: Exposition,
  facts: {
    readonly version: string;
    readonly collectors: Collectors;
    readonly telemetry: TelemetryHealth | undefined;
    readonly hung: HungCommands;
  },
): void {
  out.add(buildInfo, { version: facts.version }, 1);
  for (const [collector, { succeeded, succeededAtMs, durationMs }] of collectorsIn(facts)) {
    out.add(collectSuccess, { collector }, succeeded ? 1 : 0);
    out.add(collectSuccessTime, { collector }, succeededAtMs === undefined ? undefined : succeededAtMs / 1000);
    out.add(collectDuration, { collector }, durationMs === undefined ? undefined : durationMs / 1000);
  }
  for (const [tool, count] of Object.entries(facts.hung)) out.add(hungCommands, { tool }, count);
  const { telemetry } = facts;
  if (telemetry === undefined) return;
  for (const [reader, health] of readersIn(telemetry)) {
    out.add(readerRestarts, { reader }, health.restarts);
    out.add(readerAbandoned, { reader }, health.abandoned);
    for (const state of readerStates) out.add(readerState, { reader, state }, health.state === state ? 1 : 0);
  }
  for (const { field, source, supported } of telemetry.fields) out.add(fieldSupported, { field, source }, supported ? 1 : 0);
}

function readersIn(telemetry: TelemetryHealth) {
  return [
    ['gpus', telemetry.gpus],
    ['devices', telemetry.details],
  ] as const;
}

/** A reader makes no attempts with a duration: it goes well unless something has failed since the last success. */
function collectorsIn(facts: {
  readonly collectors: Collectors;
  readonly telemetry: TelemetryHealth | undefined;
}): ReadonlyMap<CollectorName, Omit<CollectorStatus, 'durationMs'> & { readonly durationMs?: number }> {
  const all = new Map<CollectorName, Omit<CollectorStatus, 'durationMs'> & { readonly durationMs?: number }>(facts.collectors.all);
  for (const [name, { lastSuccessAtMs, lastError }] of facts.telemetry === undefined ? [] : readersIn(facts.telemetry))
    if (lastSuccessAtMs !== undefined || lastError !== undefined)
      all.set(name, { succeeded: lastError === undefined, succeededAtMs: lastSuccessAtMs });
  return all;
}
