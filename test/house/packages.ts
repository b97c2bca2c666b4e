// What package.json and tsconfig files promise.
import { importsOf, packageName, workspaceOf, workspaces } from './imports.ts';
import type { Rule } from './rule.ts';
import { isTestCode, type Tree } from './tree.ts';

interface PureConfig {
  readonly compilerOptions?: { readonly types?: readonly string[]; readonly lib?: readonly string[] };
  readonly include?: readonly string[];
}

/** Tools that every workspace may use in its tests come from the root. */
function undeclared(tree: Tree): readonly string[] {
  const all = workspaces(tree);
  const tools = Object.keys(all.find(({ directory }) => directory === '')?.manifest.devDependencies ?? {});
  return importsOf(tree).flatMap(({ from, specifier, place }) => {
    const own = workspaceOf(all, from);
    const name = packageName(specifier);
    if (/^(\.|#|node:)/.test(specifier) || name === own?.manifest.name || name in (own?.manifest.dependencies ?? {})) return [];
    return (isTestCode(from) || own?.directory === '') && (tools.includes(name) || name in (own?.manifest.devDependencies ?? {}))
      ? []
      : [`${place} imports ${name}, which ${own?.directory}/package.json does not name`];
  });
}

export const packages: readonly Rule[] = [
  {
    sentence: 'every workspace declares what it imports',
    broken: undeclared,
    sample: { 'package.json': '{}', 'agent/package.json': '{"name":"agent"}', 'agent/src/main.ts': "import { pino } from 'pino';" },
  },
  {
    sentence: 'every version is exact, and nothing is published',
    broken: (tree) =>
      workspaces(tree).flatMap(({ directory, manifest }) => [
        ...(!('private' in manifest) || manifest.private !== true ? [`${directory}/package.json is not private`] : []),
        ...Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })
          .filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
          .map(([name, version]) => `${directory}/package.json: ${name} ${version}`),
      ]),
    sample: { 'agent/package.json': '{"private": true, "dependencies": {"pino": "^10.0.0"}}' },
  },
  {
    sentence: 'cli and web open no door',
    broken: (tree) =>
      workspaces(tree)
        .filter(
          ({ directory, manifest }) => /^controller\/(cli|web)$/.test(directory) && Object.keys(manifest.exports ?? { '.': '' }).length > 0,
        )
        .map(({ directory }) => `${directory}/package.json exports`),
    sample: { 'controller/cli/package.json': '{"exports": {".": "./main.ts"}}' },
  },
  {
    sentence: 'the compiler knows no clock, chance, file or network in the pure rooms',
    broken: (tree) => {
      const config = JSON.parse(tree.texts.get('tsconfig.pure.json') ?? '{}') as PureConfig;
      const rooms = ['shared/domain', 'agent/core', 'controller/core'].filter((room) => !config.include?.includes(room));
      const { types, lib } = config.compilerOptions ?? {};
      return [
        ...rooms.map((room) => `${room} is not among them`),
        ...(types?.length === 0 ? [] : ['types are let in']),
        ...(lib?.every((name) => /^ES\d+$/.test(name)) === true ? [] : ['more than the language is let in']),
      ];
    },
    sample: { 'tsconfig.pure.json': '{"compilerOptions": {"types": ["node"], "lib": ["ES2024"]}, "include": ["shared/domain"]}' },
  },
];
