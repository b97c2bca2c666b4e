// A mig-parted file as text: YAML 1.2 (so JSON too), nothing that executes, no key twice. What is wrong is told with line and column.
import { readFile, stat } from 'node:fs/promises';
import { type PartedFault, type PartedFile, type PartedPath, pointerOf } from '@astrago/shared/domain/mig/parted/config';
import { readParted } from '@astrago/shared/domain/mig/parted/read';
import { type Document, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import { usageFailure } from '../failure.ts';
import { isMissing } from '../locate/json-file.ts';

/** The largest of NVIDIA's own is some tens of KiB. */
const bytesMax = 1024 * 1024;
/** More would push the first off the screen. */
const faultsShown = 10;

export interface PartedText {
  readonly file: PartedFile;
  /** What is wrong with the file for the cluster at hand, as a failure that points into the text. */
  readonly refusal: (faults: readonly PartedFault[]) => Error;
}

export async function readPartedFile(path: string): Promise<PartedText> {
  const size = await stat(path).then(
    (found) => found.size,
    (cause: unknown) => {
      if (isMissing(cause)) throw usageFailure(`There is no file ${path}.`, 'Give a mig-parted configuration file.');
      throw cause;
    },
  );
  if (size > bytesMax) throw usageFailure(`${path} has ${size} bytes.`, `A mig-parted configuration of more than ${bytesMax} is not read.`);
  return parsePartedText(await readFile(path, 'utf8'), path);
}

export function parsePartedText(text: string, name: string): PartedText {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, strict: true, prettyErrors: false, logLevel: 'error' });
  const place = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${name}:${line}:${col}`;
  };
  const [error] = document.errors;
  if (error !== undefined) throw usageFailure(`${place(error.pos[0])}: ${sentence(error.message)}`, 'Correct the file and run again.');
  const refusal = (faults: readonly PartedFault[]): Error => {
    const told = faults.slice(0, faultsShown).map(({ path, detail }) => {
      const pointer = pointerOf(path);
      return `${place(offsetOf(document, path))}: ${pointer === '' ? '' : `${pointer}: `}${sentence(detail)}`;
    });
    const more = faults.length > told.length ? [`And ${faults.length - told.length} more.`] : [];
    return usageFailure([...told, ...more].join('\n'), 'Correct the file and run again.');
  };
  if (document.has('kind') && document.has('data'))
    throw usageFailure(`${name} is a Kubernetes object.`, 'Give the configuration that is in its data, as a file of its own.');
  const read = readParted(plainValueOf(document, name));
  if (read.kind === 'faults') throw refusal(read.faults);
  return { file: read.file, refusal };
}

/** Aliases that would grow without bound are refused by the parser, as an exception. */
function plainValueOf(document: Document, name: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    throw usageFailure(`${name} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}.`, 'Write it without aliases.');
  }
}

/** Where a path leads in the text: to the key of a field, to the item of a list, or as far as it exists. */
function offsetOf(document: Document, path: PartedPath): number {
  let node: unknown = document.contents;
  let offset = rangeStart(node) ?? 0;
  for (const part of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => (isScalar(key) ? String(key.value) : String(key)) === String(part));
      offset = rangeStart(pair?.key) ?? offset;
      node = pair?.value;
    } else if (isSeq(node) && typeof part === 'number') {
      node = node.items[part];
      offset = rangeStart(node) ?? offset;
    } else break;
  }
  return offset;
}

function rangeStart(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}

function sentence(text: string): string {
  const trimmed = text.trim();
  return /[.!?]$/.test(trimmed) ? trimmed : `${trimmed}.`;
}
