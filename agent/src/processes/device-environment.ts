/** Names that the agent alone sets: a workload must see exactly its devices, and within its share, whatever it asked for. */
const own = /^(CUDA_VISIBLE_DEVICES|NVIDIA_VISIBLE_DEVICES|CUDA_MPS_.*|ASTRAGO_.*)$/;

/**
 * The environment of a workload's command. `visible` are GPU or MIG UUIDs; with none, no device is visible:
 * an empty CUDA list hides all of them, and `void` keeps container runtimes from adding any.
 */
export function workloadEnvironment(facts: {
  readonly asked: Readonly<Record<string, string>>;
  readonly visible: readonly string[];
  /** What the way it shares a device needs; absent where it shares none. */
  readonly sharing?: Readonly<Record<string, string>>;
  readonly allocation: string;
  readonly workload: string;
  readonly workspace: string;
}): Readonly<Record<string, string>> {
  const asked = Object.entries(facts.asked).filter(([name]) => !own.test(name));
  const devices = facts.visible.join(',');
  return {
    ...Object.fromEntries(asked),
    ...facts.sharing,
    CUDA_VISIBLE_DEVICES: devices,
    NVIDIA_VISIBLE_DEVICES: devices === '' ? 'void' : devices,
    ASTRAGO_ALLOCATION_ID: facts.allocation,
    ASTRAGO_WORKLOAD: facts.workload,
    ASTRAGO_WORKSPACE: facts.workspace,
  };
}
