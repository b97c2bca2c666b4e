import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CommandLine, invalidCombination, mainGrammar, parseCommandLine } from './command-line.ts';
import { spoiler } from './fault-action.ts';
import { refuseLoop } from './loop.ts';
import { type Machine, Refusal } from './machine.ts';
import type { GpuState } from './machine-state.ts';
import type { CsvFormat } from './query-gpu.ts';
import { visibleGpus } from './selected-gpus.ts';

/** Finds the command that was typed, loads only its module, and returns its exit code. */
export async function runCommand(machine: Machine, args: readonly string[]): Promise<number> {
  if (args[0] === 'mig') return (await import('./mig-command.ts')).runMig(machine, args.slice(1));
  if (args[0] === 'dmon' || args[0] === 'pmon') return (await import('./monitors.ts')).runMonitor(machine, args[0], args.slice(1));
  if (args[0] === 'compute-policy') return (await import('./compute-policy.ts')).runComputePolicy(machine, args.slice(1));
  if (args[0] === 'topo') return (await import('./topology.ts')).runTopology(machine, args.slice(1));
  const line = parseCommandLine(args, mainGrammar);
  refuseLoop(machine, line);
  const setter = await runSetter(machine, line);
  if (setter !== undefined) return setter;
  const exitCode = await runQuery(machine, line);
  const filename = line.values.get('filename');
  if (filename !== undefined) {
    const file = openSync(filename, machine.round === 0 ? 'w' : 'a');
    machine.answer.flush(spoiler(machine.action), file);
    closeSync(file);
  }
  return exitCode;
}

async function runSetter(machine: Machine, { values, flags }: CommandLine): Promise<number | undefined> {
  const settings: Readonly<Record<string, Setter>> = {
    'multi-instance-gpu': async (gpus, mode) =>
      (await import('./mode-change.ts')).setMigMode(machine, gpus, mode, flags.has('error-on-warning')),
    'gpu-reset': async (gpus) => (await import('./mode-change.ts')).resetGpus(machine, gpus),
    'persistence-mode': async (gpus, mode) => (await import('./settings.ts')).setPersistence(machine, gpus, mode),
    'compute-mode': async (gpus, mode) => (await import('./settings.ts')).setComputeMode(machine, gpus, mode),
    'power-limit': async (gpus, watts) => (await import('./settings.ts')).setPowerLimit(machine, gpus, watts),
    'lock-gpu-clocks': async (gpus, range) => (await import('./locked-clocks.ts')).lockClocks(machine, gpus, 'gpu', range),
    'lock-memory-clocks': async (gpus, range) => (await import('./locked-clocks.ts')).lockClocks(machine, gpus, 'memory', range),
    'reset-gpu-clocks': async (gpus) => (await import('./locked-clocks.ts')).resetClocks(machine, gpus, 'gpu'),
    'reset-memory-clocks': async (gpus) => (await import('./locked-clocks.ts')).resetClocks(machine, gpus, 'memory'),
  };
  const asked = Object.keys(settings).filter((name) => values.has(name) || flags.has(name));
  const [name] = asked;
  if (name === undefined) return undefined;
  if (asked.length > 1) throw invalidCombination();
  const visible = visibleGpus(machine, values.get('id'));
  const exitCode = (await settings[name]?.(visible.gpus, values.get(name) ?? '')) ?? 0;
  if (visible.lostLine !== undefined) machine.answer.print(visible.lostLine);
  return exitCode || visible.exitCode;
}

type Setter = (gpus: readonly GpuState[], value: string) => Promise<number>;

async function runQuery(machine: Machine, { flags, values }: CommandLine): Promise<number> {
  const ids = values.get('id');
  if (flags.has('help')) return printHelp(machine, 'help.txt');
  if (flags.has('help-query-gpu')) return printHelp(machine, 'help-query-gpu.txt');
  if (flags.has('help-query-compute-apps')) return printHelp(machine, 'help-query-compute-apps.txt');
  if (flags.has('version')) return (await import('./versions.ts')).printVersions(machine);
  const gpuFields = values.get('query-gpu');
  const appFields = values.get('query-compute-apps');
  if (gpuFields !== undefined && appFields !== undefined) {
    throw new Refusal(2, 'Only one --query-* switch can be used at a time.');
  }
  if (gpuFields !== undefined) {
    return (await import('./query-gpu.ts')).queryGpu(machine, gpuFields, csvFormat(values, machine.round === 0), ids);
  }
  if (appFields !== undefined) {
    return (await import('./query-compute-apps.ts')).queryComputeApps(machine, appFields, csvFormat(values, machine.round === 0), ids);
  }
  if (values.has('format')) throw invalidCombination();
  if (flags.has('list-gpus')) return (await import('./list-gpus.ts')).listGpus(machine, ids);
  if (flags.has('xml-format') && flags.has('query')) return (await import('./query-xml.ts')).queryXml(machine, ids);
  if (flags.has('xml-format')) throw invalidCombination();
  if (flags.has('query')) return (await import('./query-text.ts')).queryText(machine, ids);
  return (await import('./summary-table.ts')).printSummary(machine, ids);
}

function csvFormat(values: ReadonlyMap<string, string>, first: boolean): CsvFormat {
  const format = values.get('format');
  if (format === undefined) throw new Refusal(2, '"--format=" switch is missing. Please run \'nvidia-smi -h\' for help');
  const words = format.split(',').map((word) => word.trim());
  if (!words.includes('csv') || words.some((word) => !['csv', 'noheader', 'nounits'].includes(word))) throw invalidCombination();
  return { header: first && !words.includes('noheader'), units: !words.includes('nounits') };
}

function printHelp(machine: Machine, file: string): number {
  const text = readFileSync(join(machine.dataDirectory, 'help', file), 'utf8');
  machine.answer.printRaw(text.replaceAll('590.48.01', machine.driver.version));
  return 0;
}
