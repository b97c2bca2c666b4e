import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { Problem, type Route, type RouteName, routes } from '@astrago/api';
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import swagger from '@fastify/swagger';
import fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
  type RouteShorthandOptions,
} from 'fastify';
import { jsonSchemaTransform, jsonSchemaTransformObject, serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { type Agents, LeadershipLost } from '../app/ports.ts';
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
/** For a client that does not take its answer while the server closes. */
const closeTimeoutMs = 2000;

/** The API as the route table says, its OpenAPI document, and the three routes for machines. */
export async function buildServer(deps: HttpDeps): Promise<FastifyInstance> {
  const app = fastify({
    loggerInstance: deps.log,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: bodyMaxBytes,
    genReqId: () => randomBytes(8).toString('hex'),
    // What is being answered is answered; streams end by the signal below.
    forceCloseConnections: 'idle',
  }) as unknown as FastifyInstance;
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler(handleFailure);
  app.setNotFoundHandler((request, reply) =>
    sendProblem(reply, request, 'not-found', `there is no ${request.method} ${request.url}; /api/openapi.json lists what there is`),
  );
  app.addHook('onResponse', async (request, reply) =>
    deps.metrics.answered(request.routeOptions.url ?? 'none', reply.statusCode, reply.elapsedTime),
  );
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
  const closing = new AbortController();
  app.addHook('preClose', async () => {
    closing.abort();
    setTimeout(() => app.server.closeAllConnections(), closeTimeoutMs).unref();
  });
  await app.register((api, _options, done) => {
    addApi(api, deps, closing.signal);
    done();
  });
  addMachineRoutes(app, deps);
  return app;
}

function addApi(api: FastifyInstance, deps: HttpDeps, closing: AbortSignal): void {
  const handlers = makeHandlers(deps);
  const guess = api.createRateLimit({ max: 20, timeWindow: 10_000 });
  api.addHook('onRequest', async (request, reply) => {
    const token = tokenOf(request);
    const actor = token === undefined ? undefined : deps.actorOf(token);
    if (actor !== undefined) {
      actors.set(request, actor);
      return undefined;
    }
    // Only wrong tokens count: guessing is slowed, work is not.
    const limit = token === undefined ? undefined : await guess(request);
    if (limit !== undefined && !limit.isAllowed && limit.isExceeded)
      return sendProblem(reply.header('retry-after', '10'), request, 'too-many-requests', 'too many wrong tokens; wait ten seconds');
    return sendProblem(reply, request, 'unauthenticated', 'send the header Authorization: Bearer TOKEN');
  });
  for (const name of Object.keys(routes) as RouteName[]) {
    const route: Route = routes[name];
    const options = { schema: schemaOf(name, route) } satisfies RouteShorthandOptions;
    const url = route.path.replaceAll(/\{(\w+)\}/g, ':$1');
    const handler = name === 'workloadLogs' ? logsHandler(deps, closing) : jsonHandler(name, route, handlers);
    api.route({ method: route.method, url, ...options, handler });
  }
}

const actors = new WeakMap<FastifyRequest, string>();

function tokenOf(request: FastifyRequest): string | undefined {
  return /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
}

function jsonHandler(name: Exclude<RouteName, 'workloadLogs'>, route: Route, handlers: ReturnType<typeof makeHandlers>) {
  // The table types each handler by its own route; a loop over all of them cannot.
  const handler = handlers[name] as (call: unknown) => unknown;
  return async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    const { params, query, body } = request;
    const answer = await handler({
      actor: actors.get(request) ?? 'nobody',
      params,
      query,
      body,
      idempotencyKey: request.headers['idempotency-key'],
    });
    return reply.code(route.status ?? 200).send(answer);
  };
}

function logsHandler(deps: HttpDeps, closing: AbortSignal) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    const { workload } = request.params as { workload: string };
    const { workspace, follow } = request.query as { workspace?: string; follow: boolean };
    const record = findWorkload(deps, workload, workspace);
    const gone = new AbortController();
    reply.raw.on('close', () => gone.abort());
    const signal = AbortSignal.any([gone.signal, closing]);
    const output = Readable.from(workloadOutput({ store: deps.store, agents: deps.agents }, record, follow, signal), { objectMode: false });
    if (follow) reply.header('connection', 'close');
    void reply.type('text/plain; charset=utf-8').header('cache-control', 'no-store').send(output);
    // Who follows work that has said nothing yet must not take the silence for no answer.
    if (follow) reply.raw.flushHeaders();
    return reply;
  };
}

function schemaOf(name: RouteName, route: Route): Record<string, unknown> {
  const ok = route.text === true ? textResponse : route.response;
  return {
    operationId: name,
    summary: route.summary,
    tags: [route.path.split('/')[3] ?? 'api'],
    ...(route.params === undefined ? {} : { params: route.params }),
    ...(route.query === undefined ? {} : { querystring: route.query }),
    ...(route.headers === undefined ? {} : { headers: route.headers }),
    ...(route.body === undefined ? {} : { body: route.body }),
    response: { [route.status ?? 200]: ok, '4xx': problemResponse, '5xx': problemResponse },
  };
}

const textResponse = { description: 'The output as it was written.', content: { 'text/plain': { schema: z.string() } } };
const problemResponse = { description: 'Why not, and what to do.', content: { 'application/problem+json': { schema: Problem } } };

function addMachineRoutes(app: FastifyInstance, deps: HttpDeps): void {
  const hidden = { schema: { hide: true } };
  app.get('/api/openapi.json', hidden, async (_request, reply) =>
    reply.type('application/json').serializer(JSON.stringify).send(app.swagger()),
  );
  app.get('/healthz', hidden, async (_request, reply) => reply.type('text/plain').serializer(String).send('ok\n'));
  app.get('/readyz', hidden, async (request, reply) => {
    try {
      deps.store.verifyWritable();
    } catch (failure) {
      const why = failure instanceof LeadershipLost ? 'another controller leads' : 'the store cannot be written';
      return sendProblem(reply, request, 'unavailable', why);
    }
    return reply.type('text/plain').serializer(String).send('ready\n');
  });
  app.get('/metrics', hidden, async (request, reply) => {
    const token = tokenOf(request);
    if (!isLoopback(request.ip) && (token === undefined || deps.actorOf(token) === undefined))
      return sendProblem(reply, request, 'unauthenticated', 'from another machine, metrics need the header Authorization: Bearer TOKEN');
    const text = await deps.metrics.text(deps.controller);
    return reply.type('text/plain; version=0.0.4; charset=utf-8').serializer(String).send(text);
  });
}

function isLoopback(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127\./.test(address);
}
