/**
 * One spelling for `00000000:3B:00.0` of nvidia-smi and `0000:3b:00` of the kernel log: domain, bus and device as
 * plain hexadecimal. The function is left out, since the log does; a GPU's is 0. `undefined` for what is no address.
 */
export function pciAddress(text: string): string | undefined {
  const match = /^(?:([0-9a-f]{1,8}):)?([0-9a-f]{1,2}):([0-9a-f]{1,2})(?:\.[0-7])?$/i.exec(text.trim());
  if (match === null) return undefined;
  return [match[1] ?? '0', match[2] ?? '', match[3] ?? ''].map((part) => Number.parseInt(part, 16).toString(16)).join(':');
}
