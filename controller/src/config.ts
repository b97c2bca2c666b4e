import { type EnforcementPolicy, parseEnforcementPolicy } from '@astrago/shared/domain/enforcement';
import { type Environment, required, whole } from '@astrago/shared/runtime/environment';

export interface ControllerConfig {
  readonly dataDirectory: string;
  readonly httpBind: string;
  readonly joinBind: string;
  readonly agentsBind: string;
  readonly heartbeatPeriodMs: number;
  readonly nodeUnreachableAfterMs: number;
  readonly nodeLostAfterMs: number;
  readonly auditPeriodMs: number;
  /** How long work runs before it may be stopped to make room for other work. */
  readonly protectionMs: number;
  /** What agents do about processes that are not where they belong; absent: they report them. */
  readonly enforcement: EnforcementPolicy | undefined;
  readonly logLevel: string;
}

export function readControllerConfig(environment: Environment): ControllerConfig {
  const dataDirectory = required(environment, 'ASTRAGO_DATA', 'the directory this controller keeps its state in');
  return {
    dataDirectory,
    httpBind: environment['ASTRAGO_HTTP_BIND'] ?? '127.0.0.1:8420',
    joinBind: environment['ASTRAGO_JOIN_BIND'] ?? '127.0.0.1:0',
    agentsBind: environment['ASTRAGO_AGENTS_BIND'] ?? '127.0.0.1:0',
    heartbeatPeriodMs: whole(environment, 'ASTRAGO_HEARTBEAT_PERIOD_MS', 1000),
    nodeUnreachableAfterMs: whole(environment, 'ASTRAGO_NODE_UNREACHABLE_AFTER_MS', 10_000),
    nodeLostAfterMs: whole(environment, 'ASTRAGO_NODE_LOST_AFTER_MS', 60_000),
    auditPeriodMs: whole(environment, 'ASTRAGO_AUDIT_PERIOD_MS', 5000),
    protectionMs: whole(environment, 'ASTRAGO_PROTECTION_MS', 60_000),
    enforcement: policy(environment),
    logLevel: environment['ASTRAGO_LOG_LEVEL'] ?? 'info',
  };
}

function policy(environment: Environment): EnforcementPolicy | undefined {
  const text = environment['ASTRAGO_ENFORCEMENT'];
  if (text === undefined || text === '') return undefined;
  const read = parseEnforcementPolicy(text);
  if (read.kind === 'fault') throw new Error(`ASTRAGO_ENFORCEMENT: ${read.text}`);
  return read.policy;
}
