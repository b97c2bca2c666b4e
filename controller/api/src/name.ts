import { z } from 'zod';

export const name = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'use lower-case letters, digits and dashes, 63 at most')
  .describe('A DNS label.');
