// A small HTTP server with the routes of the real API, for tests: handlers by route name, everything else is not found.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type ProblemCode, problemCodes, type Route, type RouteName, routes } from '@astrago/api';

export interface Received {
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly body: unknown;
  readonly headers: IncomingMessage['headers'];
  /** For breaking a connection. */
  readonly response: ServerResponse;
}

/** A value is answered as JSON, an async iterable is streamed, and `undefined` means that the handler answered itself. */
export type Handlers = { readonly [Name in RouteName]?: (received: Received) => unknown };

export class Refusal extends Error {
  readonly code: ProblemCode;
  readonly more: Readonly<Record<string, unknown>>;
  constructor(code: ProblemCode, detail: string, more: Readonly<Record<string, unknown>> = {}) {
    super(detail);
    this.code = code;
    this.more = more;
  }
}

export interface ApiServer extends AsyncDisposable {
  readonly url: string;
}

export async function startApiServer(handlers: Handlers, bind = { port: 0, host: '127.0.0.1' }): Promise<ApiServer> {
  const server = createServer((request, response) => {
    void answer(handlers, request, response);
  });
  await new Promise<void>((resolve) => server.listen(bind.port, bind.host, resolve));
  return {
    url: `http://${bind.host}:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(handlers: Handlers, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const target = new URL(request.url ?? '/', 'http://localhost');
  try {
    const found = match(request.method ?? '', target.pathname);
    const handler = found === undefined ? undefined : handlers[found.name];
    if (found === undefined || handler === undefined) throw new Refusal('not-found', `There is no ${target.pathname}.`);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString('utf8');
    const value = await handler({
      params: found.params,
      query: target.searchParams,
      body: text === '' ? undefined : JSON.parse(text),
      headers: request.headers,
      response,
    });
    if (value === undefined) return;
    const route: Route = routes[found.name];
    if (route.text === true) {
      response.writeHead(200, { 'content-type': 'text/plain' });
      for await (const chunk of value as AsyncIterable<string>) response.write(chunk);
      response.end();
    } else send(response, route.status ?? 200, value);
  } catch (failure) {
    if (!(failure instanceof Refusal)) return void response.destroy();
    const { status, title } = problemCodes[failure.code];
    send(response, status, {
      type: `urn:astrago:problem:${failure.code}`,
      title,
      status,
      code: failure.code,
      detail: failure.message,
      ...failure.more,
    });
  }
}

function match(method: string, path: string): { readonly name: RouteName; readonly params: Record<string, string> } | undefined {
  for (const [name, route] of Object.entries(routes)) {
    const pattern = new RegExp(`^${route.path.replace(/\{(\w+)\}/g, '(?<$1>[^/]+)')}$`);
    const matched = route.method === method ? pattern.exec(path) : null;
    if (matched !== null)
      return {
        name: name as RouteName,
        params: Object.fromEntries(Object.entries(matched.groups ?? {}).map(([key, value]) => [key, decodeURIComponent(value)])),
      };
  }
  return undefined;
}

function send(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': status < 400 ? 'application/json' : 'application/problem+json' });
  response.end(JSON.stringify(value));
}
