// Shapes of plain data, to be checked before anything is believed of it.

/** `undefined` where the value is of the shape; otherwise what is wrong, and where. */
export type Shape = (value: unknown, path: string) => string | undefined;

function wrong(path: string, expected: string, value: unknown): string {
  const is = value === undefined ? 'missing' : value === null ? 'null' : Array.isArray(value) ? 'a list' : `a ${typeof value}`;
  return `${path === '' ? 'the document' : path} is ${is}, not ${expected}`;
}

export const text: Shape = (value, path) => (typeof value === 'string' ? undefined : wrong(path, 'a text', value));
export const number: Shape = (value, path) => (Number.isFinite(value) ? undefined : wrong(path, 'a number', value));
export const flag: Shape = (value, path) => (typeof value === 'boolean' ? undefined : wrong(path, 'true or false', value));

export function exactly(...allowed: readonly (string | number)[]): Shape {
  const names = allowed.map((one) => JSON.stringify(one)).join(' or ');
  return (value, path) =>
    allowed.some((one) => one === value)
      ? undefined
      : typeof value === 'string' || typeof value === 'number'
        ? `${path} is ${JSON.stringify(value)}, not ${names}`
        : wrong(path, names, value);
}

export function optional(shape: Shape): Shape {
  return (value, path) => (value === undefined ? undefined : shape(value, path));
}

export function list(of: Shape): Shape {
  return (value, path) => {
    if (!Array.isArray(value)) return wrong(path, 'a list', value);
    for (const [at, item] of value.entries()) {
      const fault = of(item, `${path}[${at}]`);
      if (fault !== undefined) return fault;
    }
    return undefined;
  };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whatever the keys are called. */
export function mapOf(of: Shape): Shape {
  return (value, path) => {
    if (!isRecord(value)) return wrong(path, 'an object', value);
    for (const [key, item] of Object.entries(value)) {
      const fault = of(item, `${path}.${key}`);
      if (fault !== undefined) return fault;
    }
    return undefined;
  };
}

/** At least these keys; what else is there is kept as it is. */
export function object(shapes: Readonly<Record<string, Shape>>): Shape {
  return (value, path) => {
    if (!isRecord(value)) return wrong(path, 'an object', value);
    for (const [key, shape] of Object.entries(shapes)) {
      const fault = shape(value[key], path === '' ? key : `${path}.${key}`);
      if (fault !== undefined) return fault;
    }
    return undefined;
  };
}

/** An object whose `kind` says which further keys it has. */
export function byKind(kinds: Readonly<Record<string, Readonly<Record<string, Shape>>>>): Shape {
  const kind = object({ kind: exactly(...Object.keys(kinds)) });
  return (value, path) => kind(value, path) ?? object(kinds[(value as { readonly kind: string }).kind] ?? {})(value, path);
}
