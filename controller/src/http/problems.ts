import { type Problem, type ProblemCode, problemCodes } from '@astrago/api';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { AgentUnavailable, LeadershipLost, StoreUnavailable } from '../app/ports.ts';
import { Refusal } from '../app/refusal.ts';

export function sendProblem(
  reply: FastifyReply,
  request: FastifyRequest,
  code: ProblemCode,
  detail: string,
  more: Partial<Problem> = {},
): FastifyReply {
  const { status, title } = problemCodes[code];
  if (code === 'unauthenticated') reply.header('www-authenticate', 'Bearer');
  const body: Problem = {
    type: `urn:astrago:problem:${code}`,
    title,
    status,
    code,
    detail,
    instance: `urn:astrago:request:${request.id}`,
    ...more,
  };
  return reply.code(status).type('application/problem+json').serializer(JSON.stringify).send(body);
}

/** The one place where failures become answers. What is not ours to tell is told by its request id only. */
export function handleFailure(failure: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (failure instanceof Refusal) {
    const { code, message, blockers, pointer } = failure;
    return sendProblem(reply, request, code, message, {
      ...(blockers === undefined ? {} : { blockers: [...blockers] }),
      ...(pointer === undefined ? {} : { errors: [{ pointer, detail: message }] }),
    });
  }
  if (failure instanceof StoreUnavailable || failure instanceof LeadershipLost) {
    request.log.error({ err: failure }, 'the store did not take a change');
    return sendProblem(reply, request, 'unavailable', 'the change could not be stored; nothing of it was kept, try again');
  }
  if (failure instanceof AgentUnavailable) {
    request.log.warn({ err: failure }, 'an agent did not give what was asked of it');
    return sendProblem(reply, request, 'agent-unreachable', `${failure.message}; try again when it does`);
  }
  if (hasZodFastifySchemaValidationErrors(failure)) {
    const errors = failure.validation.map((issue) => ({
      pointer: issue.instancePath === '' ? '/' : issue.instancePath,
      detail: issue.message ?? 'is not valid',
    }));
    return sendProblem(reply, request, 'invalid-request', errors.map((error) => `${error.pointer}: ${error.detail}`).join('; '), {
      errors,
    });
  }
  const status = failure.statusCode ?? 500;
  if (status === 429) return sendProblem(reply, request, 'too-many-requests', 'wait a moment and try again');
  if (status >= 400 && status < 500) return sendProblem(reply, request, 'invalid-request', failure.message);
  request.log.error({ err: failure }, 'a request failed');
  return sendProblem(reply, request, 'internal', `the log of the controller says more under request ${request.id}`);
}
