import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import swagger from '@fastify/swagger';
import { Problem, type Route, type RouteName, routes } from '@astrago/api';
import fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyReply, type FastifyRequest, type RouteShorthandOptions } from 'fastify';
import { jsonSchemaTransform, jsonSchemaTransformObject, serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { z } from 'zod';
import type { Agents } from '../app/ports.ts';
import { findWorkload, type HandlerDeps, makeHandlers } from './handlers.ts';
import { workloadOutput } from './logs.ts';
import type { ControllerMetrics } from './metrics.ts';
import { handleFailure, sendProblem } from './problems.ts';

export interface HttpDeps extends HandlerDeps {
  readonly agents: Agents;
  readonly metrics: ControllerMetrics;
  /** Whether the token opens the API, and as whom; `undefined` for no. */
  readonly actorOf: (token: string) => string | undefined;
  readonly log: FastifyBaseLogger;
}

const bodyMaxBytes = 4 * 1024 * 1024;

/** The API as the route table says, its OpenAPI document, and the three routes for machines. */
export async function buildServer(deps: HttpDeps): Promise<FastifyInstance> {
  const app = fastify({
    loggerInstance: deps.log,
    disableRequestLogging: true,
    bodyLimit: bodyMaxBytes,
    genReqId: () => randomBytes(8).toString('hex'),
    forceCloseConnections: true,
  }) as unknown as FastifyInstance;
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler(handleFailure);
  app.setNotFoundHandler((request, reply) => sendProblem(reply, request, 'not-found', `there is no ${request.method} ${request.url}; /api/openapi.json lists what there is`));
  app.addHook('onResponse', async (request, reply) => deps.metrics.answered(request.routeOptions.url ?? 'none', reply.statusCode, reply.elapsedTime));
  await app.register(helmet);
  await app.register(rateLimit, { global: false });
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'AstraGo', version: deps.version, description: 'Cut, share and schedule GPUs.' },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  });
  await app.register(async (api) => addApi(api, deps));
  addMachineRoutes(app, deps);
  return app;
}

function addApi(api: FastifyInstance, deps: HttpDeps): void {
  const handlers = makeHandlers(deps);
  const guess = api.createRateLimit({ max: 20, timeWindow: 10_000 });
  api.addHook('onRequest', async (request, reply) => {
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
    const actor = token === undefined ? undefined : deps.actorOf(token);
    if (actor !== undefined) {
      actors.set(request, actor);
      return undefined;
    }
    // Only wrong tokens count: guessing is slowed, work is not.
    const limit = token === undefined ? undefined : await guess(request);
    if (limit !== undefined && !limit.isAllowed && limit.isExceeded) return sendProblem(reply.header('retry-after', '10'), request, 'too-many-requests', 'too many wrong tokens; wait ten seconds');
    return sendProblem(reply, request, 'unauthenticated', 'send the header Authorization: Bearer TOKEN');
  });
  for (const name of Object.keys(routes) as RouteName[]) {
    const route: Route = routes[name];
    const options = { schema: schemaOf(name, route) } satisfies RouteShorthandOptions;
    const url = route.path.replaceAll(/\{(\w+)\}/g, ':$1');
    const handler = name === 'workloadLogs' ? logsHandler(deps) : jsonHandler(name, route, handlers);
    api.route({ method: route.method, url, ...options, handler });
  }
}

const actors = new WeakMap<FastifyRequest, string>();

function jsonHandler(name: Exclude<RouteName, 'workloadLogs'>, route: Route, handlers: ReturnType<typeof makeHandlers>) {
  // The table types each handler by its own route; a loop over all of them cannot.
  const handler = handlers[name] as (call: unknown) => unknown;
  return async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    const { params, query, body } = request;
    const answer = await handler({ actor: actors.get(request) ?? 'nobody', params, query, body, idempotencyKey: request.headers['idempotency-key'] });
    return reply.code(route.status ?? 200).send(answer);
  };
}

function logsHandler(deps: HttpDeps) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    const { workload } = request.params as { workload: string };
    const { workspace, follow } = request.query as { workspace?: string; follow: boolean };
    const record = findWorkload(deps.store, workload, workspace);
    const gone = new AbortController();
    request.raw.on('close', () => gone.abort());
    reply.raw.on('close', () => gone.abort());
    const output = Readable.from(workloadOutput({ store: deps.store, agents: deps.agents }, record, follow, gone.signal), { objectMode: false });
    return reply.type('text/plain; charset=utf-8').header('cache-control', 'no-store').send(output);
  };
}

function schemaOf(name: RouteName, route: Route): Record<string, unknown> {
  const ok = route.text === true ? z.string().describe('The output as it was written.') : route.response;
  return {
    operationId: name,
    summary: route.summary,
    tags: [route.path.split('/')[3] ?? 'api'],
    ...(route.params === undefined ? {} : { params: route.params }),
    ...(route.query === undefined ? {} : { querystring: route.query }),
    ...(route.headers === undefined ? {} : { headers: route.headers }),
    ...(route.body === undefined ? {} : { body: route.body }),
    response: route.text === true ? { '4xx': problemResponse } : { [route.status ?? 200]: ok, '4xx': problemResponse, '5xx': problemResponse },
  };
}

const problemResponse = { description: 'Why not, and what to do.', content: { 'application/problem+json': { schema: Problem } } };

function addMachineRoutes(app: FastifyInstance, deps: HttpDeps): void {
  const hidden = { schema: { hide: true } };
  app.get('/api/openapi.json', hidden, async (_request, reply) => reply.type('application/json').serializer(JSON.stringify).send(app.swagger()));
  app.get('/healthz', hidden, async (_request, reply) => reply.type('text/plain').serializer(String).send('ok\n'));
  app.get('/readyz', hidden, async (request, reply) => {
    try {
      deps.store.verifyWritable();
    } catch {
      return sendProblem(reply, request, 'unavailable', 'the store cannot be written');
    }
    return reply.type('text/plain').serializer(String).send('ready\n');
  });
  app.get('/metrics', hidden, async (_request, reply) => reply.type('text/plain; version=0.0.4; charset=utf-8').serializer(String).send(await deps.metrics.text(deps.controller)));
}
