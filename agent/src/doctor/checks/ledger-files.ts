import { join } from 'node:path';
import type { Files, LedgerState } from '../surroundings.ts';

/** Whether the ledger's files hold what an agent can read, without opening it: a running agent has it to itself. */
export async function lookAtLedger(files: Files, directory: string): Promise<LedgerState> {
  const names = await files.list(directory);
  if (names.length === 0) return { kind: 'empty' };
  for (const name of ['order.json', 'verdicts.json'].filter((one) => names.includes(one))) {
    const text = await files.readText(join(directory, name));
    if (text === undefined) return { kind: 'damaged', text: `${name} cannot be read` };
    if (!isJson(text)) return { kind: 'damaged', text: `${name} is damaged` };
  }
  const steps = ((await files.readText(join(directory, 'steps.jsonl'))) ?? '').split('\n').filter((line) => line !== '');
  // The last line may have been cut by a crash; the next agent goes on after it.
  const bad = steps.slice(0, -1).filter((line) => !isJson(line)).length;
  return { kind: 'readable', text: `${steps.length} steps${bad === 0 ? '' : `, ${bad} of them unreadable`}` };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
