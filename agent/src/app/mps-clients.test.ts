import { parseGpuUuid } from '@astrago/shared/domain/ids';
import { expect, it } from 'vitest';
import { withMpsClients } from './mps-clients.ts';
import type { ObservedProcess } from './ports.ts';

const uuid = (digit: number) => parseGpuUuid(`GPU-00000000-0000-0000-0000-00000000000${digit}`) ?? expect.unreachable();
const process = (pid: number, more: Partial<ObservedProcess> = {}): ObservedProcess => ({
  gpuUuid: uuid(1),
  gpuInstanceId: undefined,
  computeInstanceId: undefined,
  pid,
  name: 'work',
  usedMemoryMiB: 100,
  type: 'mps-client',
  ...more,
});

it('adds the clients that only their daemon knows, and leaves what the driver lists as it is', () => {
  const unmeasured = { usedMemoryMiB: undefined };
  const listed = [process(1, { type: 'mps-server' }), process(2)];

  // The same process on another GPU is listed there for itself.
  expect(withMpsClients(listed, [process(2, unmeasured), process(3, unmeasured), process(2, { ...unmeasured, gpuUuid: uuid(2) })])).toEqual(
    [...listed, process(3, unmeasured), process(2, { ...unmeasured, gpuUuid: uuid(2) })],
  );
});
