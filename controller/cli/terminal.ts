// Where a command writes. Colour only for people: not into pipes, not with NO_COLOR.
import pc from 'picocolors';

export type Colours = ReturnType<typeof pc.createColors>;

export interface Terminal {
  readonly colours: Colours;
  /** The answer, on standard output. */
  print(text: string): void;
  /** Progress and remarks, on standard error; never part of the answer. */
  remark(text: string): void;
  /** Raw bytes to standard output; resolves when there is room for more. */
  pour(bytes: Uint8Array): Promise<void>;
}

export function processTerminal(environment: Readonly<Record<string, string | undefined>>): Terminal {
  const coloured = process.stdout.isTTY === true && !environment['NO_COLOR'] && environment['TERM'] !== 'dumb';
  return {
    colours: pc.createColors(coloured),
    print: (text) => void process.stdout.write(`${text}\n`),
    remark: (text) => void process.stderr.write(`${text}\n`),
    pour: (bytes) =>
      new Promise((resolve) => {
        if (process.stdout.write(bytes)) resolve();
        else process.stdout.once('drain', resolve);
      }),
  };
}
