// A client made from the route table by its types: one method a route, so a route that changes is a compile error at its callers.
// A failed connection is tried again: every route may be repeated, submitting because its idempotency key stays the same.
import { type Clock, systemClock } from '@astrago/shared/runtime/clock';
import type { z } from 'zod';
import { Problem } from './problem.ts';
import { type Route, type RouteName, routes } from './routes.ts';

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** For submitting: makes the call repeatable across processes. Random when absent. */
  readonly idempotencyKey?: string;
}

type Part<R, Key extends string, As extends string> = R extends { readonly [K in Key]: infer S extends z.ZodType }
  ? Record<never, never> extends z.input<S>
    ? { readonly [K in As]?: z.input<S> }
    : { readonly [K in As]: z.input<S> }
  : Record<never, never>;

export type RequestOf<Name extends RouteName> = Part<(typeof routes)[Name], 'params', 'params'> &
  Part<(typeof routes)[Name], 'query', 'query'> &
  Part<(typeof routes)[Name], 'body', 'body'>;

export type ResponseOf<Name extends RouteName> = (typeof routes)[Name] extends { readonly text: true }
  ? AsyncGenerator<Uint8Array, void, undefined>
  : Promise<z.output<(typeof routes)[Name]['response']>>;

type Arguments<Name extends RouteName> =
  Record<never, never> extends RequestOf<Name>
    ? [request?: RequestOf<Name>, options?: CallOptions]
    : [request: RequestOf<Name>, options?: CallOptions];

export type Client = { readonly [Name in RouteName]: (...given: Arguments<Name>) => ResponseOf<Name> };

/** The part of `fetch` that is used, so that a program may bring a lighter one. */
export type HttpFetch = (
  url: string,
  init: { method: string; headers: Record<string, string>; body?: string; signal: AbortSignal },
) => Promise<{
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  readonly body: AsyncIterable<Uint8Array> | null;
  text(): Promise<string>;
}>;

export interface ClientOptions {
  readonly url: string;
  readonly token?: string | undefined;
  readonly fetch?: HttpFetch;
  readonly clock?: Clock;
  readonly randomKey?: () => string;
  /** Waits between tries; their number is the number of repetitions. */
  readonly retryDelaysMs?: readonly number[];
  /** For one try, from sending to the whole answer. A stream has this long to begin. */
  readonly timeoutMs?: number;
}

/** The controller said no. */
export class ApiFailure extends Error {
  override name = 'ApiFailure';
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(`${problem.title}: ${problem.detail}`);
    this.problem = problem;
  }
}

/** Nothing answered, or the connection broke. */
export class Unreachable extends Error {
  override name = 'Unreachable';
  readonly url: string;
  constructor(url: string, facts: { readonly cause: unknown }) {
    super(`no answer from ${url}`, facts);
    this.url = url;
  }
}

/** Something answered, but not as this version of the API does. */
export class UnexpectedAnswer extends Error {
  override name = 'UnexpectedAnswer';
  readonly status: number;
  constructor(facts: { readonly status: number; readonly route: string; readonly cause?: unknown }) {
    super(`${facts.route} was answered with status ${facts.status} and a body that is not of this API`, { cause: facts.cause });
    this.status = facts.status;
  }
}

export function createClient(options: ClientOptions): Client {
  const caller = new Caller(options);
  const methods = Object.entries(routes as Record<string, Route>).map(([name, route]) => [
    name,
    (request: AnyRequest = {}, call: CallOptions = {}) =>
      route.text === true ? caller.stream(route, request, call) : caller.json(route, request, call),
  ]);
  // The names and the types come from the same table; the compiler cannot follow them through fromEntries.
  return Object.fromEntries(methods) as Client;
}

interface AnyRequest {
  readonly params?: Readonly<Record<string, unknown>>;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: unknown;
}

type Answer = Awaited<ReturnType<HttpFetch>>;

class Caller {
  readonly #url: string;
  readonly #token: string | undefined;
  readonly #fetch: HttpFetch;
  readonly #clock: Clock;
  readonly #randomKey: () => string;
  readonly #retryDelaysMs: readonly number[];
  readonly #timeoutMs: number;

  constructor(options: ClientOptions) {
    this.#url = options.url.replace(/\/+$/, '');
    this.#token = options.token;
    this.#fetch = options.fetch ?? ((url, init) => fetch(url, init));
    this.#clock = options.clock ?? systemClock;
    this.#randomKey = options.randomKey ?? (() => crypto.randomUUID());
    this.#retryDelaysMs = options.retryDelaysMs ?? [100, 300, 1000, 2000];
    this.#timeoutMs = options.timeoutMs ?? 30_000;
  }

  async json(route: Route, request: AnyRequest, call: CallOptions): Promise<unknown> {
    return this.#repeating(route, request, call, async (answer) => {
      const text = await answer.text();
      if (answer.status !== (route.status ?? 200)) throw failureOf(route, answer.status, text);
      const parsed = route.response.safeParse(parseJson(text));
      if (!parsed.success) throw new UnexpectedAnswer({ status: answer.status, route: route.path, cause: parsed.error });
      return parsed.data;
    });
  }

  async *stream(route: Route, request: AnyRequest, call: CallOptions): AsyncGenerator<Uint8Array, void, undefined> {
    const answer = await this.#repeating(route, request, call, async (opened) => {
      if (opened.status !== (route.status ?? 200)) throw failureOf(route, opened.status, await opened.text());
      return opened;
    });
    if (answer.body === null) return;
    try {
      yield* answer.body;
    } catch (cause) {
      call.signal?.throwIfAborted();
      throw new Unreachable(this.#url, { cause });
    }
  }

  async #repeating<T>(route: Route, request: AnyRequest, call: CallOptions, read: (answer: Answer) => Promise<T>): Promise<T> {
    const headers = this.#headers(route, request, call);
    for (let round = 0; ; round += 1) {
      call.signal?.throwIfAborted();
      const delayMs = this.#retryDelaysMs[round];
      const tried = await this.#once(route, request, headers, call, read);
      if ('value' in tried) return tried.value;
      if (delayMs === undefined || !tried.again) throw tried.failure;
      await this.#clock.sleep(tried.afterMs ?? delayMs, call.signal);
    }
  }

  async #once<T>(
    route: Route,
    request: AnyRequest,
    headers: Record<string, string>,
    call: CallOptions,
    read: (answer: Answer) => Promise<T>,
  ): Promise<Tried<T>> {
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(new Error(`no answer within ${this.#timeoutMs} ms`)), this.#timeoutMs);
    const signal = call.signal === undefined ? limit.signal : AbortSignal.any([call.signal, limit.signal]);
    try {
      const body = request.body === undefined ? {} : { body: JSON.stringify(request.body) };
      const answer = await this.#fetch(`${this.#url}${pathOf(route, request)}`, { method: route.method, headers, signal, ...body });
      if (answer.status === 429) {
        const seconds = Number(answer.headers.get('retry-after') ?? 'none');
        const afterMs = Number.isFinite(seconds) ? Math.min(10_000, seconds * 1000) : undefined;
        return { failure: failureOf(route, 429, await answer.text()), again: true, afterMs };
      }
      return { value: await read(answer) };
    } catch (failure) {
      call.signal?.throwIfAborted();
      if (failure instanceof ApiFailure || failure instanceof UnexpectedAnswer) return { failure, again: false };
      // A try that ran into its limit is not repeated: whoever waits has waited long enough.
      return { failure: new Unreachable(this.#url, { cause: failure }), again: !limit.signal.aborted };
    } finally {
      clearTimeout(timer);
    }
  }

  #headers(route: Route, request: AnyRequest, call: CallOptions): Record<string, string> {
    const headers: Record<string, string> = { accept: route.text === true ? 'text/plain' : 'application/json' };
    if (this.#token !== undefined) headers['authorization'] = `Bearer ${this.#token}`;
    if (request.body !== undefined) headers['content-type'] = 'application/json';
    if (route.headers !== undefined && 'idempotency-key' in route.headers.shape)
      headers['idempotency-key'] = call.idempotencyKey ?? this.#randomKey();
    return headers;
  }
}

type Tried<T> = { readonly value: T } | { readonly failure: Error; readonly again: boolean; readonly afterMs?: number | undefined };

function pathOf(route: Route, request: AnyRequest): string {
  const path = route.path.replace(/\{(\w+)\}/g, (_whole, name: string) => encodeURIComponent(String(request.params?.[name])));
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(request.query ?? {})) if (value !== undefined) query.set(name, String(value));
  return query.size === 0 ? path : `${path}?${query.toString()}`;
}

function failureOf(route: Route, status: number, text: string): ApiFailure | UnexpectedAnswer {
  const parsed = Problem.safeParse(parseJson(text));
  return parsed.success ? new ApiFailure(parsed.data) : new UnexpectedAnswer({ status, route: route.path, cause: parsed.error });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
