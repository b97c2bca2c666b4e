// Stands in for the controller where only being started, watched and stopped matters. A node is ready while its stub agent lives.
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startApiServer } from './api-server.ts';

const data = process.env['ASTRAGO_DATA'] ?? '';
const [host = '', port = ''] = (process.env['ASTRAGO_HTTP_BIND'] ?? '').split(':');
if (process.env['STUB_CONTROLLER_BREAKS'] === '1') {
  console.error('stub controller: the database is unreadable');
  process.exit(3);
}

const noUnits = { compute: 0, memory: 0 };
const server = await startApiServer(
  {
    listNodes: () => ({
      items: readdirSync(join(data, 'nodes'))
        .filter(alive)
        .map((name) => ({
          name,
          state: 'ready',
          cordoned: false,
          labels: {},
          taints: [],
          gpuCount: 2,
          models: ['stub'],
          cpuMilliAllocated: 0,
          memoryMiBAllocated: 0,
          units: noUnits,
          allocatedUnits: noUnits,
          conditions: [],
        })),
    }),
    listWorkloads: () => ({ items: [] }),
  },
  { port: Number(port), host },
);
writeFileSync(join(data, 'token'), 'stub-token\n', { mode: 0o600 });
const file = join(data, 'controller.json');
const token = join(data, 'token');
writeFileSync(
  `${file}.new`,
  JSON.stringify({
    pid: process.pid,
    url: server.url,
    joinAddress: 'a:1',
    controllerAddress: 'a:2',
    joinTokenFile: token,
    adminTokenFile: token,
  }),
);
renameSync(`${file}.new`, file);
process.on('SIGTERM', () => process.exit(0));

function alive(name: string): boolean {
  const ready = join(data, 'nodes', name, 'agent', 'pid');
  return existsSync(ready) && existsSync(`/proc/${readFileSync(ready, 'utf8')}`);
}
