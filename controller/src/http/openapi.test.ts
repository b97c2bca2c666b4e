import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ControllerBench } from '../testing/controller-bench.ts';

const Operation = z.object({
  operationId: z.string(),
  summary: z.string(),
  parameters: z
    .array(z.object({ name: z.string(), in: z.enum(['path', 'query', 'header']), required: z.boolean().optional() }))
    .default([]),
  responses: z.record(
    z.string().regex(/^([1-5]\d\d|[1-5]XX|default)$/),
    z.object({ description: z.string(), content: z.record(z.string(), z.object({ schema: z.unknown() })).optional() }),
  ),
});
const Document = z.object({
  openapi: z.literal('3.1.0'),
  info: z.object({ title: z.string(), version: z.string() }),
  paths: z.record(z.string().startsWith('/'), z.record(z.enum(['get', 'post', 'put']), Operation.optional())),
  components: z.object({ schemas: z.record(z.string(), z.unknown()), securitySchemes: z.record(z.string(), z.unknown()) }),
});

let bench: ControllerBench;
let raw: unknown;
let document: z.infer<typeof Document>;

beforeAll(async () => {
  bench = new ControllerBench();
  raw = (await bench.ask(await bench.start(), 'GET', '/api/openapi.json', { token: undefined })).json;
  document = Document.parse(raw);
});
afterAll(() => bench[Symbol.asyncDispose]());

function operations() {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.values(methods).flatMap((operation) => (operation === undefined ? [] : [{ path, operation }])),
  );
}

function* references(value: unknown): Generator<string> {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    if (key === '$ref' && typeof inner === 'string') yield inner;
    else yield* references(inner);
  }
}

describe('the OpenAPI document', () => {
  it('refers to nothing that it does not hold', () => {
    const held = new Set(Object.keys(document.components.schemas).map((name) => `#/components/schemas/${name}`));

    expect([...new Set(references(raw))].filter((reference) => !held.has(reference))).toEqual([]);
    expect(held).toContain('#/components/schemas/Problem');
  });

  it('names each operation once, and each parameter of its path as required', () => {
    const ids = operations().map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);

    for (const { path, operation } of operations()) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort();
      const declared = operation.parameters.filter((parameter) => parameter.in === 'path');
      expect(declared.map(({ name }) => name).sort()).toEqual(inPath);
      expect(declared.every(({ required }) => required === true)).toBe(true);
    }
  });

  it('says of each operation how it answers, and how it says no', () => {
    for (const { operation } of operations()) {
      const answers = Object.keys(operation.responses);
      expect(answers.filter((status) => status.startsWith('2'))).toHaveLength(1);
      expect(answers).toEqual(expect.arrayContaining(['4XX', '5XX']));
      expect(Object.keys(operation.responses['4XX']?.content ?? {})).toEqual(['application/problem+json']);
    }
  });

  it('says that output is text', () => {
    const logs = operations().find(({ operation }) => operation.operationId === 'workloadLogs');

    expect(Object.keys(logs?.operation.responses['200']?.content ?? {})).toEqual(['text/plain']);
  });
});
