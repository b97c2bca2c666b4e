import { join } from 'node:path';
import type { Files, LedgerState } from '../surroundings.ts';

/**
 * Whether the ledger's files hold what an agent can read, without opening it: a running agent has it to itself.
 * @param isWhole whether a line, or a file of one line, is as it was written.
 */
export async function lookAtLedger(files: Files, directory: string, isWhole: (line: string) => boolean): Promise<LedgerState> {
  const names = await files.list(directory);
  if (names.length === 0) return { kind: 'empty' };
  for (const name of ['order.json', 'verdicts.json'].filter((one) => names.includes(one))) {
    const text = await files.readText(join(directory, name));
    if (text === undefined) return { kind: 'damaged', text: `${name} cannot be read` };
    if (!isWhole(text.trimEnd())) return { kind: 'damaged', text: `${name} is damaged` };
  }
  const steps = ((await files.readText(join(directory, 'steps.jsonl'))) ?? '').split('\n').filter((line) => line !== '');
  // The last line may have been cut by a crash; the next agent goes on after it.
  if (steps.slice(0, -1).some((line) => !isWhole(line))) return { kind: 'damaged', text: 'steps.jsonl is damaged' };
  const aside = names.filter((name) => name.includes('.damaged-'));
  if (aside.length > 0) return { kind: 'mended', text: `${aside.join(', ')} ${aside.length === 1 ? 'was' : 'were'} damaged and set aside` };
  return { kind: 'readable', text: `${steps.length} lines of steps` };
}
