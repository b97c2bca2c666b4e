import { countMatches, type FaultAction, type Faults, ruleMatches, type Tool } from './faults.ts';
import { type Driver, Refusal } from './machine.ts';
import type { GpuState } from './machine-state.ts';

export interface ActionNow {
  readonly action: FaultAction;
  readonly busyGpus: ReadonlySet<string>;
}

/** The rules that apply to this very call, later ones laid over earlier ones. */
export async function actionNow(
  directory: string,
  faults: Faults,
  tool: Tool,
  args: readonly string[],
  gpus: readonly GpuState[],
  selected: readonly GpuState[],
): Promise<ActionNow> {
  const matched = (faults.rules ?? [])
    .map((rule, position) => ({ position, rule }))
    .filter(({ rule }) => ruleMatches(rule, tool, args, selected));
  if (matched.length === 0) return { action: {}, busyGpus: new Set() };
  const counted = matched.some(({ rule }) => rule.times !== undefined || rule.afterMatches !== undefined);
  const active = counted
    ? (await import('./machine-lock.ts')).withMachineLock(directory, () => countMatches(directory, matched))
    : matched.map(({ rule }) => rule);
  const busy = active
    .filter((rule) => rule.action.gpuBusy)
    .flatMap((rule) => {
      const named = rule.match?.gpu;
      return named === undefined ? selected : gpus.filter((gpu) => gpu.uuid === named || gpu.index === Number(named));
    });
  return { action: Object.assign({}, ...active.map((rule) => rule.action)), busyGpus: new Set(busy.map((gpu) => gpu.uuid)) };
}

/** `-i` of a command line that may be nonsense otherwise. */
export function idsIn(args: readonly string[]): string | undefined {
  const at = args.findIndex((arg) => arg === '-i' || arg === '--id');
  if (at >= 0) return args[at + 1];
  return args.find((arg) => arg.startsWith('--id='))?.slice('--id='.length);
}

/** The whole machine is out of order. */
export function conditionRefusal(faults: Faults, driver: Driver): Refusal | undefined {
  if (faults.driverDown) {
    return new Refusal(
      9,
      "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running.",
      '',
    );
  }
  if (faults.libraryMismatch) {
    const library = driver.version.split('.').slice(0, 2).join('.');
    return new Refusal(18, 'Failed to initialize NVML: Driver/library version mismatch', `NVML library version: ${library}`);
  }
  return faults.noDevices ? new Refusal(6, 'No devices were found') : undefined;
}

/** What `garbage` and `truncateBytes` do to a good answer. */
export function spoiler(action: FaultAction): (text: string) => string {
  return (text) => {
    const spoiled = action.garbage === undefined ? text : mutate(text, action.garbage);
    return action.truncateBytes === undefined ? spoiled : Buffer.from(spoiled).subarray(0, action.truncateBytes).toString();
  };
}

const junk = ['\u0000', '\u001b[31m', '[Unknown Error]', 'ERR!', '|', ',', '\n', '18446744073709551615', '-1', '\ufffd', '<gpu>', ''];

/** One change per forty characters or so: a piece dropped, doubled, or replaced by junk. */
function mutate(text: string, seed: number): string {
  let state = seed | 0 || 1;
  const below = (limit: number): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % Math.max(limit, 1);
  };
  let result = text;
  for (let n = 0; n < 1 + text.length / 40; n += 1) {
    const at = below(result.length);
    const piece = result.slice(at, at + below(12));
    const instead = [junk[below(junk.length)] ?? '', piece + piece, ''][below(3)] ?? '';
    result = result.slice(0, at) + instead + result.slice(at + piece.length);
  }
  return result;
}
