import { cliVersion } from '../cli-version.ts';
import { answer, type CommandContext } from '../context.ts';

export function version(context: CommandContext): Promise<void> {
  const own = { version: cliVersion(), node: process.versions.node };
  answer(context, own, () => `astrago ${own.version} (node ${own.node})`);
  return Promise.resolve();
}
