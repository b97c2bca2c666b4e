import { z } from 'zod';

/** A record that says of a key what is wrong with it, and not only that something is. */
export function recordOf<V extends z.ZodType>(key: z.ZodString, value: V) {
  return z.record(key, value, { error: (issue) => (issue.code === 'invalid_key' ? issue.issues[0]?.message : undefined) });
}
