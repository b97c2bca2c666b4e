import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';

/** Several programs share most of their modules. */
const translated = new Map<string, { readonly text: string; readonly imports: readonly string[] }>();

/**
 * Links the simulator's sources into one CommonJS text.
 *
 * Start-up is nearly all that a call costs. One plain file starts in the time
 * of bare Node; TypeScript modules, stripped and resolved at each start, take
 * three times that. It knows only the forms that these sources use: named
 * imports, `import()`, and `export` before a declaration.
 */
export function linkProgram(entry: string): string {
  const modules = new Map<string, string>();
  const waiting = [entry];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (modules.has(path)) continue;
    const from = path;
    const { text, imports } =
      translated.get(path) ?? toCommonJs(withoutTypes(readFileSync(path, 'utf8')), (name) => join(dirname(from), name));
    translated.set(path, { text, imports });
    modules.set(path, text);
    waiting.push(...imports);
  }
  const bodies = [...modules].map(([path, text]) => `${JSON.stringify(path)}(exports) {\n${text}\n}`);
  return `'use strict';
const loaded = new Map();
function load(name) {
  let exports = loaded.get(name);
  if (!exports) {
    exports = {};
    loaded.set(name, exports);
    modules[name](exports);
  }
  return exports;
}
const modules = {
${bodies.join(',\n')}
};
load(${JSON.stringify(entry)});
`;
}

function withoutTypes(source: string): string {
  // Node says at every first use that it may yet change; it is pinned here by the tests.
  const { emitWarning } = process;
  process.emitWarning = () => undefined;
  try {
    return stripTypeScriptTypes(source);
  } finally {
    process.emitWarning = emitWarning;
  }
}

function toCommonJs(source: string, resolve: (name: string) => string): { text: string; imports: string[] } {
  const imports: string[] = [];
  const loading = (name: string): string => {
    if (!name.startsWith('.')) return `require(${JSON.stringify(name)})`;
    imports.push(resolve(name));
    return `load(${JSON.stringify(resolve(name))})`;
  };
  const exported: string[] = [];
  const body = source
    .replace(/^import \{([^}]*)\} from '([^']+)';/gm, (_, names: string, from: string) => {
      return `const {${names.replace(/(\w+) as (\w+)/g, '$1: $2')}} = ${loading(from)};`;
    })
    .replace(/\bimport\('([^']+)'\)/g, (_, from: string) => `Promise.resolve().then(() => ${loading(from)})`)
    .replace(/^export ((?:async )?(?:function|const|class) (\w+))/gm, (_, declaration: string, name: string) => {
      exported.push(name);
      return declaration;
    });
  const left = /^(?:import|export)\b.*$/m.exec(body);
  if (left) throw new Error(`the simulator's linker does not know this form: ${left[0]}`);
  const text = `${body}\n${exported.map((name) => `exports.${name} = ${name};`).join(' ')}`;
  return { text, imports };
}
