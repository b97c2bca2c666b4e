// Every way the API says no: one table of code, HTTP status and title. Bodies are RFC 9457 problem details.
import { z } from 'zod';

export const problemCodes = {
  'invalid-request': { status: 400, title: 'The request is not valid' },
  unauthenticated: { status: 401, title: 'A valid token is needed' },
  forbidden: { status: 403, title: 'The token does not allow this' },
  'not-found': { status: 404, title: 'There is no such thing' },
  'name-taken': { status: 409, title: 'A live workload has this name' },
  'already-ended': { status: 409, title: 'The workload has ended' },
  'stale-proposal': { status: 409, title: 'The cluster has changed since the proposal was made' },
  'layout-blocked': { status: 409, title: 'Work that must keep its slice is in the way' },
  'reservation-conflict': { status: 409, title: 'Another reservation is in the way' },
  'idempotency-conflict': { status: 422, title: 'The idempotency key was used for another request' },
  'impossible-layout': { status: 422, title: 'The device cannot be cut like this' },
  'impossible-workspace': { status: 422, title: 'The workspaces would contradict each other' },
  'impossible-reservation': { status: 422, title: 'Nodes cannot be reserved like this' },
  'too-many-requests': { status: 429, title: 'Too many requests' },
  internal: { status: 500, title: 'Something unexpected happened' },
  'agent-unreachable': { status: 503, title: 'The agent of the node does not answer' },
  unavailable: { status: 503, title: 'New work cannot be stored now; running work is untouched' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ProblemCode = keyof typeof problemCodes;

export const Problem = z
  .object({
    type: z.string().describe('urn:astrago:problem: and the code.'),
    title: z.string(),
    status: z.int(),
    code: z.enum(Object.keys(problemCodes) as [ProblemCode, ...ProblemCode[]]),
    detail: z.string().describe('What is wrong here and what to do about it.'),
    instance: z.string().optional().describe('Request id.'),
    errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
    blockers: z.array(z.string()).optional().describe('Names of the workloads in the way.'),
  })
  .meta({ id: 'Problem' });
export type Problem = z.infer<typeof Problem>;
