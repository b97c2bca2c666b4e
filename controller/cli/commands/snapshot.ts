import { writeFile } from 'node:fs/promises';
import { answer, type CommandContext } from '../context.ts';

export async function snapshot(context: CommandContext, file: string): Promise<void> {
  const client = await context.connect();
  const saved = await client.getSnapshot();
  const text = JSON.stringify(saved);
  if (file === '-') return context.terminal.print(text);
  // Names of workloads and workspaces are nobody else's business.
  await writeFile(file, `${text}\n`, { mode: 0o600 });
  const { format, version, nowMs, dropped } = saved;
  answer(context, { file, bytes: text.length + 1, format, version, nowMs, dropped }, () =>
    [`Wrote ${file}. Decide on it anywhere with astrago decide ${file}.`, `Left out: ${dropped.join(', ')}.`].join('\n'),
  );
}
