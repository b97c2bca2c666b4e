import type { Environment } from '@astrago/shared/runtime/environment';
import type { AgentCommand } from './commands/command-line.ts';

export async function examine(
  _command: Extract<AgentCommand, { kind: 'doctor' }>,
  _environment: Environment,
  print: (text: string) => void,
): Promise<0 | 1> {
  print('not yet\n');
  return 1;
}
