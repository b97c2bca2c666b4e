// The doctor's senses on a real file system and real sockets.

import { appendFileSync, chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { createSecureServer, type Http2SecureServer } from 'node:http2';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileLedger } from '../ledger/file-ledger.ts';
import { unsealed } from '../ledger/seal.ts';
import { Scratch } from '../testing/scratch.ts';
import { TestAuthority } from '../testing/test-authority.ts';
import { lookAtLedger } from './checks/ledger-files.ts';
import { systemFiles } from './system-files.ts';
import { systemNetwork } from './system-network.ts';

let scratch: Scratch;
const open: (Server | Http2SecureServer)[] = [];
beforeEach(() => {
  scratch = new Scratch();
});
afterEach(async () => {
  for (const server of open.splice(0)) await new Promise<void>((resolve) => server.close(() => resolve()));
  await scratch[Symbol.asyncDispose]();
});

async function listening(server: Server | Http2SecureServer): Promise<string> {
  open.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Answers as a controller: HTTP/2 over TLS 1.3, no method known. */
async function controller(authority: TestAuthority, date = true): Promise<string> {
  const own = await authority.issue('controller');
  const server = createSecureServer({ cert: own.certificatePem, key: own.keyPem, minVersion: 'TLSv1.3' });
  server.on('stream', (stream) => {
    stream.respond({ ':status': 200, 'grpc-status': '12' }, { endStream: true, sendDate: date } as object);
  });
  return listening(server);
}

describe('files of a machine below a directory', () => {
  it('are told by what they are', async () => {
    const files = systemFiles(scratch.directory);
    mkdirSync(scratch.path('dir'), { mode: 0o750 });
    writeFileSync(scratch.path('dir', 'text'), 'words');
    chmodSync(scratch.path('dir'), 0o750);
    symlinkSync('pid:[1]', scratch.path('link'));

    expect(await files.look('/dir')).toEqual({ kind: 'there', mode: 0o750, uid: process.getuid?.(), directory: true });
    expect(await files.look('/dir/text')).toMatchObject({ directory: false });
    expect([await files.look('/none'), await files.look('/dir/text/under')]).toEqual([{ kind: 'absent' }, { kind: 'absent' }]);
    expect([await files.readText('/dir/text'), await files.readText('/none')]).toEqual(['words', undefined]);
    expect([await files.list('/dir'), await files.list('/none')]).toEqual([['text'], []]);
    expect([await files.link('/link'), await files.link('/dir')]).toEqual(['pid:[1]', undefined]);
    expect([await files.may('/dir/text', 'read'), await files.may('/dir/text', 'execute')]).toEqual([true, false]);
    expect([await files.opens('/dir/text'), await files.opens('/none')]).toEqual([true, false]);
    expect(await files.freeBytes('/dir')).toBeGreaterThan(0);
    expect(await files.freeBytes('/none')).toBeUndefined();
  });
});

describe('the ledger of an agent', () => {
  it('is read without being opened, and damage to it is told', async () => {
    const look = () => lookAtLedger(systemFiles(scratch.directory), '/ledger', (line) => unsealed(line) !== undefined);
    expect(await look()).toEqual({ kind: 'empty' });
    const ledger = await FileLedger.open({ directory: scratch.path('ledger'), bootId: 'b', nowMs: () => 1, tell: () => undefined });
    await ledger.putOrder({ epoch: 1, generation: 1, gpus: [], allocations: [] });
    await ledger.putVerdict('alloc_1', { kind: 'failed', failure: 'never-started', detail: 'x' });
    await ledger.intent('GPU-1' as never, 'create 1g.10gb@0');
    await ledger.outcome('GPU-1' as never, 'create 1g.10gb@0', 'done');

    expect(await look()).toEqual({ kind: 'readable', text: '2 lines of steps' });
    appendFileSync(scratch.path('ledger', 'steps.jsonl'), '{"torn');
    expect(await look()).toMatchObject({ kind: 'readable' });
    writeFileSync(
      scratch.path('ledger', 'order.json'),
      readFileSync(scratch.path('ledger', 'order.json'), 'utf8').replace('"epoch":1', '"epoch":2'),
    );
    expect(await look()).toEqual({ kind: 'damaged', text: 'order.json is damaged' });
    await ledger[Symbol.asyncDispose]();
  });
});

describe('a controller that is greeted', () => {
  it('is trusted by its authority, and tells its time', async () => {
    const authority = await TestAuthority.make();
    const address = await controller(authority);

    const greeting = await systemNetwork().greet(address, await authority.issue('node-1'));

    expect(greeting.kind).toBe('trusted');
    expect(Math.abs(Date.now() - ('dateMs' in greeting ? (greeting.dateMs ?? 0) : 0))).toBeLessThan(60_000);
    expect(await systemNetwork().greet(address, undefined)).toMatchObject({ kind: 'untried' });
  });

  it('of another cluster is not trusted', async () => {
    const address = await controller(await TestAuthority.make());
    const own = await (await TestAuthority.make()).issue('node-1');

    expect(await systemNetwork().greet(address, own)).toMatchObject({ kind: 'distrusted' });
  });

  it('that is not there, is silent, or has no port is unreachable', async () => {
    const silent = createServer((socket) => socket.on('error', () => undefined));
    const held: import('node:net').Socket[] = [];
    silent.on('connection', (socket) => held.push(socket));
    const address = await listening(silent);

    expect(await systemNetwork(100).greet(address, undefined)).toEqual({ kind: 'unreachable', reason: 'no answer within 0.1 s' });
    expect(await systemNetwork().greet('127.0.0.1:1', undefined)).toMatchObject({
      kind: 'unreachable',
      reason: expect.stringContaining('ECONNREFUSED'),
    });
    expect(await systemNetwork().greet('controller', undefined)).toEqual({ kind: 'unreachable', reason: 'controller is not host:port' });
    for (const socket of held) socket.destroy();
  });
});

describe('a port', () => {
  it('is free, or has an agent or another program behind it', async () => {
    const network = systemNetwork(2000);
    const agent = await listening(createHttp((_request, response) => response.end('astrago_build_info{version="0"} 1\n')));
    const other = await listening(createHttp((_request, response) => response.end('hello')));

    expect(await network.listens('127.0.0.1:0')).toBe('free');
    expect(await network.listens(agent)).toBe('agent');
    expect(await network.listens(other)).toBe('other');
    expect(await network.listens('203.0.113.1:9410')).toEqual({ refused: expect.stringContaining('EADDRNOTAVAIL') });
  });
});
