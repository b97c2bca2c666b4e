import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const fixtures = join(import.meta.dirname, '..', '..', '..', 'test', 'fixtures', 'nvidia');

/** What a real machine printed, from the repository's fixtures. */
export function recorded(path: string): string {
  return readFileSync(join(fixtures, path), 'utf8');
}

/** The answer that a terminal transcript shows below the n-th time a command was typed. */
export function answerTo(transcript: string, command: string, nth = 0): string {
  const lines = transcript.split('\n');
  const isPrompt = (line: string): boolean => /^(\(base\) \S+\$|\$|#+) /.test(line);
  const typed = lines.flatMap((line, at) => {
    const text = line.replace(/\s{2,}\[.*$/, '').trimEnd();
    return isPrompt(line) && text.replace(/^.*?[$#] (sudo )?nvidia-smi ?/, '') === command ? [at] : [];
  });
  const from = typed[nth];
  if (from === undefined) throw new Error(`the transcript has no ${nth + 1}. "${command}"`);
  const answer: string[] = [];
  for (const line of lines.slice(from + 1)) {
    if (isPrompt(line)) break;
    if (!line.startsWith('[sudo]') && !line.startsWith('  [')) answer.push(line);
  }
  return comparable(answer.join('\n'));
}

/** Without what differs from machine to machine: UUIDs, bus ids, time; and without trailing blanks. */
export function comparable(text: string): string {
  return text
    .replace(/(GPU|MIG)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '$1-uuid')
    .replace(/[0-9A-F]{8}:[0-9A-F]{2}:[0-9A-F]{2}\.0/g, 'bus')
    .replace(/^\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4} *$/gm, 'time')
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
    .replace(/\n+$/, '');
}
