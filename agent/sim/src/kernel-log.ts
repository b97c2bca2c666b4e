import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GpuState } from './machine-state.ts';

export interface Xid {
  readonly gpu: GpuState;
  readonly code: number;
  /** How the line names the process; the driver often does not know it. */
  readonly process:
    | { readonly kind: 'none' }
    | { readonly kind: 'unknown' }
    | { readonly kind: 'known'; readonly pid: number; readonly name: string | undefined };
  readonly text: string | undefined;
  /** `PCI:0000:07:00`, or with the domain in eight digits. */
  readonly longDomain: boolean;
  /** Of a slice: the instances that the error was in. */
  readonly gpuInstanceId: number | undefined;
  readonly computeInstanceId: number | undefined;
}

/** What the driver says for a code, after lines seen in the field. */
const texts: Readonly<Record<number, string>> = {
  13: 'Graphics SM Warp Exception on (GPC 0, TPC 0, SM 0): Illegal Instruction Parameter',
  31: 'Ch 00000008, intr 00000000. MMU Fault: ENGINE GRAPHICS GPCCLIENT_T1_0 faulted @ 0x7f00_00000000. Fault is of type FAULT_PDE ACCESS_TYPE_VIRT_READ',
  43: 'Ch 00000008',
  45: 'Ch 00000008',
  48: 'An uncorrectable double bit error (DBE) has been detected on GPU in the framebuffer at partition 3, subpartition 0.',
  62: '2b8a(3a30) 00000000 00000000',
  63: 'Row Remapper: New row (0x0000000000123abc) marked for remapping, reset gpu to activate.',
  64: 'Row Remapper: Failed to remap row, all spare rows of the bank are used.',
  74: 'NVLink: fatal error detected on link 2(0x10000, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0)',
  79: 'GPU has fallen off the bus.',
  92: 'High single-bit ECC error rate',
  94: 'Contained: SM (0x1). RST: No, D-RST: No',
  95: 'Uncontained: FBHUB. RST: Yes, D-RST: No',
  109: 'Ch 00000008, errorString CTX SWITCH TIMEOUT, Info 0x58005',
  119: 'Timeout after 6s of waiting for RPC response from GPU0 GSP! Expected function 76 (GSP_RM_CONTROL) (0x20800a4c 0x4).',
  120: 'GSP task exception: 0x3, Task 0',
  140: 'Unrecovered ECC error detected on GPU',
  154: 'GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)',
};

/** Appends to `kmsg`, in the form of `/dev/kmsg`: priority, sequence, microseconds since boot, flags; then the text. */
export function appendXid(directory: string, xid: Xid): string {
  return appendKernelLine(directory, xidText(xid));
}

export function appendKernelLine(directory: string, text: string): string {
  const path = join(directory, 'kmsg');
  const uptimeUs = Math.round(Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1e6);
  const line = `4,${nextSequence(path)},${uptimeUs},-;${text}`;
  appendFileSync(path, `${line}\n`);
  return line;
}

export function xidText(xid: Xid): string {
  const [domain = '', bus = '', device = ''] = xid.gpu.busId.toLowerCase().split(/[:.]/);
  const place = `PCI:${xid.longDomain ? domain : domain.slice(4)}:${bus}:${device}`;
  const part = (word: string, id: number | undefined): string => (id === undefined ? '' : ` ${word}:${String(id).padStart(2, '0')}`);
  const slice = `${part('GPU-I', xid.gpuInstanceId)}${part('GPU-CI', xid.computeInstanceId)}`;
  const process = processText(xid.process);
  return `NVRM: Xid (${place}${slice}): ${xid.code}, ${process}${xid.text ?? texts[xid.code] ?? 'Unknown error'}`;
}

function processText(process: Xid['process']): string {
  switch (process.kind) {
    case 'none':
      return '';
    case 'unknown':
      return "pid='<unknown>', name=<unknown>, ";
    case 'known':
      return process.name === undefined ? `pid=${process.pid}, ` : `pid=${process.pid}, name=${process.name}, `;
    default:
      return process satisfies never;
  }
}

/** Ascending, with holes as other subsystems write too. */
function nextSequence(path: string): number {
  try {
    const last = readFileSync(path, 'utf8')
      .trimEnd()
      .split('\n')
      .findLast((line) => /^\d+,\d+,/.test(line));
    return Number(last?.split(',')[1] ?? '1233') + 1;
  } catch {
    return 1234;
  }
}
