// From a line of the kernel log to what it says of a GPU. Anything can stand in a line: what is not known is no note.
import { parseGpuUuid } from '@astrago/shared/domain/ids';
import { pciAddress } from '#core/health/pci-address';
import { recoveryWord } from '#core/health/recovery';
import type { KernelNote } from '../app/health-ports.ts';

/** Longer texts are cut: they go into logs. */
const textMax = 200;

/**
 * As the open driver prints them: `Xid (PCI:0000:07:00): 79, pid=1234, name=python, GPU has fallen off the bus.`, under
 * MIG with the GPU instance behind the address: `Xid (PCI:0000:3b:00 GPU-I:02): 94, ...`. Older ones have no `PCI:`.
 */
const xidLine = /NVRM: Xid \((?:PCI:)?([0-9a-fA-F:.]{4,20})(?: GPU-I:([0-9a-fA-F]{1,4}))?[^)]{0,64}\): (\d{1,5})(?:,\s*(.*))?$/;
const namedLine = /NVRM: GPU at (?:PCI:)?([0-9a-fA-F:.]{4,20}): (GPU-[0-9a-fA-F-]{36})/;
const recoveryText = /recovery action changed from \S{1,20} \([^)]{0,64}\) to 0x([0-9a-fA-F]{1,2})\b/i;
/** Ours: `echo 'astrago: GPU reset (PCI:0000:07:00)' > /dev/kmsg` after a reset by hand. */
const resetLine = /^astrago: GPU reset \((?:PCI:)?([0-9a-fA-F:.]{4,20})\)/;

export function parseNote(line: string): readonly KernelNote[] {
  if (line.includes('NVRM: Xid')) return parseXid(line);
  const named = namedLine.exec(line);
  if (named !== null) {
    const [pci, gpu] = [pciAddress(named[1] ?? ''), parseGpuUuid(named[2] ?? '')];
    return pci === undefined || gpu === undefined ? [] : [{ kind: 'named', pci, gpu }];
  }
  const reset = pciAddress(resetLine.exec(line)?.[1] ?? '');
  return reset === undefined ? [] : [{ kind: 'reset', pci: reset }];
}

function parseXid(line: string): readonly KernelNote[] {
  const match = xidLine.exec(line);
  const pci = pciAddress(match?.[1] ?? '');
  if (match === null || pci === undefined) return [];
  const [, , instance, digits, rest = ''] = match;
  const code = Number(digits);
  const { pid, process, text } = parseRest(rest);
  const gpuInstanceId = instance === undefined ? undefined : Number.parseInt(instance, 16);
  const xid: KernelNote = { kind: 'xid', pci, xid: { code, text: text.slice(0, textMax), pid, process, gpuInstanceId } };
  const asked = code === 154 ? recoveryText.exec(rest)?.[1] : undefined;
  const word = asked === undefined ? undefined : recoveryWord(Number.parseInt(asked, 16));
  return word === undefined ? [xid] : [xid, { kind: 'recovery', pci, word }];
}

/** `pid=1234, name=python, text`; either part may be missing, and `'<unknown>'` or `<unknown>` is nothing. */
function parseRest(rest: string): { readonly pid: number | undefined; readonly process: string | undefined; readonly text: string } {
  const pidPart = /^pid=([^,]{0,64})(?:,\s*|$)/.exec(rest);
  const afterPid = pidPart === null ? rest : rest.slice(pidPart[0].length);
  const namePart = pidPart === null ? null : /^name=([^,]{0,256})(?:,\s*|$)/.exec(afterPid);
  const text = namePart === null ? afterPid : afterPid.slice(namePart[0].length);
  const digits = /^'?(\d{1,10})'?$/.exec(pidPart?.[1]?.trim() ?? '')?.[1];
  const name = namePart?.[1]?.trim() ?? '';
  return {
    pid: digits === undefined ? undefined : Number(digits),
    process: name === '' || /^'?<unknown>'?$/.test(name) ? undefined : name.slice(0, 64),
    text: text.trim(),
  };
}
