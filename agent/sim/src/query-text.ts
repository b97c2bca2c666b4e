import { Answer } from './answer.ts';
import { dataTable } from './data-text.ts';
import type { Machine } from './machine.ts';
import { queryXml } from './query-xml.ts';

/** Elements that only the XML has. */
const xmlOnly = new Set(['supported_gpu_target_temp', 'supported_clocks', 'accounted_processes', 'pending_retirement', 'retired_pagelist']);
/** One level below where the XML has them. */
const deeper = new Set(['clocks_event_reason_hw_thermal_slowdown', 'clocks_event_reason_hw_power_brake_slowdown']);
const hexadecimal = new Set([
  'pci_bus',
  'pci_device',
  'pci_domain',
  'pci_base_class',
  'pci_sub_class',
  'pci_device_id',
  'pci_sub_system_id',
]);

/** `-q`: what the XML says, in lines. */
export function queryText(machine: Machine, ids: string | undefined): number {
  const { answer } = machine;
  const xml = new Answer();
  const exitCode = queryXml({ ...machine, answer: xml }, ids);
  const labels = dataTable(machine, 'query-text-labels.json') as Readonly<Record<string, string>>;
  const [head = '', ...gpus] = xml.text().split(/^(?=\t<gpu )/m);
  answer.print('');
  answer.print('==============NVSMI LOG==============');
  answer.print('');
  const modern = machine.driver.major >= 610;
  const top = [
    ['timestamp', 'Timestamp'],
    ['driver_version', modern ? 'KMD Version' : 'Driver Version'],
    ['cuda_version', modern ? 'CUDA UMD Version' : 'CUDA Version'],
  ] as const;
  for (const [tag, label] of top) answer.print(row(0, label, elementText(head, tag)));
  answer.print('');
  answer.print(row(0, 'Attached GPUs', elementText(head, 'attached_gpus')));
  for (const gpu of gpus) {
    const [element = '', after = ''] = gpu.split(/^\t<\/gpu>\n/m);
    answer.print(`GPU ${/id="([^"]+)"/.exec(element)?.[1]}`);
    for (const line of linesOf(element, labels)) answer.print(line);
    answer.print('');
    // A lost GPU's line comes last, as in the XML.
    const remark = after.split('</nvidia_smi_log>\n')[1] ?? '';
    answer.printRaw(remark);
  }
  return exitCode;
}

function elementText(text: string, tag: string): string {
  return new RegExp(`<${tag}>(.*)</${tag}>`).exec(text)?.[1] ?? '';
}

function* linesOf(element: string, labels: Readonly<Record<string, string>>): Generator<string> {
  const open: string[] = [];
  let skipped: string | undefined;
  for (const line of element.split('\n').slice(1)) {
    const [, close, tag, value] = /^\t+<(\/?)(\w+)>(?:(.*)<\/\w+>)?$/.exec(line) ?? [];
    if (tag === undefined) continue;
    if (close) {
      if (tag === skipped) skipped = undefined;
      else if (skipped === undefined) open.pop();
      continue;
    }
    const parent = open.at(-1) ?? '';
    if (skipped !== undefined) continue;
    if (xmlOnly.has(tag)) {
      if (value === undefined) skipped = tag;
      continue;
    }
    const empty = element.includes(`<${tag}>\n\t\t</${tag}>`);
    yield* lineOf({ tag, value, parent, depth: open.length, empty, ofSlice: open.includes('mig_device') }, labels);
    if (value === undefined) open.push(tag);
  }
}

interface Found {
  readonly tag: string;
  /** Absent where elements follow. */
  readonly value: string | undefined;
  readonly parent: string;
  readonly depth: number;
  readonly empty: boolean;
  readonly ofSlice: boolean;
}

const processLabels: Readonly<Record<string, readonly [number, string]>> = {
  gpu_instance_id: [2, 'GPU instance ID'],
  compute_instance_id: [2, 'Compute instance ID'],
  pid: [2, 'Process ID'],
  type: [3, 'Type'],
  process_name: [3, 'Name'],
  used_memory: [3, 'Used GPU Memory'],
};

function* lineOf(found: Found, labels: Readonly<Record<string, string>>): Generator<string> {
  const { tag, value, parent, depth } = found;
  if (tag === 'processes') yield found.empty ? row(1, 'Processes', 'None') : '    Processes';
  else if (parent === 'process_info') {
    const [level, label] = processLabels[tag] ?? [2, tag];
    yield `${`${' '.repeat(4 * level)}${label}`.padEnd(42)}: ${unescaped(value ?? '')}`;
  } else if (tag === 'mig_device') yield '    MIG Device';
  else if (parent.endsWith('_bit_retirement')) yield row(2, parent.startsWith('double') ? 'Double Bit ECC' : 'Single Bit ECC', value ?? '');
  else if (['mig_devices', 'process_info'].includes(tag) || tag.endsWith('_bit_retirement')) return;
  else if (tag === 'power_state' && value?.includes('deprecated')) return;
  else {
    const label = labels[`${parent}/${tag}`] ?? labels[tag] ?? tag;
    // A MIG device is not nested in a list here.
    const level = depth + 1 + (deeper.has(tag) ? 1 : 0) - (found.ofSlice ? 1 : 0);
    yield value === undefined ? `${' '.repeat(4 * level)}${label}` : row(level, label, shown(tag, value));
  }
}

function shown(tag: string, value: string): string {
  if (hexadecimal.has(tag)) return `0x${value}`;
  return tag === 'edpp_multiplier' ? value.replace(' %', '%') : unescaped(value);
}

function row(level: number, label: string, value: string): string {
  return `${`${' '.repeat(4 * level)}${label}`.padEnd(55)}: ${value}`;
}

function unescaped(text: string): string {
  return text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
}
