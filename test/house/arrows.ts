// Which room may know which. ARCHITECTURE.md draws it.
import { type Import, importsOf, programImports, workspaceOf, workspaces } from './imports.ts';
import type { Rule } from './rule.ts';
import { isTestCode, type Tree } from './tree.ts';

const packages = ['node:', 'npm:'];

/** Programs below `room` import nothing but themselves and what starts with one of `known`. */
function knowsOnly(sentence: string, room: string, known: readonly string[], sample: Rule['sample']): Rule {
  return {
    sentence,
    broken: (tree) => strays(programImports(tree), room, known),
    sample,
  };
}

function strays(imports: readonly Import[], room: string, known: readonly string[]): readonly string[] {
  return imports
    .filter(({ from, to }) => from.startsWith(room) && !to.startsWith(room) && !known.some((prefix) => to.startsWith(prefix)))
    .map(({ place, specifier }) => `${place} imports ${specifier}`);
}

/** Each folder of `source` that is not the application itself or there for tests is an adapter. */
function adaptersApart(sentence: string, source: string, known: readonly string[], sample: Rule['sample']): Rule {
  return {
    sentence,
    broken: (tree) => {
      const imports = programImports(tree);
      const rooms = new Set(
        imports.flatMap(({ from }) => (from.startsWith(source) ? from.slice(source.length).split('/').slice(0, -1).slice(0, 1) : [])),
      );
      return [...rooms]
        .filter((room) => room !== 'app')
        .flatMap((room) => strays(imports, `${source}${room}/`, [`${source}app/`, ...known, ...packages]));
    },
    sample,
  };
}

/** Files of `tree` that reach themselves by importing; each circle once. */
function circles(tree: Tree): readonly string[] {
  const targets = new Map<string, string[]>();
  for (const { from, to } of importsOf(tree)) targets.set(from, [...(targets.get(from) ?? []), to]);
  const found: string[] = [];
  const done = new Set<string>();
  const walk = (path: string, above: readonly string[]): void => {
    if (above.includes(path)) found.push([...above.slice(above.indexOf(path)), path].join(' > '));
    if (done.has(path)) return;
    done.add(path);
    for (const target of targets.get(path) ?? []) walk(target, [...above, path]);
  };
  for (const path of targets.keys()) walk(path, []);
  return found;
}

export const arrows: readonly Rule[] = [
  knowsOnly('shared/domain imports nothing but itself', 'shared/domain/', [], {
    'shared/domain/ids.ts': "import { join } from 'node:path';",
  }),
  knowsOnly('shared/runtime imports nothing of ours', 'shared/runtime/', packages, {
    'shared/runtime/loop.ts': "import type { GpuId } from '../domain/ids.ts';",
  }),
  knowsOnly('proto imports nothing of ours', 'proto/', packages, { 'proto/src/agent.ts': "export * from '../../shared/domain/ids.ts';" }),
  knowsOnly('agent/core knows shared/domain and no package', 'agent/core/', ['shared/domain/'], {
    'agent/core/order.ts': "import { pino } from 'pino';",
  }),
  knowsOnly('controller/core knows shared/domain and no package', 'controller/core/', ['shared/domain/'], {
    'controller/core/reason.ts': "import type { Gpu } from '../api/src/schemas.ts';",
  }),
  {
    sentence: 'agent/sim and its tests import nothing of ours',
    broken: (tree) => strays(importsOf(tree), 'agent/sim/', packages),
    sample: { 'agent/sim/test/a.test.ts': "await import('../../src/smi/command.ts');" },
  },
  knowsOnly('agent/src/app knows agent/core, shared and no adapter', 'agent/src/app/', ['agent/core/', 'shared/', ...packages], {
    'agent/src/app/node-agent.ts': "import { run } from '../smi/command.ts';",
  }),
  adaptersApart(
    'the adapters of the agent know its app and the contracts, never each other',
    'agent/src/',
    ['agent/core/', 'shared/', 'proto/', 'agent/src/files/'],
    {
      'agent/src/smi/driver.ts': "import { LocalLauncher } from '../processes/launcher.ts';",
    },
  ),
  knowsOnly('agent/src/files, which every adapter may use, imports nothing of ours', 'agent/src/files/', packages, {
    'agent/src/files/write-durably.ts': "import '../ledger/file-ledger.ts';",
  }),
  knowsOnly(
    'controller/src/app knows controller/core, the contract to people, shared and no adapter',
    'controller/src/app/',
    ['controller/core/', 'controller/api/', 'shared/', ...packages],
    {
      'controller/src/app/fleet.ts': "import { NodeLink } from '../agents/node-link.ts';",
    },
  ),
  adaptersApart(
    'the adapters of the controller know its app and the contracts, never each other',
    'controller/src/',
    ['controller/core/', 'controller/api/', 'shared/', 'proto/'],
    {
      'controller/src/http/server.ts': "import type { Row } from '../store/schema.ts';",
    },
  ),
  knowsOnly(
    'controller/api knows shared/domain, the clock and zod',
    'controller/api/',
    ['shared/domain/', 'shared/runtime/clock.ts', 'npm:zod'],
    {
      'controller/api/src/client.ts': "import { readFileSync } from 'node:fs';",
    },
  ),
  knowsOnly('controller/cli speaks only through the api', 'controller/cli/', ['controller/api/', 'shared/', ...packages], {
    'controller/cli/run.ts': "import { decide } from '../core/scheduling/decide.ts';",
  }),
  knowsOnly('controller/web speaks only through the api', 'controller/web/', ['controller/api/', 'shared/', 'npm:'], {
    'controller/web/src/main.tsx': "import { readFileSync } from 'node:fs';",
  }),
  {
    sentence: 'a relative import of a program stays in its workspace',
    broken: (tree) => {
      const all = workspaces(tree);
      return programImports(tree)
        .filter(({ from, to, specifier }) => specifier.startsWith('.') && workspaceOf(all, from) !== workspaceOf(all, to))
        .map(({ place, specifier }) => `${place} imports ${specifier}`);
    },
    sample: { 'agent/package.json': '{}', 'shared/package.json': '{}', 'agent/core/order.ts': "import '../../shared/domain/ids.ts';" },
  },
  {
    sentence: 'programs do not import what is there for tests; only bench starts the same worlds',
    broken: (tree) =>
      programImports(tree)
        .filter(({ from, to }) => isTestCode(to) && !(from.startsWith('bench/') && to.startsWith('test/world/')))
        .map(({ place, specifier }) => `${place} imports ${specifier}`),
    sample: { 'agent/src/agent.ts': "import { scratch } from './testing/scratch.ts';" },
  },
  {
    sentence: 'no file imports itself, by whatever way round',
    broken: circles,
    sample: { 'shared/domain/a.ts': "import './b.ts';", 'shared/domain/b.ts': "import type { A } from './a.ts';" },
  },
  {
    sentence: 'every import leads to a file',
    broken: (tree) =>
      importsOf(tree)
        .filter(({ to }) => !to.startsWith('npm:') && !to.startsWith('node:') && !tree.exists(to))
        .map(({ place, specifier }) => `${place} imports ${specifier}`),
    sample: { 'shared/domain/a.ts': "import './gone.ts';" },
  },
];
