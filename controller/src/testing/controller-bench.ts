// A controller on a data directory of a test's own, and plain requests to it.
import { readFileSync, rmSync } from 'node:fs';
import type { ControllerConfig } from '../config.ts';
import { type RunningController, startController } from '../controller-process.ts';
import { TemporaryDirectory } from './temporary-directory.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** `undefined` for what is not JSON. */
  readonly json: unknown;
}

export interface Ask {
  readonly body?: unknown;
  readonly key?: string;
  /** Absent: the right one; `undefined`: none. */
  readonly token?: string | undefined;
}

export class ControllerBench implements AsyncDisposable {
  readonly #directory = new TemporaryDirectory();
  readonly #running = new Set<RunningController>();

  get adminToken(): string {
    return readFileSync(this.#directory.file('admin-token'), 'utf8').trim();
  }

  async start(): Promise<RunningController> {
    const config: ControllerConfig = {
      dataDirectory: this.#directory.path,
      httpBind: '127.0.0.1:0',
      joinBind: '127.0.0.1:0',
      agentsBind: '127.0.0.1:0',
      heartbeatPeriodMs: 1000,
      nodeUnreachableAfterMs: 10_000,
      nodeLostAfterMs: 60_000,
      auditPeriodMs: 5000,
      protectionMs: 60_000,
      enforcement: undefined,
      logLevel: 'silent',
    };
    const controller = await startController(config);
    this.#running.add(controller);
    return controller;
  }

  /** A second one beside the first, which still holds the ports for agents. */
  async startBeside(): Promise<RunningController> {
    rmSync(this.#directory.file('addresses.json'));
    return this.start();
  }

  async stop(controller: RunningController): Promise<void> {
    this.#running.delete(controller);
    await controller[Symbol.asyncDispose]();
  }

  async ask(controller: RunningController, method: string, path: string, ask: Ask = {}): Promise<Answer> {
    const token = 'token' in ask ? ask.token : this.adminToken;
    const response = await fetch(`${controller.url}${path}`, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(ask.key === undefined ? {} : { 'idempotency-key': ask.key }),
        ...(ask.body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(ask.body === undefined ? {} : { body: JSON.stringify(ask.body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json') === true;
    return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : undefined };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const controller of this.#running) await controller[Symbol.asyncDispose]();
    this.#directory[Symbol.dispose]();
  }
}
