import { type CommandLine, invalidCombination, migGrammar, parseCommandLine } from './command-line.ts';
import { type Machine, Refusal } from './machine.ts';
import type { GpuInstance, GpuState } from './machine-state.ts';
import { visibleGpus } from './selected-gpus.ts';

const actions = ['lgip', 'lgipp', 'lgi', 'lci', 'lcip', 'lcipp', 'cgi', 'cci', 'dgi', 'dci'];

/** `nvidia-smi mig …`; exactly one action a call. */
export async function runMig(machine: Machine, args: readonly string[]): Promise<number> {
  const { flags, values } = parseCommandLine(args, migGrammar);
  const asked = actions.filter((action) => flags.has(action) || values.has(action));
  const [action] = asked;
  if (asked.length !== 1 || action === undefined) throw invalidCombination();
  if (flags.has('default-compute-instance') && action !== 'cgi') throw invalidCombination();
  const visible = visibleGpus(machine, values.get('id'));
  const exitCode = await act(machine, action, { flags, values }, visible.gpus);
  if (visible.lostLine !== undefined) machine.answer.print(visible.lostLine);
  return exitCode || visible.exitCode;
}

async function act(machine: Machine, action: string, { flags, values }: CommandLine, gpus: readonly GpuState[]): Promise<number> {
  const instanceIds = numbers(values.get('gpu-instance-id'));
  const computeIds = numbers(values.get('compute-instance-id'));
  const wanted = (instance: GpuInstance): boolean => instanceIds?.includes(instance.id) ?? true;
  if (action.startsWith('l')) {
    const listing = await import('./mig-listing.ts');
    switch (action) {
      case 'lgip':
        return listing.listProfiles(machine, gpus);
      case 'lgipp':
        return listing.listPlacements(machine, gpus);
      case 'lgi':
        return listing.listInstances(machine, gpus);
      case 'lci':
        return listing.listComputeInstances(machine, gpus, wanted);
      case 'lcipp':
        return listing.listComputePlacements(machine, gpus, wanted);
      default:
        return listing.listComputeProfiles(machine, gpus, wanted);
    }
  }
  if (!machine.model.mig) throw new Refusal(6, 'No MIG-enabled devices found.');
  const create = await import('./mig-create.ts');
  if (action === 'cgi') return create.createInstances(machine, gpus, values.get('cgi') ?? '', flags.has('default-compute-instance'));
  if (action === 'cci') return create.createComputeInstances(machine, gpus, values.get('cci') ?? '', wanted);
  const destroy = await import('./mig-destroy.ts');
  if (action === 'dgi') return destroy.destroyInstances(machine, gpus, wanted);
  return destroy.destroyComputeInstances(machine, gpus, wanted, computeIds);
}

function numbers(list: string | undefined): readonly number[] | undefined {
  return list?.split(',').map(Number);
}
