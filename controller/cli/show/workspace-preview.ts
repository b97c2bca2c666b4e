import type { WorkspacePreview } from '@astrago/api';
import { table } from './table.ts';

/** The sentence, and a table of all that would fare otherwise. */
export function previewText(preview: WorkspacePreview): string {
  const { stopped, spared, started, heldBack, borrowed, owned, waitsOtherwise } = preview;
  const rows = [
    ...rowsOf(stopped, 'stopped', ({ beneficiary, cause, afterStops, startsAgain }) =>
      [
        `${cause} for ${beneficiary.name} of ${beneficiary.workspace}`,
        ...(afterStops ? ['after others'] : []),
        ...(startsAgain ? ['starts again'] : []),
      ].join(', '),
    ),
    ...rowsOf(spared, 'not stopped', () => 'runs on'),
    ...rowsOf(started, 'starts', (one) => `${one.afterStops ? 'after stops' : 'at once'}${one.borrowed ? ', borrowed' : ''}`),
    ...rowsOf(heldBack, 'does not start', ({ obstacle }) => `waits: ${obstacle}`),
    ...rowsOf(borrowed, 'borrowed', () => 'runs on'),
    ...rowsOf(owned, 'its own', () => 'runs on'),
    ...rowsOf(waitsOtherwise, 'waits', ({ before, after }) => `${after}, was ${before}`),
  ];
  return rows.length === 0 ? preview.sentence : `${preview.sentence}\n\n${table(['WORKLOAD', 'WORKSPACE', 'THEN', 'HOW'], rows)}`;
}

type Row = readonly [workload: string, workspace: string | undefined, outcome: string, how: string | undefined];

function rowsOf<T extends { readonly name: string; readonly workspace: string }>(
  { count, items }: { readonly count: number; readonly items: readonly T[] },
  outcome: string,
  how: (one: T) => string,
): readonly Row[] {
  const rows = items.map((one): Row => [one.name, one.workspace, outcome, how(one)]);
  return count > items.length ? [...rows, [`${count - items.length} more`, undefined, outcome, undefined]] : rows;
}
