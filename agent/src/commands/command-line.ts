// The command line of the agent program, from words to one of its commands.
import { parseArgs } from 'node:util';

export type AgentCommand =
  | {
      readonly kind: 'run';
      readonly standalone: boolean;
      readonly metricsPort: number | undefined;
      readonly metricsHost: string | undefined;
    }
  | { readonly kind: 'inventory'; readonly json: boolean; readonly limitMs: number }
  | {
      readonly kind: 'doctor';
      readonly json: boolean;
      readonly limitMs: number;
      readonly bundle: string | undefined;
      readonly redact: boolean;
    }
  | { readonly kind: 'version' }
  | { readonly kind: 'help'; readonly of: HelpPage };

export type HelpPage = 'agent' | 'inventory' | 'doctor' | 'version';

/** `text` is for the person who typed it: what is wrong, and what to do. */
export interface UsageError {
  readonly kind: 'usage-error';
  readonly text: string;
}

/** As long as the driver gives one query; initialising eight GPUs without persistence mode takes its time. */
const defaultLimitSeconds = 20;

const options = {
  run: {
    standalone: { type: 'boolean', default: false },
    'metrics-port': { type: 'string' },
    'metrics-bind': { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
  inventory: {
    json: { type: 'boolean', default: false },
    limit: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
  doctor: {
    json: { type: 'boolean', default: false },
    limit: { type: 'string' },
    bundle: { type: 'string' },
    redact: { type: 'boolean', default: true },
    help: { type: 'boolean', short: 'h', default: false },
  },
  version: { help: { type: 'boolean', short: 'h', default: false } },
} as const;

/** Never throws. */
export function parseCommandLine(words: readonly string[]): AgentCommand | UsageError {
  const [verb, ...rest] = words;
  try {
    if (verb === undefined || verb.startsWith('-')) return parseRun(words);
    switch (verb) {
      case 'inventory':
        return parseInventory(rest);
      case 'doctor':
        return parseDoctor(rest);
      case 'version': {
        const { values } = parseArgs({ args: rest, options: options.version, strict: true });
        return values.help ? { kind: 'help', of: 'version' } : { kind: 'version' };
      }
      case 'help': {
        const [page, more] = rest;
        if (page === undefined) return { kind: 'help', of: 'agent' };
        if (more === undefined && isHelpPage(page)) return { kind: 'help', of: page };
        return wrong(`There is no help on ${JSON.stringify(rest.join(' '))}.`, 'agent');
      }
      default:
        return wrong(`${JSON.stringify(verb)} is not a command of the agent.`, 'agent');
    }
  } catch (thrown) {
    if (thrown instanceof BadValue) return wrong(thrown.message, thrown.page);
    // parseArgs explains itself in its first sentence; what follows is about "--".
    const sentence = (thrown instanceof Error ? thrown.message : String(thrown)).split('. ')[0] ?? '';
    return wrong(`${sentence.replace(/\.$/, '')}.`, verb !== undefined && isHelpPage(verb) ? verb : 'agent');
  }
}

function parseRun(args: readonly string[]): AgentCommand {
  const { values } = parseArgs({ args: [...args], options: options.run, strict: true });
  if (values.help) return { kind: 'help', of: 'agent' };
  const host = values['metrics-bind'];
  if (host !== undefined && !/^[\w.:%-]+$/.test(host))
    throw new BadValue(`--metrics-bind takes a host name or an address, not ${JSON.stringify(host)}.`, 'agent');
  const port = values['metrics-port'];
  return {
    kind: 'run',
    standalone: values.standalone,
    metricsPort: port === undefined ? undefined : number(port, '--metrics-port takes a port from 0 to 65535', 0, 65_535, 'agent'),
    metricsHost: host,
  };
}

function parseInventory(args: readonly string[]): AgentCommand {
  const { values } = parseArgs({ args: [...args], options: options.inventory, strict: true });
  if (values.help) return { kind: 'help', of: 'inventory' };
  return { kind: 'inventory', json: values.json, limitMs: limitMs(values.limit, 'inventory') };
}

function parseDoctor(args: readonly string[]): AgentCommand {
  const { values } = parseArgs({ args: [...args], options: options.doctor, strict: true, allowNegative: true });
  if (values.help) return { kind: 'help', of: 'doctor' };
  if (values.bundle === '') throw new BadValue('--bundle takes a file or a directory, and got nothing.', 'doctor');
  return { kind: 'doctor', json: values.json, limitMs: limitMs(values.limit, 'doctor'), bundle: values.bundle, redact: values.redact };
}

function limitMs(text: string | undefined, page: HelpPage): number {
  if (text === undefined) return defaultLimitSeconds * 1000;
  return number(text, '--limit takes whole seconds from 1 to 600', 1, 600, page) * 1000;
}

function number(text: string, rule: string, least: number, most: number, page: HelpPage): number {
  const value = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new BadValue(`${rule}, not ${JSON.stringify(text)}.`, page);
}

class BadValue extends Error {
  readonly page: HelpPage;
  constructor(message: string, page: HelpPage) {
    super(message);
    this.page = page;
  }
}

function wrong(what: string, page: HelpPage): UsageError {
  return { kind: 'usage-error', text: `${what} See astrago agent ${page === 'agent' ? '' : `${page} `}--help.` };
}

function isHelpPage(text: string): text is HelpPage {
  return text === 'agent' || text === 'inventory' || text === 'doctor' || text === 'version';
}
