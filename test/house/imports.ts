// Who imports whom: every import of every source file, led to the file it means.
import { dirname, join, normalize } from 'node:path';
import { isTestCode, place, type SourceFile, type Tree, visit } from './tree.ts';

export interface Import {
  readonly from: string;
  /** A path of the repository, or `npm:NAME`, or `node:NAME`. */
  readonly to: string;
  readonly specifier: string;
  readonly place: string;
}

interface Manifest {
  readonly name?: string;
  readonly exports?: Readonly<Record<string, string>>;
  readonly imports?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

export interface Workspace {
  /** Empty for the root. */
  readonly directory: string;
  readonly manifest: Manifest;
}

export function workspaces(tree: Tree): readonly Workspace[] {
  return [...tree.texts]
    .filter(([path]) => /(^|\/)package\.json$/.test(path))
    .map(([path, text]) => ({ directory: path.slice(0, -'/package.json'.length), manifest: JSON.parse(text) as Manifest }))
    .sort((one, other) => other.directory.length - one.directory.length);
}

/** The innermost workspace that holds `path`. */
export function workspaceOf(all: readonly Workspace[], path: string): Workspace | undefined {
  return all.find(({ directory }) => directory === '' || path.startsWith(`${directory}/`));
}

export function specifiersOf(file: SourceFile): readonly { readonly specifier: string; readonly place: string }[] {
  const found: { specifier: string; place: string }[] = [];
  const add = (literal: { readonly value?: unknown; readonly start: number } | null | undefined): void => {
    if (typeof literal?.value === 'string') found.push({ specifier: literal.value, place: place(file, literal.start) });
  };
  visit(file, {
    ImportDeclaration: (node) => add(node.source),
    ExportNamedDeclaration: (node) => add(node.source),
    ExportAllDeclaration: (node) => add(node.source),
    ImportExpression: (node) => add(node.source as { value?: unknown; start: number }),
    TSImportType: (node) => add(node.source),
  });
  return found;
}

const cache = new WeakMap<Tree, readonly Import[]>();

export function importsOf(tree: Tree): readonly Import[] {
  const known = cache.get(tree);
  if (known !== undefined) return known;
  const all = workspaces(tree);
  const imports = tree.sources.flatMap((file) =>
    specifiersOf(file).map((one) => ({ from: file.path, to: resolve(all, file.path, one.specifier), ...one })),
  );
  cache.set(tree, imports);
  return imports;
}

/** The imports of programs: those of tests left out. */
export function programImports(tree: Tree): readonly Import[] {
  return importsOf(tree).filter(({ from }) => !isTestCode(from));
}

function resolve(all: readonly Workspace[], from: string, specifier: string): string {
  if (specifier.startsWith('node:')) return specifier;
  if (specifier.startsWith('.')) return normalize(join(dirname(from), specifier));
  if (specifier.startsWith('#')) {
    const own = workspaceOf(all, from);
    return through(own?.manifest.imports, own?.directory ?? '', specifier) ?? `unknown:${specifier}`;
  }
  const name = packageName(specifier);
  const ours = all.find(({ manifest }) => manifest.name === name);
  if (ours === undefined) return `npm:${name}`;
  return through(ours.manifest.exports, ours.directory, `.${specifier.slice(name.length)}`) ?? `${ours.directory}/${specifier}`;
}

/** `zod/v4` comes from `zod`, `@scope/name/door` from `@scope/name`. */
export function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/** A table of doors as in package.json: exact ones, and ones with a star. */
function through(doors: Readonly<Record<string, string>> | undefined, directory: string, asked: string): string | undefined {
  for (const [door, target] of Object.entries(doors ?? {})) {
    const [before = '', after] = door.split('*');
    if (after === undefined ? asked !== door : !asked.startsWith(before) || !asked.endsWith(after)) continue;
    const middle = after === undefined ? '' : asked.slice(before.length, asked.length - after.length);
    return normalize(join(directory, target.replace('*', middle)));
  }
  return undefined;
}
