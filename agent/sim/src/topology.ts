import { invalidCombination, parseCommandLine } from './command-line.ts';
import { type Machine, Refusal } from './machine.ts';
import type { GpuState, MachineTopology } from './machine-state.ts';
import { visibleGpus } from './selected-gpus.ts';

const grammar = {
  flags: { '-m': 'matrix', '--matrix': 'matrix' },
  values: { '-i': 'id', '--id': 'id' },
  optional: [],
};

const legend = [
  'Legend:',
  '',
  '  X    = Self',
  '  SYS  = Connection traversing PCIe as well as the SMP interconnect between NUMA nodes (e.g., QPI/UPI)',
  '  NODE = Connection traversing PCIe as well as the interconnect between PCIe Host Bridges within a NUMA node',
  '  PHB  = Connection traversing PCIe as well as a PCIe Host Bridge (typically the CPU)',
  '  PXB  = Connection traversing multiple PCIe bridges (without traversing the PCIe Host Bridge)',
  '  PIX  = Connection traversing at most a single PCIe bridge',
  '  NV#  = Connection traversing a bonded set of # NVLinks',
];

const columns = ['CPU Affinity', 'NUMA Affinity', 'GPU NUMA ID'];
const cpusPerNode = 24;

/** A GPU or a network card of the table. */
interface Device {
  readonly name: string;
  readonly numaNode: number;
  readonly gpu?: GpuState;
}

/** `nvidia-smi topo -m`. */
export function runTopology(machine: Machine, args: readonly string[]): number {
  const { flags, values } = parseCommandLine(args, grammar);
  if (!flags.has('matrix')) throw invalidCombination();
  if (values.has('id')) throw new Refusal(255, 'The -i command line argument must be used in conjunction with -n or -p.');
  const visible = visibleGpus(machine, undefined);
  const topology = topologyOf(machine);
  const devices: readonly Device[] = [
    ...visible.gpus.map((gpu) => ({ name: `GPU${gpu.index}`, numaNode: nodeOf(gpu.index, machine.state.gpus.length, topology), gpu })),
    ...Array.from({ length: topology.nics }, (_, at) => ({ name: `NIC${at}`, numaNode: nodeOf(at, topology.nics, topology) })),
  ];
  const shown = columns.slice(0, machine.faults.behaviour?.affinityColumns ?? columns.length);
  // Underlined whether or not anybody sees it.
  machine.answer.print(`\t\u001b[4m${[...devices.map(({ name }) => name), ...shown].join('\t')}\u001b[0m`);
  for (const device of devices) {
    const cells = devices.map((other) => (other === device ? ' X ' : connection(machine, topology, device, other)));
    const near = device.gpu === undefined ? '\t\t\t' : affinity(machine, device, topology);
    machine.answer.print(`${[device.name, ...cells].join('\t')}\t${near}`);
  }
  machine.answer.print('');
  for (const line of legend) machine.answer.print(line);
  if (topology.nics > 0) {
    for (const line of ['', 'NIC Legend:', '']) machine.answer.print(line);
    for (let at = 0; at < topology.nics; at += 1) machine.answer.print(`  NIC${at}: mlx5_${at}`);
    machine.answer.print('');
  }
  if (visible.lostLine !== undefined) machine.answer.print(visible.lostLine);
  return visible.exitCode;
}

/** As the machine was made, or else as machines of its model are: links as the board has them, from four GPUs on two sockets. */
function topologyOf({ state, model }: Machine): MachineTopology {
  return {
    nvlink: model.nvlink?.reach ?? 'none',
    numaNodes: state.gpus.length < 4 ? 1 : 2,
    nics: 0,
    ...state.topology,
  };
}

/** In equal shares, the first ones on node 0. */
function nodeOf(at: number, count: number, { numaNodes }: MachineTopology): number {
  return Math.floor((at * numaNodes) / count);
}

function connection(machine: Machine, topology: MachineTopology, one: Device, other: Device): string {
  if (one.gpu && other.gpu && areLinked(machine, topology, one.gpu, other.gpu)) return `NV${machine.model.nvlink?.links ?? 4}`;
  if (one.numaNode !== other.numaNode) return 'SYS';
  return topology.numaNodes === 1 ? 'PHB' : 'NODE';
}

function areLinked(machine: Machine, { nvlink }: MachineTopology, one: GpuState, other: GpuState): boolean {
  // `nvlink -s` says that its queries are not supported there.
  if (machine.faults.behaviour?.nvlinkInMigMode !== 'listed' && (one.migCurrent || other.migCurrent)) return false;
  return nvlink === 'all' || (nvlink === 'pairs' && Math.floor(one.index / 2) === Math.floor(other.index / 2));
}

/** A short cell of the NUMA column is followed by two tabs, for its heading is wider than one. */
function affinity(machine: Machine, { numaNode }: Device, { numaNodes }: MachineTopology): string {
  const first = numaNode * cpusPerNode;
  const second = first + numaNodes * cpusPerNode;
  const last = cpusPerNode - 1;
  const cpus = numaNodes === 1 ? `0-${last}` : `${first}-${first + last},${second}-${second + last}`;
  const cells = {
    known: [cpus, `${numaNode}`],
    'not-available': [cpus, 'N/A'],
    range: [cpus, `0-${numaNodes}`],
    blank: ['', ''],
  }[machine.faults.behaviour?.numaAffinity ?? 'known'];
  const shown = machine.faults.behaviour?.affinityColumns ?? columns.length;
  return shown === 1 ? (cells[0] ?? '') : shown === 2 ? cells.join('\t\t') : `${cells.join('\t')}\t\tN/A`;
}
