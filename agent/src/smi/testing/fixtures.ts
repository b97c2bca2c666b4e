import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../../../../test/fixtures/nvidia');

export function fixture(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

/** Paths of all recorded files below `directory`. */
export function fixturePaths(directory: string): readonly string[] {
  return readdirSync(join(root, directory), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .sort();
}

/** One section of a capture file: what follows `# $ nvidia-smi ...` up to the next banner. */
export function captured(path: string, command: RegExp): string {
  const found = sections(path).find((own) => command.test(own.command));
  if (found === undefined) throw new Error(`${path} holds no ${command}`);
  return found.text;
}

export function sections(path: string): readonly { readonly command: string; readonly text: string }[] {
  const parts = fixture(path).split(/^#{60,}\r?\n((?:# .*\r?\n)+)#{60,}\r?\n/m);
  const found: { readonly command: string; readonly text: string }[] = [];
  for (let at = 1; at + 1 < parts.length; at += 2) {
    const command = /^# \$ (.*?)\r?$/m.exec(parts[at] ?? '')?.[1];
    // Two blank lines end a section, and are not the command's.
    if (command !== undefined) found.push({ command, text: (parts[at + 1] ?? '').replace(/\n\s*$/, '\n') });
  }
  return found;
}

/** Commands and their output of a terminal transcript, prompts and notes dropped. */
export function transcript(path: string): readonly { readonly command: string; readonly text: string }[] {
  const found: { command: string; text: string }[] = [];
  for (const line of fixture(path).split('\n')) {
    const command = /(?:^|[$#] )(?:sudo )?nvidia-smi\b ?(.*?)(?:\s{2,}\[.*|\s{2,}\(.*)?$/.exec(line)?.[1];
    const isPrompt = /^(?:[$#]|###|\([a-z]+\) \S+:~\$)/.test(line);
    if (isPrompt && command !== undefined) found.push({ command: command.trim(), text: '' });
    else if (isPrompt) found.push({ command: '', text: '' });
    else if (!line.startsWith('[sudo]')) {
      const last = found.at(-1);
      if (last !== undefined) last.text += `${line}\n`;
    }
  }
  return found.filter((own) => own.command !== '');
}
