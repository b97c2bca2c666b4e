// `nvidia-smi -q -x`: the only listing that says which instance a process is in, and what a slice measures.
import { type GpuUuid, parseGpuUuid } from '@astrago/shared/domain/ids';
import { XMLParser, XMLValidator } from 'fast-xml-parser';
import type { GpuMeasure, GpuSample, GpuWords, SliceMeasure, SliceSample } from '#core/telemetry/sample';
import { logMeasures, logSliceMeasures, logWords } from './fields/log-catalogue.ts';
import { combine, type Recipe, readGpuValue, readSliceValue } from './fields/recipe.ts';
import { readWords } from './fields/words.ts';
import { type Parsed, parsed, unreadable } from './parsed.ts';
import { type PrintedMode, printedAmount, printedDriverVersion, printedId, printedMode, printedWord } from './printed-value.ts';

export interface LoggedGpu {
  readonly uuid: GpuUuid;
  readonly pciBusId: string;
  readonly model: string | undefined;
  readonly migMode: PrintedMode;
  /** The mode after the next reset. */
  readonly migPendingMode: PrintedMode;
  readonly memoryMiB: number | undefined;
  /** It is still in the log, where it says so in place of its values. */
  readonly isLost: boolean;
  readonly values: GpuSample['values'];
  readonly words: GpuWords;
  readonly migDevices: readonly LoggedMigDevice[];
  readonly processes: readonly LoggedProcess[];
}

export interface LoggedMigDevice {
  readonly index: number;
  readonly gpuInstanceId: number;
  readonly computeInstanceId: number;
  /** Memory is of the GPU instance, repeated for each of its compute instances. */
  readonly values: SliceSample['values'];
}

export interface LoggedProcess {
  readonly pid: number;
  /** `C`, `G`, `C+G`, `M+C`; absent where not printed. */
  readonly type: string | undefined;
  readonly name: string;
  readonly gpuInstanceId: number | undefined;
  readonly computeInstanceId: number | undefined;
  readonly usedMemoryMiB: number | undefined;
}

export interface DeviceLog {
  readonly driverVersion: string | undefined;
  readonly gpus: readonly LoggedGpu[];
}

const many: ReadonlySet<string> = new Set(['gpu', 'mig_device', 'process_info']);
const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  parseTagValue: false,
  parseAttributeValue: false,
  ignoreDeclaration: true,
  isArray: (name) => many.has(name),
});

/** Most of a log, and none of our business. */
const supportedClocks = /<supported_clocks>[\s\S]*?<\/supported_clocks>/g;

/**
 * Whoever runs a process chooses its name, and it is not certain that every driver escapes it: unescaped, a name
 * could make the log unreadable or add processes to it. A name is therefore all of its line.
 */
const processName = /^(\s*<process_name>)(.*)(<\/process_name>\s*)$/gm;

function escaped(name: string): string {
  return name
    .replace(/&(?!(?:amp|lt|gt|quot|apos|#\d{1,7});)/g, '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;');
}

/** An element with its children by name; text where it has none, a list where there may be several. */
export type LogNode = Readonly<Record<string, unknown>>;

export function parseDeviceLog(text: string): Parsed<DeviceLog> {
  let root: LogNode | undefined;
  try {
    const safe = text
      .replace(processName, (_line, open: string, name: string, close: string) => `${open}${escaped(name)}${close}`)
      .replace(supportedClocks, '');
    const valid = XMLValidator.validate(safe);
    if (valid !== true) return unreadable(`not XML: ${valid.err.msg}`);
    root = child(parser.parse(safe), 'nvidia_smi_log');
  } catch (thrown) {
    return unreadable(`not XML: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
  if (root === undefined) return unreadable('no nvidia_smi_log');
  return readDeviceTree(root);
}

/** The log below its root. */
export function readDeviceTree(root: LogNode): Parsed<DeviceLog> {
  const gpus: LoggedGpu[] = [];
  for (const node of childrenOf(root, 'gpu')) {
    const gpu = readGpu(node);
    if (typeof gpu === 'string') return unreadable(gpu);
    gpus.push(gpu);
  }
  return parsed({
    driverVersion: printedDriverVersion(textOf(root, 'driver_version')) ?? printedDriverVersion(textOf(root, 'kmd_version')),
    gpus,
  });
}

/** A sentence where something that has to be there is not. */
function readGpu(node: LogNode): LoggedGpu | string {
  const uuid = parseGpuUuid(textOf(node, 'uuid'));
  if (uuid === undefined) return `a GPU without a UUID: ${textOf(node, '@id')}`;
  const migDevices: LoggedMigDevice[] = [];
  for (const device of childrenOf(child(node, 'mig_devices'), 'mig_device')) {
    const index = printedId(textOf(device, 'index'));
    const gpuInstanceId = printedId(textOf(device, 'gpu_instance_id'));
    const computeInstanceId = printedId(textOf(device, 'compute_instance_id'));
    if (index === undefined || gpuInstanceId === undefined || computeInstanceId === undefined)
      return `a MIG device of ${uuid} without its ids`;
    migDevices.push({
      index,
      gpuInstanceId,
      computeInstanceId,
      values: sliceValues(device),
    });
  }
  const processes: LoggedProcess[] = [];
  for (const process of childrenOf(child(node, 'processes'), 'process_info')) {
    const pid = printedId(textOf(process, 'pid'));
    // A process that cannot be read is still one: leaving it out would call its GPU idle.
    if (pid === undefined) return `a process on ${uuid} without a pid`;
    processes.push({
      pid,
      type: printedWord(textOf(process, 'type')),
      name: textOf(process, 'process_name'),
      gpuInstanceId: printedId(textOf(process, 'gpu_instance_id')),
      computeInstanceId: printedId(textOf(process, 'compute_instance_id')),
      usedMemoryMiB: printedAmount(textOf(process, 'used_memory')),
    });
  }
  return {
    uuid,
    pciBusId: textOf(node, '@id'),
    model: printedWord(textOf(node, 'product_name')),
    // Not printed before there was MIG.
    migMode: printedMode(child(node, 'mig_mode') === undefined ? 'N/A' : textOf(child(node, 'mig_mode'), 'current_mig')),
    migPendingMode: printedMode(child(node, 'mig_mode') === undefined ? 'N/A' : textOf(child(node, 'mig_mode'), 'pending_mig')),
    memoryMiB: printedAmount(textOf(child(node, 'fb_memory_usage'), 'total')),
    isLost: ['fb_memory_usage/total', 'fb_memory_usage/used', 'utilization/gpu_util'].some((path) => lost.test(textAt(node, path))),
    values: gpuValues(node),
    words: readWords((word) => textAt(node, logWords[word])),
    migDevices,
    processes,
  };
}

const lost = /^\[?GPU is lost\]?$/i;

function gpuValues(node: LogNode): GpuSample['values'] {
  const values: Partial<Record<GpuMeasure, number>> = {};
  for (const [measure, recipes] of Object.entries(logMeasures) as [GpuMeasure, readonly Recipe[]][]) {
    for (const recipe of recipes) {
      const value = cook(node, recipe, (text) => readGpuValue(measure, text));
      if (value === undefined) continue;
      values[measure] = value;
      break;
    }
  }
  return values;
}

function sliceValues(node: LogNode): SliceSample['values'] {
  const values: Partial<Record<SliceMeasure, number>> = {};
  for (const [measure, recipe] of Object.entries(logSliceMeasures) as [SliceMeasure, Recipe][]) {
    const value = cook(node, recipe, (text) => readSliceValue(measure, text));
    if (value !== undefined) values[measure] = value;
  }
  return values;
}

function cook(node: LogNode, recipe: Recipe, read: (text: string) => number | undefined): number | undefined {
  const values = recipe.of.flatMap((paths) => {
    const text = paths.map((path) => textAt(node, path)).find((printed) => printed !== '');
    return text === undefined ? [] : (read(text) ?? []);
  });
  return combine(recipe.how, values);
}

/** The text at a path such as `fb_memory_usage/used`, where `*` is any element between; empty where there is none. */
function textAt(node: LogNode, path: string): string {
  const names = path.split('/');
  const leaf = names.pop() ?? '';
  let at: LogNode | undefined = node;
  for (const name of names) {
    const parent: LogNode | undefined = at;
    const step: string | undefined = name === '*' ? Object.keys(parent ?? {}).find((own) => textOf(child(parent, own), leaf) !== '') : name;
    at = step === undefined ? undefined : child(parent, step);
  }
  return textOf(at, leaf);
}

function isNode(value: unknown): value is LogNode {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function child(node: unknown, name: string): LogNode | undefined {
  const value = isNode(node) && Object.hasOwn(node, name) ? node[name] : undefined;
  return isNode(value) ? value : undefined;
}

/** An element without children of its own counts as an empty node, so that it is missed and not skipped. */
function childrenOf(node: LogNode | undefined, name: string): readonly LogNode[] {
  const value = node !== undefined && Object.hasOwn(node, name) ? node[name] : undefined;
  return Array.isArray(value) ? value.map((item: unknown) => (isNode(item) ? item : {})) : [];
}

function textOf(node: LogNode | undefined, name: string): string {
  const value = node !== undefined && Object.hasOwn(node, name) ? node[name] : undefined;
  return typeof value === 'string' ? value.trim() : '';
}
