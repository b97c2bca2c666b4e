// The transcript of the README, run line by line. What differs from run to run (ids, times, readings) is masked.
// With ASTRAGO_WRITE_README=1 the outputs are written into it instead.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Installed } from '../world/installed.ts';
import { until } from '../world/until.ts';

const file = join(import.meta.dirname, '../../README.md');
const write = process.env['ASTRAGO_WRITE_README'] === '1';

interface Step {
  readonly command: string;
  readonly output: string;
}

/** The console block that begins with a detached start. */
function transcriptIn(text: string): string {
  const blocks = [...text.matchAll(/```console\n([\s\S]*?)```/g)].map((match) => match[1] ?? '');
  const found = blocks.find((block) => block.includes('--detach'));
  if (found === undefined) throw new Error('the README has no transcript');
  return found;
}

function stepsOf(transcript: string): readonly Step[] {
  return transcript
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const [command = '', ...output] = part.split('\n');
      return { command, output: output.join('\n').trim() };
    });
}

const masks: readonly (readonly [RegExp, string])[] = [
  [/(GPU|MIG)-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '$1-uuid'],
  [/127\.0\.0\.1:\d+/g, '127.0.0.1:port'],
  [/~\/\.local\/state\/astrago/g, 'DATA'],
  [/\b\d+(\.\d+)?(ms|s|m|h)\b/g, '#time'],
  [/\b\d+(C|W|Mi|%)(?![\w.])/g, '#$1'],
  [/ +/g, ' '],
];

function masked(text: string, data: string): string {
  return masks.reduce((result, [pattern, by]) => result.replaceAll(pattern, by), text.replaceAll(data, 'DATA')).trim();
}

/** What a reader does between two lines: wait until nothing moves any more. */
async function settled(installed: Installed): Promise<void> {
  await until(() => {
    const { items } = installed.json('./astrago ps') as { items: readonly { phase: string; reason?: string }[] };
    return items.every(
      (workload) => workload.phase === 'running' || (workload.phase === 'queued' && workload.reason !== 'PendingEvaluation'),
    );
  }, 'nothing moves any more');
}

describe('the transcript of the README', () => {
  it('works line by line', async () => {
    using installed = new Installed();
    const text = readFileSync(file, 'utf8');
    const transcript = transcriptIn(text);
    const seen: string[] = [];
    for (const { command, output } of stepsOf(transcript)) {
      const ran = installed.run(command.includes(' up ') ? `${command} --port 0` : command);
      expect([command, ran.code, ran.stderr.replace(/^Starting .*\n/, '')]).toEqual([command, 0, '']);
      seen.push(
        `$ ${command}\n${ran.stdout
          .trimEnd()
          .replaceAll(installed.data, '~/.local/state/astrago')
          .replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:8420')}\n`,
      );
      if (!write) expect(masked(ran.stdout, installed.data)).toBe(masked(output, installed.data));
      if (!command.includes(' down')) await settled(installed);
    }
    if (write)
      writeFileSync(
        file,
        text.replace(transcript, () => `${seen.join('\n')}`),
      );
  }, 120_000);
});
