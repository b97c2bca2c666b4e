// Which cluster a command talks to: what the command line says, then the environment, then the data directory.
import { readFile } from 'node:fs/promises';
import { exitCodes } from '../exit-codes.ts';
import { CommandFailure } from '../failure.ts';
import { readClusterFile } from './cluster-file.ts';
import { dataDirectory } from './data-directory.ts';
import { isAlive } from './process-identity.ts';

/** The command line's part. */
export interface ClusterChoice {
  readonly url?: string;
  readonly token?: string;
  readonly data?: string;
}

export interface ClusterLocation {
  readonly url: string;
  readonly token: string | undefined;
  /** A living supervisor brings its controller back, so it is worth waiting for. */
  readonly supervised: boolean;
}

export async function locateCluster(
  choice: ClusterChoice,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<ClusterLocation> {
  const token = choice.token ?? (environment['ASTRAGO_TOKEN'] || undefined);
  // A data directory on the command line is closer than a URL in the environment.
  const url = choice.url ?? (choice.data === undefined ? environment['ASTRAGO_URL'] || undefined : undefined);
  if (url !== undefined) return { url: checkedUrl(url), token, supervised: false };

  const directory = dataDirectory(choice.data, environment);
  const file = await readClusterFile(directory);
  if (file === undefined) {
    throw new CommandFailure({
      code: 'no-cluster',
      exitCode: exitCodes.unreachable,
      what: `No cluster runs in ${directory}.`,
      remedy: 'Start one with astrago up, or name one with --url and --token (ASTRAGO_URL, ASTRAGO_TOKEN) or --data.',
    });
  }
  // The controller may outlive a killed supervisor, so the file is believed and the connection decides.
  // A token in the environment may be for another cluster than the one that --data names.
  const given = choice.data === undefined ? token : choice.token;
  return { url: file.url, token: given ?? (await readToken(file.tokenFile)), supervised: isAlive(file) };
}

async function readToken(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (cause) {
    throw new CommandFailure({
      code: 'no-token',
      exitCode: exitCodes.notAllowed,
      what: `The token file ${file} cannot be read.`,
      remedy: 'Run as the user who started the cluster, or give a token with --token or ASTRAGO_TOKEN.',
      cause,
    });
  }
}

function checkedUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new CommandFailure({
      code: 'usage',
      exitCode: exitCodes.usage,
      what: `${JSON.stringify(text)} is not the URL of a controller.`,
      remedy: 'Write it as http://HOST:PORT.',
    });
  }
  return text;
}
