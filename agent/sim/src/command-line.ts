import { Refusal } from './machine.ts';

/** Options as given, by their long name; the last one wins. */
export interface CommandLine {
  readonly flags: ReadonlySet<string>;
  readonly values: ReadonlyMap<string, string>;
}

export interface Grammar {
  /** Short and long spellings, to the long name. */
  readonly flags: Readonly<Record<string, string>>;
  readonly values: Readonly<Record<string, string>>;
  /** Options whose value may be left out. */
  readonly optional: readonly string[];
}

const seeHelp = "Please run 'nvidia-smi -h' for help.";

/** `nvidia-smi …`, the parts that this simulator knows. */
export const mainGrammar: Grammar = {
  flags: {
    '-L': 'list-gpus',
    '--list-gpus': 'list-gpus',
    '--version': 'version',
    '-h': 'help',
    '--help': 'help',
    '--help-query-gpu': 'help-query-gpu',
    '--help-query-compute-apps': 'help-query-compute-apps',
    '-q': 'query',
    '--query': 'query',
    '-x': 'xml-format',
    '--xml-format': 'xml-format',
    '-rgc': 'reset-gpu-clocks',
    '--reset-gpu-clocks': 'reset-gpu-clocks',
    '-rmc': 'reset-memory-clocks',
    '--reset-memory-clocks': 'reset-memory-clocks',
    '-eow': 'error-on-warning',
    '--error-on-warning': 'error-on-warning',
  },
  values: {
    '-i': 'id',
    '--id': 'id',
    '-l': 'loop',
    '--loop': 'loop',
    '-lms': 'loop-ms',
    '--loop-ms': 'loop-ms',
    '-f': 'filename',
    '--filename': 'filename',
    '--format': 'format',
    '--query-gpu': 'query-gpu',
    '--query-compute-apps': 'query-compute-apps',
    '-mig': 'multi-instance-gpu',
    '--multi-instance-gpu': 'multi-instance-gpu',
    '-pm': 'persistence-mode',
    '--persistence-mode': 'persistence-mode',
    '-c': 'compute-mode',
    '--compute-mode': 'compute-mode',
    '-pl': 'power-limit',
    '--power-limit': 'power-limit',
    '-lgc': 'lock-gpu-clocks',
    '--lock-gpu-clocks': 'lock-gpu-clocks',
    '-lmc': 'lock-memory-clocks',
    '--lock-memory-clocks': 'lock-memory-clocks',
    '-r': 'gpu-reset',
    '--gpu-reset': 'gpu-reset',
  },
  optional: ['loop', 'gpu-reset'],
};

/** `nvidia-smi mig …`. */
export const migGrammar: Grammar = {
  flags: {
    '-h': 'help',
    '--help': 'help',
    '-C': 'default-compute-instance',
    '--default-compute-instance': 'default-compute-instance',
    '-lgip': 'lgip',
    '--list-gpu-instance-profiles': 'lgip',
    '-lgipp': 'lgipp',
    '--list-gpu-instance-possible-placements': 'lgipp',
    '-lgi': 'lgi',
    '--list-gpu-instances': 'lgi',
    '-dgi': 'dgi',
    '--destroy-gpu-instance': 'dgi',
    '-lcip': 'lcip',
    '--list-compute-instance-profiles': 'lcip',
    '-lcipp': 'lcipp',
    '--list-compute-instance-possible-placements': 'lcipp',
    '-lci': 'lci',
    '--list-compute-instances': 'lci',
    '-dci': 'dci',
    '--destroy-compute-instance': 'dci',
  },
  values: {
    '-i': 'id',
    '--id': 'id',
    '-gi': 'gpu-instance-id',
    '--gpu-instance-id': 'gpu-instance-id',
    '-ci': 'compute-instance-id',
    '--compute-instance-id': 'compute-instance-id',
    '-cgi': 'cgi',
    '--create-gpu-instance': 'cgi',
    '-cci': 'cci',
    '--create-compute-instance': 'cci',
  },
  optional: ['cci'],
};

export function parseCommandLine(args: readonly string[], grammar: Grammar): CommandLine {
  const flags = new Set<string>();
  const values = new Map<string, string>();
  for (let n = 0; n < args.length; n += 1) {
    const arg = args[n] ?? '';
    const equals = arg.startsWith('--') ? arg.indexOf('=') : -1;
    const option = equals < 0 ? arg : arg.slice(0, equals);
    const flag = equals < 0 ? grammar.flags[option] : undefined;
    const valued = grammar.values[option];
    if (flag !== undefined) {
      flags.add(flag);
      continue;
    }
    if (valued === undefined) throw new Refusal(2, `ERROR: Option ${arg} is not recognized. ${seeHelp}`);
    const given = equals < 0 ? args[n + 1] : arg.slice(equals + 1);
    const missing = given === undefined || given === '' || (equals < 0 && /^-\D/.test(given));
    if (missing && !grammar.optional.includes(valued)) throw new Refusal(2, `ERROR: Option ${option} is missing its value. ${seeHelp}`);
    if (equals < 0 && !missing) n += 1;
    values.set(valued, missing ? '' : (given ?? ''));
  }
  return { flags, values };
}

export function invalidCombination(): Refusal {
  return new Refusal(2, `Invalid combination of input arguments. ${seeHelp}`);
}
