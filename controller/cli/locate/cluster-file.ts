// cluster.json: how programs on this machine find the cluster that `up` keeps running in a data directory.
import { dataFiles } from './data-directory.ts';
import { readJsonFile } from './json-file.ts';
import { type ProcessIdentity, parseIdentity } from './process-identity.ts';

export interface ClusterFile extends ProcessIdentity {
  readonly url: string;
  /** Path of the file with the administrator's token; the token itself is in no other file of `up`. */
  readonly tokenFile: string;
  readonly version: string;
}

export async function readClusterFile(directory: string): Promise<ClusterFile | undefined> {
  const value = await readJsonFile(dataFiles(directory).cluster);
  const supervisor = parseIdentity(value);
  if (value === undefined || supervisor === undefined) return undefined;
  const { url, tokenFile, version } = value;
  if (typeof url !== 'string' || typeof tokenFile !== 'string') return undefined;
  return { ...supervisor, url, tokenFile, version: typeof version === 'string' ? version : 'unknown' };
}
