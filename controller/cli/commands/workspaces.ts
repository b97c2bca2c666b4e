import type { ChangeWorkspace, Workspace } from '@astrago/api';
import { answer, type CommandContext } from '../context.ts';
import { usageFailure } from '../failure.ts';
import { amountsText, budgetText } from '../show/quota.ts';
import { tableOfKnown } from '../show/table.ts';
import { previewText } from '../show/workspace-preview.ts';

type Amounts = NonNullable<ChangeWorkspace['limit']>;
type ModelAmounts = NonNullable<Amounts['models']>;

export async function workspaces(context: CommandContext): Promise<void> {
  const client = await context.connect();
  const list = await client.listWorkspaces();
  answer(context, list, () => (list.items.length === 0 ? 'There is no workspace yet.' : workspaceTable(asTree(list.items))));
}

export interface WorkspaceSetInput {
  readonly name: string;
  /** `false`: none, any more; so with the others. */
  readonly parent?: string | false;
  readonly limit?: Amounts;
  readonly modelLimit?: readonly ModelAmounts[];
  readonly computeSlices?: number;
  readonly memorySlices?: number;
  readonly unlimited?: boolean;
  readonly guarantee?: Amounts | false;
  readonly modelGuarantee?: readonly ModelAmounts[];
  readonly weight?: number;
  readonly budget?: NonNullable<ChangeWorkspace['budget']> | false;
  readonly dryRun?: boolean;
}

/** Changes what is named, and makes the workspace where there is none. */
export async function workspaceSet(context: CommandContext, input: WorkspaceSetInput): Promise<void> {
  const limit = amountsOf([input.limit, slices(input)], input.modelLimit);
  if (limit !== undefined && input.unlimited === true)
    throw usageFailure('A limit and --unlimited contradict each other.', 'Give one of them.');
  const guaranteed = amountsOf(input.guarantee === false ? [] : [input.guarantee], input.modelGuarantee);
  if (guaranteed !== undefined && input.guarantee === false)
    throw usageFailure('A guarantee and --no-guarantee contradict each other.', 'Give one of them.');
  const client = await context.connect();
  const workspace = await client.changeWorkspace({
    params: { workspace: input.name },
    query: { dryRun: input.dryRun === true ? 'true' : 'false' },
    body: {
      parent: input.parent === false ? null : input.parent,
      limit: input.unlimited === true ? null : limit,
      guaranteed: input.guarantee === false ? null : guaranteed,
      weight: input.weight,
      budget: input.budget === false ? null : input.budget,
    },
  });
  const { preview } = workspace;
  answer(context, workspace, () => {
    const shown = workspaceTable([[0, workspace]]);
    return preview === undefined ? shown : [previewText(preview), shown, 'Dry run: nothing was changed.'].join('\n\n');
  });
}

function slices({ computeSlices: compute, memorySlices: memory }: WorkspaceSetInput): Amounts | undefined {
  if (compute === undefined && memory === undefined) return undefined;
  return { ...(compute === undefined ? {} : { compute }), ...(memory === undefined ? {} : { memory }) };
}

function amountsOf(parts: readonly (Amounts | undefined)[], models: readonly ModelAmounts[] | undefined): Amounts | undefined {
  if (models === undefined && parts.every((part) => part === undefined)) return undefined;
  return Object.assign({}, ...parts, models === undefined ? {} : { models: Object.assign({}, ...models) }) as Amounts;
}

type Row = readonly [depth: number, workspace: Workspace];

/** Each under its parent. */
function asTree(items: readonly Workspace[]): readonly Row[] {
  const known = new Set(items.map(({ name }) => name));
  const under = (parent: string | undefined, depth: number): readonly Row[] =>
    items
      .filter((one) => (one.parent !== undefined && known.has(one.parent) ? one.parent : undefined) === parent)
      .flatMap((one): readonly Row[] => [[depth, one], ...under(one.name, depth + 1)]);
  return under(undefined, 0);
}

function workspaceTable(rows: readonly Row[]): string {
  return tableOfKnown(
    ['WORKSPACE', 'PARENT', 'COMPUTE SLICES', 'MEMORY SLICES', 'FURTHER LIMITS', 'GUARANTEED', 'WEIGHT', 'BUDGET', 'RUNNING', 'QUEUED'],
    rows.map(([depth, { name, parent, limit, guaranteed, weight, budget, usedWithChildren: used, running, queued }]) => [
      `${'  '.repeat(depth)}${name}`,
      parent,
      `${used.compute} of ${limit.compute ?? 'unlimited'}`,
      `${used.memory} of ${limit.memory ?? 'unlimited'}`,
      amountsText({ ...limit, compute: undefined, memory: undefined }),
      amountsText(guaranteed ?? {}),
      weight === 1 ? undefined : weight,
      budget === undefined ? undefined : budgetText(budget),
      running,
      queued,
    ]),
    ['PARENT', 'FURTHER LIMITS', 'GUARANTEED', 'WEIGHT', 'BUDGET'],
  );
}
