// What is written for people is true of the tree.
import { dirname, join, normalize } from 'node:path';
import type { Rule } from './rule.ts';
import type { Tree } from './tree.ts';

const documents = (tree: Tree): readonly (readonly [string, string])[] => [...tree.texts].filter(([path]) => path.endsWith('.md'));

/** Links to files, and paths in backticks that start at one of our top folders; patterns and placeholders left out. */
function pathsIn(document: string, text: string): readonly string[] {
  const links = [...text.matchAll(/\]\((?!\w+:|#)([^)#\s]+)/g)].map(([, target = '']) => normalize(join(dirname(document), target)));
  const quoted = [...text.matchAll(/`((?:agent|bench|controller|daemonset|proto|scripts|shared|test)\/[\w./-]+)`/g)].map(
    ([, path = '']) => path,
  );
  return [...links, ...quoted].map((path) => path.replace(/\/$/, ''));
}

/** Paths of one person's machine. */
const someonesMachine = /(?<![\w.~*-])\/(?:home|Users|root|work|tmp|mnt)\/[\w.-]+/g;
/** Where programs of others keep things on every machine: the pipe directory of MPS, unless it is told of another. */
const everywhere = /^\/tmp\/nvidia-mps\.?$/;

export const texts: readonly Rule[] = [
  {
    sentence: 'a path that a document names exists',
    broken: (tree) =>
      documents(tree).flatMap(([document, text]) =>
        pathsIn(document, text)
          .filter((path) => !tree.exists(path))
          .map((path) => `${document} names ${path}`),
      ),
    sample: { 'README.md': 'See `agent/src/gone.ts` and [here](GONE.md).' },
  },
  {
    sentence: 'a command that the README shows exists',
    broken: (tree) =>
      [...(tree.texts.get('README.md') ?? '').matchAll(/\.\/astrago ([a-z]+)/g)]
        .map(([, verb = '']) => verb)
        .filter((verb) => !['help', 'test', 'check', 'gen', 'agent'].includes(verb) && !tree.exists(`controller/cli/commands/${verb}.ts`))
        .map((verb) => `README.md shows ./astrago ${verb}`),
    sample: { 'README.md': '$ ./astrago dance' },
    harmless: { 'README.md': '$ ./astrago agent doctor' },
  },
  {
    sentence: 'the README leads to the architecture and the glossary',
    broken: (tree) => ['ARCHITECTURE.md', 'GLOSSARY.md'].filter((name) => !tree.texts.get('README.md')?.includes(`(${name})`)),
    sample: { 'README.md': '' },
  },
  {
    sentence: "no file names a path of someone's machine",
    broken: (tree) =>
      [...tree.texts].flatMap(([path, text]) =>
        [...text.matchAll(someonesMachine)]
          .map(([found]) => found)
          .filter((found) => !everywhere.test(found))
          .map((found) => `${path} names ${found}`),
      ),
    sample: { 'README.md': `cd ${['', 'home', 'ada', 'astrago'].join('/')}` },
    harmless: { 'README.md': 'Its sockets are in `/tmp/nvidia-mps/control`.' },
  },
];
