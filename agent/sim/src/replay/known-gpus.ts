import type { Bundle } from './bundle.ts';
import { csvQuestion } from './csv.ts';

/** What the bundle tells of one GPU. */
export interface KnownGpu {
  readonly index: number;
  readonly uuid: string;
  readonly busId: string | undefined;
}

/** From the listing `-L`; bus ids from the XML. */
export function knownGpus(bundle: Bundle): readonly KnownGpu[] {
  const stdoutOf = (args: string): string => {
    const command = bundle.commands.find((candidate) => candidate.args.join(' ') === args);
    return command ? bundle.load(command).stdout : '';
  };
  const buses = new Map([...gpuElements(stdoutOf('-q -x'))].map(({ uuid, busId }) => [uuid, busId]));
  return [...stdoutOf('-L').matchAll(/^GPU (\d+): .*\(UUID: (GPU-[0-9a-f-]+)\)/gm)].map(([, index, uuid = '']) => ({
    index: Number(index),
    uuid,
    busId: buses.get(uuid),
  }));
}

/** The `<gpu>` elements of a recorded XML document. */
export function gpuElements(xml: string): readonly { readonly text: string; readonly uuid: string; readonly busId: string }[] {
  return [...xml.matchAll(/^\t<gpu id="([^"]+)">\n[\s\S]*?^\t<\/gpu>\n\n?/gm)].map(([text, busId = '']) => ({
    text,
    busId,
    uuid: /<uuid>([^<]+)<\/uuid>/.exec(text)?.[1] ?? '',
  }));
}

/** `-i`: index, UUID or bus id. */
export function findGpu(gpus: readonly KnownGpu[], id: string): KnownGpu | undefined {
  return gpus.find((gpu) => id === String(gpu.index) || id === gpu.uuid || (gpu.busId !== undefined && sameBus(gpu.busId, id)));
}

/** Whether a row of a CSV answer is about the GPU; undefined where the row does not say. */
export function isAbout(gpu: KnownGpu, value: (column: string) => string | undefined): boolean | undefined {
  const uuid = value('uuid') ?? value('gpu_uuid');
  if (uuid !== undefined) return uuid === gpu.uuid;
  const index = value('index');
  if (index !== undefined) return index === String(gpu.index);
  const bus = value('pci.bus_id') ?? value('gpu_bus_id');
  return bus === undefined || gpu.busId === undefined ? undefined : sameBus(gpu.busId, bus);
}

function sameBus(a: string, b: string): boolean {
  const full = (id: string): string => id.toUpperCase().replace(/^([0-9A-F]{4}):([0-9A-F]{2}:)/, '0000$1:$2');
  return full(a) === full(b);
}

/** The part of an answer to a command without `-i` that is about one GPU; undefined where that cannot be told. */
export function partAbout(args: readonly string[], stdout: string, gpu: KnownGpu): string | undefined {
  const command = args.join(' ');
  if (csvQuestion(args)) return undefined;
  if (command === '-L') return linesFrom(stdout, /^GPU (\d+):/, gpu.index);
  if (command === 'mig -lgipp') return linesFrom(stdout, /^GPU +(\d+) Profile/, gpu.index);
  if (command === '-q -x') {
    const others = gpuElements(stdout).filter((element) => element.uuid !== gpu.uuid);
    if (others.length + 1 !== gpuElements(stdout).length) return undefined;
    return others.reduce((text, element) => text.replace(element.text, () => ''), stdout);
  }
  return /^mig -(lgip|lgi|lci|lcip)$/.test(command) ? boxRows(stdout, gpu.index) : undefined;
}

/** Lines that begin a GPU, and those below them. */
function linesFrom(stdout: string, begins: RegExp, index: number): string | undefined {
  let here = false;
  const kept = stdout.split('\n').filter((line) => {
    const begun = begins.exec(line);
    if (begun) here = Number(begun[1]) === index;
    return line !== '' && here;
  });
  return kept.length === 0 ? undefined : kept.map((line) => `${line}\n`).join('');
}

/** Rows of a box, each ended by a rule, whose first cell is the index. */
function boxRows(stdout: string, index: number): string | undefined {
  const lines = stdout.split('\n');
  const body = lines.findIndex((line) => /^\|=+\|$/.test(line)) + 1;
  if (body === 0) return undefined;
  const kept: string[] = [];
  let row: string[] = [];
  for (const line of lines.slice(body)) {
    row.push(line);
    if (!line.startsWith('+')) continue;
    if (Number(/^\|\s+(\d+)\s/.exec(row[0] ?? '')?.[1]) === index) kept.push(...row);
    row = [];
  }
  return kept.length === 0 ? undefined : [...lines.slice(0, body), ...kept, ''].join('\n');
}
