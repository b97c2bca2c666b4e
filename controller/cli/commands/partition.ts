import type { LayoutPlan } from '@astrago/api';
import { answer, type CommandContext } from '../context.ts';
import { usageFailure } from '../failure.ts';
import { parseGpuReference } from '../parse/gpu-reference.ts';

export interface PartitionInput {
  readonly gpu: string;
  readonly layout?: string;
  readonly automatic?: boolean;
  readonly dryRun?: boolean;
}

export async function partition(context: CommandContext, input: PartitionInput): Promise<void> {
  const gpu = parseGpuReference(input.gpu);
  if (gpu === undefined)
    throw usageFailure(
      `${JSON.stringify(input.gpu)} does not name a GPU.`,
      'Write NODE/INDEX as astrago gpus shows it, for example sim-1/0.',
    );
  if ((input.layout === undefined) === (input.automatic !== true)) {
    throw usageFailure('A layout or --automatic is needed, and not both.', 'Write for example --layout 3g.40gb,1g.10gb*4.');
  }
  const client = await context.connect();
  const plan = await client.setLayout({
    params: gpu,
    query: { dryRun: input.dryRun === true ? 'true' : 'false' },
    body: input.layout === undefined ? { automatic: true } : { layout: input.layout },
  });
  answer(context, plan, () => planText(plan));
}

export function planText(plan: LayoutPlan): string {
  const lines = [`${plan.node}/${plan.index} ${plan.uuid}`];
  for (const slice of plan.keep) lines.push(`  keep    ${slice.profile}@${slice.start}  ${slice.workload ?? 'free'}`);
  for (const slice of plan.destroy) lines.push(`- destroy ${slice.profile}@${slice.start}`);
  for (const slice of plan.create) lines.push(`+ create  ${slice.profile}@${slice.start}`);
  if (plan.modeChange !== 'none') lines.push(`MIG mode: ${plan.modeChange}`);
  // Nothing listed: the plan's own words say what it means.
  if (lines.length === 1) lines.push(plan.text);
  lines.push(plan.applied ? 'Ordered; astrago gpus shows it once the node has made it.' : 'Dry run: nothing was changed.');
  return lines.join('\n');
}
