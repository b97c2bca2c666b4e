import { expect, it } from 'vitest';
import { pciAddress } from './pci-address.ts';

it('spells an address one way, however it was written', () => {
  for (const text of ['00000000:3B:00.0', '0000:3b:00', '0000:3b:00.0', '3b:00', ' 0000:3B:00.0 ']) expect(pciAddress(text)).toBe('0:3b:0');
  expect(pciAddress('00010000:07:00.0')).not.toBe(pciAddress('00000000:07:00.0'));
  for (const text of ['', 'N/A', '[N/A]', '0000:07', '0000:xx:00', '0000:07:00.9', '1:2:3:4']) expect(pciAddress(text)).toBeUndefined();
});
