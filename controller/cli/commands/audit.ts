import { answer, type CommandContext } from '../context.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { plural } from '../show/quantity.ts';
import { table } from '../show/table.ts';

export async function audit(context: CommandContext): Promise<ExitCode> {
  const client = await context.connect();
  const found = await client.auditInvariants();
  answer(context, found, () => {
    const looked = `${plural(found.allocations, 'live allocation')} checked now; ${plural(found.rounds, 'round')} since the start found ${found.findingsSinceStart}.`;
    if (found.findings.length === 0) return `No finding. ${looked}`;
    return `${table(
      ['INVARIANT', 'FINDING'],
      found.findings.map((finding) => [finding.invariant, finding.text]),
    )}\n${looked}`;
  });
  return found.findings.length === 0 ? exitCodes.ok : exitCodes.failed;
}
