// The documented exit codes, and which answer of the API gives which.
import type { ProblemCode } from '@astrago/api';

export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  notFound: 4,
  refused: 5,
  notAllowed: 6,
  workloadEndedBadly: 7,
  waitedTooLong: 124,
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export const exitCodeOfProblem: Readonly<Record<ProblemCode, ExitCode>> = {
  'invalid-request': exitCodes.usage,
  unauthenticated: exitCodes.notAllowed,
  forbidden: exitCodes.notAllowed,
  'not-found': exitCodes.notFound,
  'name-taken': exitCodes.refused,
  'already-ended': exitCodes.refused,
  'stale-proposal': exitCodes.refused,
  'layout-blocked': exitCodes.refused,
  'reservation-conflict': exitCodes.refused,
  'idempotency-conflict': exitCodes.refused,
  'impossible-layout': exitCodes.refused,
  'impossible-workspace': exitCodes.refused,
  'impossible-reservation': exitCodes.refused,
  'too-many-requests': exitCodes.failed,
  internal: exitCodes.failed,
  'agent-unreachable': exitCodes.failed,
  unavailable: exitCodes.failed,
};

export const exitCodesText = `Exit codes of astrago

    0  done
    1  failed; the message says why (also: audit with findings, replay with an unexplained workload)
    2  usage: the command line or the request is not valid
    3  no cluster found, or its controller does not answer
    4  there is no such node, GPU or workload
    5  refused: a conflict with what is there, such as a name in use or a layout blocked by workloads
    6  not logged in, or not allowed
    7  submit --wait: the workload ended without an exit code of its own (cancelled, stopped, lost)
  124  submit --wait: --timeout passed first; the workload goes on
  130  interrupted by Ctrl-C

submit --wait passes on the exit code of the workload itself, which may be any number from 0 to 255.
With --json the document printed tells the two apart: it is the workload, with exitCode and reason.
`;
