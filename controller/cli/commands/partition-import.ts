// Asks a whole mig-parted configuration of the cluster: every GPU is planned before the first is ordered.
import type { Gpu, LayoutPlan } from '@astrago/api';
import { ApiFailure, type Client } from '@astrago/api/client';
import { selectParted } from '@astrago/shared/domain/mig/parted/select';
import { formatLayoutRequest } from '@astrago/shared/domain/mig/request';
import { answer, type CommandContext } from '../context.ts';
import { type ExitCode, exitCodeOfProblem, exitCodes } from '../exit-codes.ts';
import { CommandFailure, usageFailure } from '../failure.ts';
import { inParallel } from '../in-parallel.ts';
import { type PartedText, readPartedFile } from '../parted/read-file.ts';
import { table } from '../show/table.ts';

export interface PartitionImportInput {
  readonly file: string;
  readonly config: string;
  /** Absent: every node. */
  readonly node?: readonly string[];
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

interface Wish {
  readonly gpu: Gpu;
  readonly layout: string;
}

type Planned = Wish & ({ readonly kind: 'plan'; readonly plan: LayoutPlan } | { readonly kind: 'refused'; readonly failure: ApiFailure });

export async function partitionImport(context: CommandContext, input: PartitionImportInput): Promise<void> {
  const text = await readPartedFile(input.file);
  const client = await context.connect();
  const wishes = wishesOf(context, text, input, (await client.listGpus()).items);
  await remarkOnManagers(context, client, new Set(wishes.map(({ gpu }) => gpu.node)));
  const planned = await planAll(client, wishes);
  const plans = planned.flatMap((one) => (one.kind === 'plan' ? [one.plan] : []));
  const refused = planned.filter((one) => one.kind === 'refused');
  const orders = input.yes === true && input.dryRun !== true && refused.length === 0;
  if (!context.json && !orders) context.terminal.print(plansTable(planned));
  if (refused.length > 0) throw refusalOf(refused, planned.length);
  if (input.dryRun === true) return answer(context, { config: input.config, plans }, () => 'Dry run: nothing was changed.');
  if (input.yes !== true)
    throw usageFailure('Nothing was changed.', 'Run again with --yes to order these layouts, or with --dry-run to look only.');
  const ordered = await orderAll(client, plans);
  const applied = planned.map((one, at): Planned => ({ ...one, kind: 'plan', plan: ordered[at] as LayoutPlan }));
  answer(
    context,
    { config: input.config, plans: ordered },
    () => `${plansTable(applied)}\nOrdered; astrago gpus shows the layouts once the nodes have made them.`,
  );
}

function wishesOf(context: CommandContext, text: PartedText, input: PartitionImportInput, gpus: readonly Gpu[]): readonly Wish[] {
  const byNode = Map.groupBy(gpus, (gpu) => gpu.node);
  const strange = (input.node ?? []).filter((node) => !byNode.has(node));
  if (strange.length > 0) throw notFound(`No GPU is known of a node ${strange.join(', ')}.`, 'See astrago nodes.');
  const wishes: Wish[] = [];
  for (const [node, own] of byNode) {
    if (input.node !== undefined && !input.node.includes(node)) continue;
    const selected = selectParted(text.file, input.config, own);
    if (selected.kind === 'no-such-config') {
      const names = selected.names.length === 0 ? 'none' : selected.names.join(', ');
      throw usageFailure(`${input.file} has no configuration ${JSON.stringify(input.config)}.`, `It has: ${names}.`);
    }
    if (selected.kind === 'faults')
      throw text.refusal(selected.faults.map((fault) => ({ ...fault, detail: `on node ${node}: ${fault.detail}` })));
    if (selected.absent.length > 0)
      context.terminal.remark(`Node ${node} has no GPU ${selected.absent.join(', ')}, which ${input.config} names.`);
    for (const gpu of own.toSorted((a, b) => a.index - b.index)) {
      const request = selected.requests.get(gpu.index);
      if (request !== undefined) wishes.push({ gpu, layout: formatLayoutRequest(request) });
    }
  }
  if (wishes.length === 0) throw notFound(`${input.config} names none of these GPUs.`, "See 'devices' and 'device-filter' in the file.");
  return wishes;
}

/** Where another program cuts, an order is kept and not carried out: better known before than after. */
async function remarkOnManagers(context: CommandContext, client: Client, named: ReadonlySet<string>): Promise<void> {
  for (const node of (await client.listNodes()).items.filter(({ name }) => named.has(name))) {
    const found = node.conditions.find(({ kind }) => kind === 'other-mig-manager');
    if (found !== undefined) context.terminal.remark(`Node ${node.name}: ${found.detail}.`);
  }
}

/** In the order of the wishes. What the controller refuses is kept; what breaks ends it. */
async function planAll(client: Client, wishes: readonly Wish[]): Promise<readonly Planned[]> {
  const planned: Planned[] = [];
  await inParallel([...wishes.entries()], 4, async ([at, wish]) => {
    try {
      planned[at] = { ...wish, kind: 'plan', plan: await setLayout(client, wish.gpu, wish.layout, true) };
    } catch (failure) {
      if (!(failure instanceof ApiFailure) || exitCodeOfProblem[failure.problem.code] !== exitCodes.refused) throw failure;
      planned[at] = { ...wish, kind: 'refused', failure };
    }
  });
  return planned;
}

/** With the very placements that were planned and shown. Ends at the first that is not taken any more. */
async function orderAll(client: Client, plans: readonly LayoutPlan[]): Promise<readonly LayoutPlan[]> {
  const ordered: LayoutPlan[] = [];
  for (const plan of plans) {
    try {
      ordered.push(await setLayout(client, plan, layoutText(plan), false));
    } catch (cause) {
      if (ordered.length === 0) throw cause;
      throw partly(plans, ordered.length, cause);
    }
  }
  return ordered;
}

function setLayout(
  client: Client,
  gpu: { readonly node: string; readonly uuid: string },
  layout: string,
  dryRun: boolean,
): Promise<LayoutPlan> {
  return client.setLayout({ params: { node: gpu.node, gpu: gpu.uuid }, query: { dryRun: dryRun ? 'true' : 'false' }, body: { layout } });
}

function layoutText({ layout }: LayoutPlan): string {
  if (layout.kind === 'whole') return 'whole';
  return layout.slices.map((slice) => `${slice.profile}@${slice.start}`).join(',') || 'mig';
}

function plansTable(planned: readonly Planned[]): string {
  const list = (slices: readonly { readonly profile: string; readonly start: number; readonly workload?: string | undefined }[]): string =>
    slices.map((slice) => `${slice.profile}@${slice.start}${slice.workload === undefined ? '' : ` (${slice.workload})`}`).join(' ') || '-';
  return table(
    ['GPU', 'MIG', 'KEEP', 'DESTROY', 'CREATE', ''],
    planned.map((one) => {
      const name = nameOf(one.gpu);
      if (one.kind === 'refused') return [name, '-', '-', '-', '-', `refused: ${one.failure.problem.code}`];
      const { plan } = one;
      return [name, plan.modeChange === 'none' ? '-' : plan.modeChange, list(plan.keep), list(plan.destroy), list(plan.create), ' '];
    }),
  );
}

function nameOf(gpu: { readonly node: string; readonly index: number }): string {
  return `${gpu.node}/${gpu.index}`;
}

function refusalOf(refused: readonly (Wish & { readonly failure: ApiFailure })[], total: number): CommandFailure {
  return new CommandFailure({
    code: 'layout-blocked',
    exitCode: exitCodes.refused,
    what: `${refused.length} of ${total} GPUs cannot be cut like this, and none was changed:\n${refused.map(({ gpu, failure }) => `${nameOf(gpu)}: ${detailOf(failure)}`).join('\n')}\n`,
    remedy: 'Leave these GPUs out, or make room first.',
  });
}

function partly(plans: readonly LayoutPlan[], done: number, cause: unknown): CommandFailure {
  const names = plans.map(nameOf);
  const exitCode: ExitCode = cause instanceof ApiFailure ? exitCodeOfProblem[cause.problem.code] : exitCodes.failed;
  const untried = names.slice(done + 1);
  return new CommandFailure({
    code: 'partly-ordered',
    exitCode,
    what: `${names[done]} was not ordered: ${detailOf(cause)} Ordered before it: ${names.slice(0, done).join(', ')}.${untried.length === 0 ? '' : ` Not tried: ${untried.join(', ')}.`}`,
    remedy: 'Run again: what is ordered already stays as it is.',
    cause,
  });
}

function detailOf(failure: unknown): string {
  const text =
    failure instanceof ApiFailure
      ? failure.problem.detail || failure.problem.title
      : failure instanceof Error
        ? failure.message
        : String(failure);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

function notFound(what: string, remedy: string): CommandFailure {
  return new CommandFailure({ code: 'not-found', exitCode: exitCodes.notFound, what, remedy });
}
