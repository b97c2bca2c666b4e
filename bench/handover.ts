// How soon the next workload runs when one is stopped. Protocol: one H100, ten workloads asking for 1g.10gb, so seven
// run and three wait; then, ROUNDS times: stop one that runs, submit another, and take from the controller's clock the
// time from the end of the stopped one to the start of the next. The stopped command ends at SIGTERM at once.
//
//   node bench/handover.ts [ROUNDS]
import { startWorld, until } from '@astrago/test/world';

const rounds = Number(process.argv[2] ?? 20);
await using world = await startWorld({ nodes: 1, gpus: 1 });
let made = 0;
const submit = async (): Promise<void> => {
  made += 1;
  await world.client.submitWorkload({ body: { name: `job-${made}`, command: ['sleep', '600'], slice: '1g.10gb' } });
};
const running = async (): Promise<readonly { readonly name: string; readonly startedAtMs?: number | undefined }[]> =>
  (await world.client.listWorkloads({ query: { phase: 'running' } })).items;
const full = (): Promise<boolean> => until(async () => (await running()).length === 7, 'seven run', 60_000);

for (let index = 0; index < 10; index += 1) await submit();
await full();

const gaps: number[] = [];
const waits: number[] = [];
for (let round = 0; round < rounds; round += 1) {
  const before = await running();
  const victim = before[round % before.length];
  if (victim === undefined) throw new Error('seven run');
  const askedMs = Date.now();
  await world.client.stopWorkload({ params: { workload: victim.name } });
  const ended = await until(async () => {
    const seen = await world.workload(victim.name);
    return seen.endedAtMs !== undefined && { endedAtMs: seen.endedAtMs };
  }, 'the stopped one has ended');
  await full();
  const next = (await running()).find((one) => !before.some((other) => other.name === one.name));
  if (next?.startedAtMs === undefined) throw new Error('another one runs');
  gaps.push(next.startedAtMs - ended.endedAtMs);
  waits.push(next.startedAtMs - askedMs);
  await submit();
}

const at = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.floor(share * (values.length - 1))] ?? Number.NaN;
const line = (what: string, values: readonly number[]): string =>
  `${what}  p50 ${at(values, 0.5)} ms  p99 ${at(values, 0.99)} ms  max ${Math.max(...values)} ms`;
console.log(`${rounds} rounds, ${made} workloads submitted, ${(await world.client.auditInvariants()).findings.length} findings`);
console.log(line('end to next start ', gaps));
console.log(line('stop to next start', waits));
