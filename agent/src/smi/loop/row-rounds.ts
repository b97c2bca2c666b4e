import { type SampleLine, type SampleRow, sampleLineReader } from '../fields/sample-rows.ts';
import { type Framed, type Framer, LineCutter } from './framer.ts';

/**
 * Rounds of `--query-gpu` in loop mode. Nothing is printed between rounds, but rows come by ascending index: a row
 * whose index does not ascend begins the next round, as does a header. So as not to learn only then that a round is
 * complete, it is taken for complete as soon as it has as many rows as the one before. A row more is told with the
 * whole round again; one less, after a lost GPU, when {@link Framer.flush} is called.
 */
export class RowRounds implements Framer<readonly SampleRow[]> {
  readonly #lines = new LineCutter();
  readonly #read: (line: string) => SampleLine;
  #rows: SampleRow[] = [];
  #told = true;
  #expected = Number.POSITIVE_INFINITY;

  constructor(columns: readonly string[]) {
    this.#read = sampleLineReader(columns);
  }

  get open(): boolean {
    return !this.#told;
  }

  push(text: string): readonly Framed<readonly SampleRow[]>[] {
    return this.#lines.push(text).flatMap((line) => this.#take(line));
  }

  flush(): readonly Framed<readonly SampleRow[]>[] {
    if (this.#told) return [];
    this.#expected = this.#rows.length;
    return this.#tell();
  }

  end(): readonly Framed<readonly SampleRow[]>[] {
    const last = this.#lines.end();
    return [...(last === '' ? [] : this.#take(last)), ...this.flush()];
  }

  #take(line: string): readonly Framed<readonly SampleRow[]>[] {
    if (line.trim() === '') return [];
    const read = this.#read(line);
    if (read.kind === 'noise') return [read];
    if (read.kind === 'header') return this.#close();
    const before = this.#continues(read) ? [] : this.#close();
    this.#rows.push(read);
    this.#told = false;
    return this.#rows.length === this.#expected ? [...before, ...this.#tell()] : before;
  }

  #continues(row: SampleRow): boolean {
    const last = this.#rows.at(-1);
    if (last === undefined) return true;
    if (row.index === undefined || last.index === undefined) return this.#rows.every((own) => own.gpuUuid !== row.gpuUuid);
    return row.index > last.index;
  }

  #close(): readonly Framed<readonly SampleRow[]>[] {
    const told = this.#told ? [] : this.#tell();
    if (this.#rows.length > 0) this.#expected = this.#rows.length;
    this.#rows = [];
    return told;
  }

  #tell(): readonly Framed<readonly SampleRow[]>[] {
    this.#told = true;
    return [{ kind: 'round', round: [...this.#rows] }];
  }
}
