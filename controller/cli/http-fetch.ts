// The client's fetch over node:http: starts faster than the built-in one, keeps connections, and lets a quiet
// followed log stay open (the built-in one gives up after five minutes without a byte).

import * as http from 'node:http';
import * as https from 'node:https';
import type { HttpFetch } from '@astrago/api/client';

export function nodeFetch(): HttpFetch {
  const plain = new http.Agent({ keepAlive: true, maxSockets: 64 });
  let secure: https.Agent | undefined;
  return (url, init) =>
    new Promise((resolve, reject) => {
      const target = new URL(url);
      const secured = target.protocol === 'https:';
      if (secured) secure ??= new https.Agent({ keepAlive: true, maxSockets: 64 });
      const headers = init.body === undefined ? init.headers : { ...init.headers, 'content-length': String(Buffer.byteLength(init.body)) };
      const options = { method: init.method, headers, signal: init.signal };
      const request = secured ? https.request(target, { ...options, agent: secure }) : http.request(target, { ...options, agent: plain });
      request.on('error', reject);
      request.on('response', (response) => {
        resolve({
          status: response.statusCode ?? 0,
          headers: { get: (name) => headerText(response.headers[name.toLowerCase()]) },
          body: response,
          text: () => textOf(response),
        });
      });
      request.end(init.body);
    });
}

function headerText(value: string | string[] | undefined): string | null {
  return value === undefined ? null : Array.isArray(value) ? value.join(', ') : value;
}

async function textOf(response: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
