import type { CommandContext } from './context.ts';

/** Runs a command's file and keeps the exit code it returns. */
export type Action = (work: (context: CommandContext) => Promise<number> | Promise<void>) => Promise<void>;
