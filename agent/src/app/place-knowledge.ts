import type { PlaceKnowledge } from '#core/sharing/double-booking';
import type { NodeState } from './node-state.ts';

/** What orders and holdings are judged by, as the driver last listed it. */
export function placeKnowledge(state: NodeState): PlaceKnowledge {
  return {
    profilesOf: (gpu) => state.gpu(gpu)?.profiles ?? [],
    memoryMiBOf: (gpu) => state.gpu(gpu)?.memoryMiB,
    driverVersion: state.inventory.current?.driverVersion,
  };
}
