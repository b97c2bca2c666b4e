// The text format of Prometheus, version 0.0.4.

export type FamilyType = 'gauge' | 'counter' | 'histogram';

/** One metric: all its series stand together below one help text. */
export interface Family<Label extends string = never> {
  readonly name: string;
  readonly type: FamilyType;
  /** Without a full stop at its end; also the text of the table in METRICS.md. */
  readonly help: string;
  readonly labels: readonly Label[];
}

/** A label without a value is left out: to Prometheus both are the same. */
export type LabelValues<Label extends string> = Readonly<Partial<Record<Label, string | undefined>>>;

/** Collects series and prints them family by family, in the order in which the families first came. */
export class Exposition {
  readonly #lines = new Map<string, string[]>();
  readonly #series = new Set<string>();

  /** A value that was not measured has no series (I9). Of two with the same labels the first stays: scrapers refuse a second. */
  add<Label extends string>(family: Family<Label>, labels: LabelValues<Label>, value: number | undefined): void {
    if (value === undefined || !Number.isFinite(value)) return;
    const series = `${family.name}${labelText(labels)}`;
    if (this.#series.has(series)) return;
    this.#series.add(series);
    this.line(family, `${series} ${value}`);
  }

  /** A line of a family that has more than one a series, such as a histogram. */
  line(family: Family<string>, line: string): void {
    const lines = this.#lines.get(family.name);
    if (lines !== undefined) lines.push(line);
    else this.#lines.set(family.name, [`# HELP ${family.name} ${escapeHelp(family.help)}.`, `# TYPE ${family.name} ${family.type}`, line]);
  }

  text(): string {
    let text = '';
    for (const lines of this.#lines.values()) text += `${lines.join('\n')}\n`;
    return text;
  }
}

export function labelText(labels: Readonly<Record<string, string | undefined>>): string {
  let text = '';
  for (const name in labels) {
    const value = labels[name];
    if (value !== undefined && value !== '') text += `${text === '' ? '{' : ','}${name}="${escapeValue(value)}"`;
  }
  return text === '' ? '' : `${text}}`;
}

function escapeValue(value: string): string {
  return /[\\"\n]/.test(value) ? value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n') : value;
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}
