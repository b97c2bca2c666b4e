// The repository as the house rules see it: its texts, and the syntax of its source files.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Comment, type Program, parseSync, Visitor, type VisitorObject } from 'oxc-parser';

const root = join(import.meta.dirname, '../..');

/** Recorded, generated or made by npm: not written here, so not judged here. */
const foreign = /^(test\/fixtures|agent\/sim\/data|proto\/src\/gen)\/|^package-lock\.json$/;
const isSource = /(?<!\.d)\.tsx?$/;
const isText = /\.(tsx?|js|mjs|json|ya?ml|md|proto|sh|txt|html|css|toml|sql)$|(^|\/)[^.]*$|(^|\/)\.[a-z]+(rc|ignore)$/;

export interface SourceFile {
  readonly path: string;
  readonly text: string;
  readonly program: Program;
  readonly comments: readonly Comment[];
}

export interface Tree {
  /** Path to content of every text file of ours. */
  readonly texts: ReadonlyMap<string, string>;
  readonly sources: readonly SourceFile[];
  /** Whether a path, of a file or a folder, exists. */
  exists(path: string): boolean;
}

export function treeOf(texts: ReadonlyMap<string, string>, exists: (path: string) => boolean): Tree {
  const sources = [...texts].filter(([path]) => isSource.test(path)).map(([path, text]) => parse(path, text));
  return { texts, sources, exists };
}

/** A made-up repository, for showing that a rule can fail. */
export function sampleTree(files: Readonly<Record<string, string>>): Tree {
  const paths = Object.keys(files);
  return treeOf(new Map(Object.entries(files)), (path) => paths.some((one) => one === path || one.startsWith(`${path}/`)));
}

let read: Tree | undefined;

/** This repository: what git tracks and what it would. */
export function repository(): Tree {
  read ??= treeOf(readTexts(), (path) => existsSync(join(root, path)));
  return read;
}

function readTexts(): ReadonlyMap<string, string> {
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '-z'], { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 });
  const paths = new Set(listed.split('\0').filter((path) => path !== '' && !foreign.test(path) && isText.test(path)));
  const texts = new Map<string, string>();
  for (const path of [...paths].sort()) if (existsSync(join(root, path))) texts.set(path, readFileSync(join(root, path), 'utf8'));
  return texts;
}

function parse(path: string, text: string): SourceFile {
  const { program, comments, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`${path} cannot be read: ${errors[0]?.message}`);
  return { path, text, program, comments };
}

/** Visits every node of a file's syntax. */
export function visit(file: SourceFile, visitor: VisitorObject): void {
  new Visitor(visitor).visit(file.program);
}

/** `path:line`, as editors and terminals open it. */
export function place(file: SourceFile, offset: number): string {
  return `${file.path}:${file.text.slice(0, offset).split('\n').length}`;
}

/** Tests and what only tests use; not the simulated machines, which are programs of their own. */
export function isTestCode(path: string): boolean {
  return /\.test\.tsx?$|(^|\/)(test|testing)\//.test(path) || path === 'vitest.config.ts';
}
