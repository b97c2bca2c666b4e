// A stand-in for a controller that is killed: commits one workload after the other and prints the id of each that is kept.
import { writeSync } from 'node:fs';
import { sampleWorkload, slice } from '../../core/cluster/sample-cluster.ts';
import { SqliteStore } from '../store/sqlite-store.ts';

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error('commit-forever FILE');
const store = new SqliteStore(file);
for (let sequence = 1; ; sequence += 1) {
  const record = sampleWorkload(sequence, slice('1g.10gb'));
  const entry = { actor: 'admin', action: 'submit', subject: record.id, detail: '', atMs: sequence };
  store.commit({ changes: [{ kind: 'workload', record }], audit: [entry], idempotency: [] });
  writeSync(1, `${record.id}\n`);
}
