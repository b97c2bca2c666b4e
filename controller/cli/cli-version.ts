import { readFileSync } from 'node:fs';

export function cliVersion(): string {
  const described = JSON.parse(readFileSync(new URL('./package.json', import.meta.url), 'utf8')) as { readonly version: string };
  return described.version;
}
