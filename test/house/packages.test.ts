// What package.json and tsconfig files promise.
import { describe, expect, it } from 'vitest';
import { importsOf, packageName, workspaceOf, workspaces } from './imports.ts';
import { describeRules } from './rule.ts';
import { isTestCode, repository, type Tree } from './tree.ts';

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

describeRules('packages', [
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
]);

describe('the compiler', () => {
  it('knows no clock, chance, file or network in the pure rooms', () => {
    const config = JSON.parse(repository().texts.get('tsconfig.pure.json') ?? '{}') as {
      compilerOptions: { types: unknown; lib: string[] };
      include: unknown;
    };

    expect(config.compilerOptions.types).toEqual([]);
    expect(config.compilerOptions.lib.every((name) => /^ES\d+$/.test(name))).toBe(true);
    expect(config.include).toEqual(['shared/domain', 'agent/core', 'controller/core']);
  });
});
