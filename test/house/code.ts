// What the code of this house does not do.
import type { Node } from 'oxc-parser';
import type { Rule } from './rule.ts';
import { isTestCode, place, type SourceFile, type Tree, visit } from './tree.ts';

const pure = /^(shared\/domain|agent\/core|controller\/core)\//;
/** Where the environment may be read: as configuration, at the start of a program, and outside our programs. */
const readsEnvironment = /(^|\/)(config|main|[a-z-]+-main)\.ts$|^(agent\/sim|scripts|bench)\//;
/** `up` asks it once whether this machine has GPUs at all, long before there is an agent. */
const runsNvidiaSmi = /^agent\/(src\/smi|sim)\/|^controller\/cli\/up\/find-gpus\.ts$/;
/** Where striking at arbitrary moments, or a simulated delay, is what is tested. */
const waitsByClock = /^test\/(chaos|world)\/|^agent\/sim\/test\/|(^|\/)until\.ts$/;

const isTest = (path: string): boolean => /\.test\.tsx?$/.test(path);

/** Nodes that `broken` finds in the files that `within` takes. */
function syntax(
  sentence: string,
  within: (path: string) => boolean,
  look: (found: (node: Node) => void) => Parameters<typeof visit>[1],
  sample: Rule['sample'],
): Rule {
  const inFile = (file: SourceFile): readonly string[] => {
    const places: string[] = [];
    visit(
      file,
      look((node) => places.push(`${place(file, node.start)} ${file.text.slice(node.start, node.end).split('\n', 1)[0]}`)),
    );
    return places;
  };
  return { sentence, sample, broken: (tree: Tree) => tree.sources.filter(({ path }) => within(path)).flatMap(inFile) };
}

/** `vi.mock` of `vi.mock(...)`; empty for what is not a plain name or path of names. */
function dotted(node: Node): string {
  if (node.type === 'Identifier') return node.name;
  if (node.type !== 'MemberExpression') return '';
  const property = node.computed
    ? node.property.type === 'Literal'
      ? String(node.property.value)
      : ''
    : node.property.type === 'Identifier'
      ? node.property.name
      : '';
  return `${dotted(node.object)}.${property}`;
}

/** Calls of one of `names`, such as `vi.mock`. */
const calls =
  (...names: readonly string[]) =>
  (found: (node: Node) => void): Parameters<typeof visit>[1] => ({
    CallExpression: (node) => names.includes(dotted(node.callee)) && found(node),
  });

const members =
  (...names: readonly string[]) =>
  (found: (node: Node) => void): Parameters<typeof visit>[1] => ({
    MemberExpression: (node) => names.includes(dotted(node)) && found(node),
  });

const starters = ['spawn', 'spawnSync', 'exec', 'execSync', 'execFile', 'execFileSync', 'fork'];

export const code: readonly Rule[] = [
  syntax(
    'pure rooms take time and chance as inputs',
    (path) => pure.test(path) && !isTest(path),
    (found) => ({
      ...members('Math.random', 'Date.now', 'performance.now', 'crypto.randomUUID')(found),
      NewExpression: (node) => dotted(node.callee) === 'Date' && node.arguments.length === 0 && found(node),
    }),
    { 'agent/core/order.ts': 'export const at = Date.now();' },
  ),
  syntax(
    'the environment is read in config.ts and main.ts only',
    (path) => !readsEnvironment.test(path) && !isTestCode(path),
    members('process.env'),
    {
      'agent/src/smi/driver.ts': "const path = process.env['PATH'];",
    },
  ),
  syntax(
    'only agent/src/smi runs nvidia-smi, and `up` once, to see whether there are GPUs',
    (path) => !runsNvidiaSmi.test(path) && !isTestCode(path),
    (found) => ({
      CallExpression: (node) => {
        const [program] = node.arguments;
        if (
          starters.includes(dotted(node.callee).split('.').at(-1) ?? '') &&
          program?.type === 'Literal' &&
          /nvidia-smi/.test(String(program.value))
        )
          found(node);
      },
    }),
    { 'agent/src/metrics/registry.ts': "execFileSync('nvidia-smi', ['-L']);" },
  ),
  syntax(
    'nothing is exported by default',
    (path) => !path.endsWith('.config.ts'),
    (found) => ({ ExportDefaultDeclaration: found }),
    {
      'agent/src/main.ts': 'export default 1;',
    },
  ),
  syntax(
    'types leave no code behind: no enum, no namespace',
    () => true,
    (found) => ({ TSEnumDeclaration: found, TSModuleDeclaration: (node) => node.kind === 'namespace' && found(node) }),
    { 'agent/src/main.ts': 'export enum Phase { Up }' },
  ),
  syntax('no module is mocked: a test passes a port', () => true, calls('vi.mock', 'vi.doMock', 'vi.hoisted', 'vi.importMock'), {
    'agent/src/a.test.ts': "vi.mock('./b.ts');",
  }),
  syntax(
    'no test is skipped, singled out or left for later',
    isTest,
    members(...['it', 'test', 'describe'].flatMap((what) => ['skip', 'only', 'todo', 'fails'].map((how) => `${what}.${how}`))),
    { 'agent/src/a.test.ts': "it.skip('works', () => {});" },
  ),
  syntax(
    'tests wait for what they need, not for a time',
    (path) => isTest(path) && !waitsByClock.test(path),
    (found) => ({
      ImportDeclaration: (node) => node.source.value === 'node:timers/promises' && found(node),
      NewExpression: (node) => {
        const [work] = node.arguments;
        if (dotted(node.callee) !== 'Promise' || work?.type !== 'ArrowFunctionExpression') return;
        const body = work.body.type === 'CallExpression' ? work.body : undefined;
        const [resolve] = work.params;
        const [called] = body?.arguments ?? [];
        if (
          body !== undefined &&
          dotted(body.callee) === 'setTimeout' &&
          resolve?.type === 'Identifier' &&
          called?.type === 'Identifier' &&
          called.name === resolve.name
        )
          found(node);
      },
    }),
    { 'agent/src/a.test.ts': 'await new Promise((done) => setTimeout(done, 100));' },
  ),
  {
    sentence: 'what is left to do has the number of an issue',
    broken: (tree) =>
      tree.sources.flatMap((file) =>
        file.comments
          .filter(({ value }) => /\b(TODO|FIXME|XXX|HACK)\b(?!\s*\(?#\d)/.test(value))
          .map(({ start, value }) => `${place(file, start)} ${value.trim()}`),
      ),
    sample: { 'agent/src/main.ts': '// TODO: later\nexport {};' },
  },
  {
    sentence: 'no file is longer than 400 lines, tables aside',
    broken: (tree) =>
      tree.sources
        .filter(({ path }) => !/-data\.ts$/.test(path))
        .map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }))
        .filter(({ lines }) => lines > 400)
        .map(({ path, lines }) => `${path} has ${lines} lines`),
    sample: { 'agent/src/main.ts': 'export {};\n'.repeat(401) },
  },
  {
    sentence: 'files and folders say what they hold: kebab-case, and no utils, helpers, common, misc or types',
    broken: (tree) =>
      tree.sources
        .map(({ path }) => path)
        .filter((path) =>
          path
            .split('/')
            .some(
              (part) => /^(utils?|helpers?|common|misc|types?|shared-code)(\.|$)/.test(part) || !/^[a-z0-9-]+(\.[a-z0-9-]+)*$/.test(part),
            ),
        ),
    sample: { 'agent/src/utils/a.ts': '' },
  },
];
