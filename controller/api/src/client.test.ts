import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock } from '@astrago/shared/runtime/clock';
import { describe, expect, it } from 'vitest';
import { ApiFailure, type Client, type ClientOptions, createClient, UnexpectedAnswer, Unreachable } from './client.ts';
import { routes } from './routes.ts';

type Answer = (request: IncomingMessage & { body: string }, response: ServerResponse) => void;

const node = {
  name: 'sim-1',
  state: 'ready',
  cordoned: false,
  labels: {},
  taints: [],
  reservations: [],
  gpuCount: 1,
  models: [],
  cpuMilliAllocated: 0,
  memoryMiBAllocated: 0,
  units: { compute: 7, memory: 8 },
  allocatedUnits: { compute: 0, memory: 0 },
  conditions: [],
};
const workload = {
  id: 'w1',
  name: 'train-a',
  workspace: 'default',
  phase: 'queued',
  command: ['true'],
  cpuMilli: 0,
  memoryMiB: 0,
  priority: 0,
  devices: [],
  enforcement: 'none',
  submittedAtMs: 1,
};

describe('the client', () => {
  it('has a method for every route', () => {
    expect(Object.keys(createClient({ url: 'http://127.0.0.1:1' })).sort()).toEqual(Object.keys(routes).sort());
  });

  it('puts parameters into the path, the query and the body, and the token into the header', async () => {
    const plan = {
      node: 'a/b',
      index: 0,
      uuid: 'GPU-1',
      applied: false,
      layout: { kind: 'whole' },
      keep: [],
      create: [],
      destroy: [],
      modeChange: 'none',
      text: '',
    };
    await using served = await serve(
      (request, response) => {
        expect(`${request.method} ${request.url}`).toBe('PUT /api/v1/nodes/a%2Fb/gpus/0/layout?dryRun=true');
        expect(request.headers.authorization).toBe('Bearer secret');
        expect(JSON.parse(request.body)).toEqual({ layout: 'whole' });
        json(response, 200, plan);
      },
      { token: 'secret' },
    );

    const answer = await served.client.setLayout({
      params: { node: 'a/b', gpu: '0' },
      query: { dryRun: 'true' },
      body: { layout: 'whole' },
    });

    expect(answer).toEqual(plan);
  });

  it('takes fields it does not know and leaves out what was not said', async () => {
    await using served = await serve((_request, response) => json(response, 200, { items: [{ ...node, fromTheFuture: 1 }] }));

    const { items } = await served.client.listNodes();

    expect(items).toEqual([node]);
  });

  it('throws the problem when the controller refuses', async () => {
    const problem = {
      type: 'urn:astrago:problem:layout-blocked',
      title: 'blocked',
      status: 409,
      code: 'layout-blocked',
      detail: 'In use.',
      blockers: ['train-a'],
    };
    await using served = await serve((_request, response) => json(response, 409, problem));

    const failure = await served.client.cordonNode({ params: { node: 'sim-1' } }).catch((thrown: unknown) => thrown);

    expect(failure).toBeInstanceOf(ApiFailure);
    expect((failure as ApiFailure).problem).toEqual(problem);
  });

  it('tells an answer of something else from one of this API', async () => {
    await using served = await serve((_request, response) => response.end('<html>welcome</html>'));

    await expect(served.client.getCluster()).rejects.toBeInstanceOf(UnexpectedAnswer);
  });

  it('submits once although the connection breaks before the answer', async () => {
    const keys: (string | undefined)[] = [];
    await using served = await serve(
      (request, response) => {
        keys.push(request.headers['idempotency-key'] as string | undefined);
        if (keys.length < 3) request.socket.destroy();
        else json(response, 201, workload);
      },
      { randomKey: () => 'key-1' },
    );

    const answer = await served.client.submitWorkload({ body: { name: 'train-a', command: ['true'] } });

    expect(answer.id).toBe('w1');
    expect(keys).toEqual(['key-1', 'key-1', 'key-1']);
  });

  it('gives up on a dead address after its tries', async () => {
    const waits: number[] = [];
    const clock = noting(waits);
    const client = createClient({ url: 'http://127.0.0.1:1', clock, retryDelaysMs: [5, 10] });

    await expect(client.getCluster()).rejects.toBeInstanceOf(Unreachable);

    expect(waits).toEqual([5, 10]);
  });

  it('waits as long as it is told when it asks too often', async () => {
    let asked = 0;
    const waits: number[] = [];
    const clock = noting(waits);
    await using served = await serve(
      (_request, response) => {
        asked += 1;
        if (asked > 1) return json(response, 200, { items: [] });
        response.setHeader('retry-after', '2');
        return json(response, 429, { type: 't', title: 't', status: 429, code: 'too-many-requests', detail: 'd' });
      },
      { clock },
    );

    await served.client.listNodes();

    expect(waits).toEqual([2000]);
  });

  it('does not try again when nothing comes in time', async () => {
    let asked = 0;
    await using served = await serve(
      () => {
        asked += 1;
      },
      { timeoutMs: 1000 },
    );

    await expect(served.client.getCluster()).rejects.toBeInstanceOf(Unreachable);

    expect(asked).toBe(1);
  });

  it('ends with the reason of its caller when it is aborted', async () => {
    const stop = new AbortController();
    await using served = await serve(() => stop.abort(new Error('enough')));

    await expect(served.client.getCluster({}, { signal: stop.signal })).rejects.toThrow('enough');
  });

  it('streams text and says when the stream broke', async () => {
    await using served = await serve((request, response) => {
      response.write('one\n');
      setTimeout(() => (request.url?.includes('follow=true') ? response.destroy() : response.end('two\n')), 10);
    });
    const read = async (follow: 'true' | 'false'): Promise<string> => {
      let text = '';
      for await (const chunk of served.client.workloadLogs({ params: { workload: 'w1' }, query: { follow } }))
        text += Buffer.from(chunk).toString();
      return text;
    };

    expect(await read('false')).toBe('one\ntwo\n');
    await expect(read('true')).rejects.toBeInstanceOf(Unreachable);
  });
});

async function serve(answer: Answer, options: Partial<ClientOptions> = {}): Promise<AsyncDisposable & { readonly client: Client }> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => answer(Object.assign(request, { body: Buffer.concat(chunks).toString() }), response));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return {
    client: createClient({ url, retryDelaysMs: [1, 1, 1], ...options }),
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Does not wait, and notes for how long it would have. */
function noting(waits: number[]): Clock {
  return {
    nowMs: () => 0,
    elapsedMs: () => 0,
    sleep: (ms) => {
      waits.push(ms);
      return Promise.resolve();
    },
  };
}

function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(value));
}
