import type { Collectors, TelemetryStatus } from '../app/telemetry-status.ts';
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

export const abandonedCommands = {
  name: 'astrago_agent_abandoned_commands_total',
  type: 'counter',
  help: 'Commands of nvidia-smi that did not end when killed and were left behind',
  labels: [],
} as const satisfies Family<string>;

export const fieldSupported = {
  name: 'astrago_field_supported',
  type: 'gauge',
  help: 'Whether the driver knows a field that is asked for, 0 or 1; a measure of a field it does not know has no series',
  labels: ['field', 'source'],
} as const satisfies Family<string>;

export function describeAgent(
  out: Exposition,
  facts: { readonly version: string; readonly collectors: Collectors; readonly telemetry: TelemetryStatus | undefined },
): void {
  out.add(buildInfo, { version: facts.version }, 1);
  for (const [collector, { succeeded, succeededAtMs, durationMs }] of facts.collectors.all) {
    out.add(collectSuccess, { collector }, succeeded ? 1 : 0);
    out.add(collectSuccessTime, { collector }, succeededAtMs === undefined ? undefined : succeededAtMs / 1000);
    out.add(collectDuration, { collector }, durationMs / 1000);
  }
  const { telemetry } = facts;
  if (telemetry === undefined) return;
  for (const [reader, restarts] of telemetry.readerRestarts) out.add(readerRestarts, { reader }, restarts);
  out.add(abandonedCommands, {}, telemetry.abandonedCommands);
  for (const { field, source, supported } of telemetry.fields) out.add(fieldSupported, { field, source }, supported ? 1 : 0);
}
