// The route table: one entry a route, read by the server, the OpenAPI document and the client alike.
import { z } from 'zod';
import { ChangeLabels, ChangeTaints } from './labels.ts';
import { Pool, Proposal, PutPool } from './planning.ts';
import { PutReservation, Reservation } from './reservations.ts';
import { ClusterInfo, Gpu, InvariantAudit, LayoutPlan, Node, SetLayout } from './schemas.ts';
import { Snapshot, Why } from './why.ts';
import { Gang, phases, SubmitGang, SubmitWorkload, Workload } from './work.ts';
import { ChangeWorkspace, PutWorkspace, Workspace, WorkspaceSet } from './workspace.ts';

const page = { limit: z.coerce.number().int().min(1).max(1000).default(100), cursor: z.string().optional() };
const listOf = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item), nextCursor: z.string().optional() });
const flag = z
  .enum(['true', 'false'])
  .default('false')
  .transform((text) => text === 'true');
const nodePath = z.object({ node: z.string() });
const workloadPath = z.object({ workload: z.string().describe('Name, or id. A name means the newest workload of that name.') });
const gangPath = z.object({ gang: z.string().describe('Its name, which means the newest gang of that name.') });
const workspacePath = z.object({ workspace: z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/) });
const reservationPath = z.object({ reservation: z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/) });
const idempotencyKey = z.object({ 'idempotency-key': z.string().min(1).max(255).optional() });
const workspaceQuery = z.object({ workspace: z.string().optional() });
const gpuPath = z.object({ node: z.string(), gpu: z.string().describe('Index on its node, or UUID.') });

export const routes = {
  getCluster: { method: 'GET', path: '/api/v1/cluster', summary: 'Version and size', response: ClusterInfo },
  listNodes: { method: 'GET', path: '/api/v1/nodes', summary: 'Nodes', response: listOf(Node) },
  getNode: { method: 'GET', path: '/api/v1/nodes/{node}', summary: 'One node', params: nodePath, response: Node },
  cordonNode: { method: 'POST', path: '/api/v1/nodes/{node}/cordon', summary: 'Take nothing new', params: nodePath, response: Node },
  uncordonNode: { method: 'POST', path: '/api/v1/nodes/{node}/uncordon', summary: 'Take work again', params: nodePath, response: Node },
  labelNode: {
    method: 'POST',
    path: '/api/v1/nodes/{node}/labels',
    summary: 'Set and remove labels; what runs there runs on',
    params: nodePath,
    body: ChangeLabels,
    response: Node,
  },
  taintNode: {
    method: 'POST',
    path: '/api/v1/nodes/{node}/taints',
    summary: 'Add and remove taints; what runs there runs on',
    params: nodePath,
    body: ChangeTaints,
    response: Node,
  },
  listGpus: {
    method: 'GET',
    path: '/api/v1/gpus',
    summary: 'GPUs with their slices',
    query: z.object({ node: z.string().optional() }),
    response: listOf(Gpu),
  },
  setLayout: {
    method: 'PUT',
    path: '/api/v1/nodes/{node}/gpus/{gpu}/layout',
    summary: 'Plan or make a layout; keeps slices in use',
    params: gpuPath,
    query: z.object({ dryRun: flag }),
    body: SetLayout,
    response: LayoutPlan,
  },
  submitWorkload: {
    method: 'POST',
    path: '/api/v1/workloads',
    summary: 'Submit',
    body: SubmitWorkload,
    response: Workload,
    status: 201,
    headers: idempotencyKey,
  },
  submitGang: {
    method: 'POST',
    path: '/api/v1/gangs',
    summary: 'Submit workloads that start together, all of them or none',
    body: SubmitGang,
    response: Gang,
    status: 201,
    headers: idempotencyKey,
  },
  getGang: {
    method: 'GET',
    path: '/api/v1/gangs/{gang}',
    summary: 'One gang with its members',
    params: gangPath,
    query: workspaceQuery,
    response: Gang,
  },
  stopGang: {
    method: 'POST',
    path: '/api/v1/gangs/{gang}/stop',
    summary: 'Stop or cancel every member that has not ended',
    params: gangPath,
    query: workspaceQuery,
    response: Gang,
  },
  listWorkloads: {
    method: 'GET',
    path: '/api/v1/workloads',
    summary: 'Workloads, newest first',
    query: z.object({ ...page, workspace: z.string().optional(), phase: z.enum([...phases, 'live', 'ended']).optional() }),
    response: listOf(Workload),
  },
  getWorkload: {
    method: 'GET',
    path: '/api/v1/workloads/{workload}',
    summary: 'One workload',
    params: workloadPath,
    query: workspaceQuery,
    response: Workload,
  },
  whyWorkload: {
    method: 'GET',
    path: '/api/v1/workloads/{workload}/why',
    summary: 'Why it waits and what would help',
    params: workloadPath,
    query: z.object({ ...workspaceQuery.shape, trace: flag }),
    response: Why,
  },
  stopWorkload: {
    method: 'POST',
    path: '/api/v1/workloads/{workload}/stop',
    summary: 'Stop or cancel',
    params: workloadPath,
    query: workspaceQuery,
    response: Workload,
  },
  workloadLogs: {
    method: 'GET',
    path: '/api/v1/workloads/{workload}/logs',
    summary: 'Output as text, streamed',
    params: workloadPath,
    query: z.object({ workspace: z.string().optional(), follow: flag }),
    response: z.string(),
    text: true,
  },
  listWorkspaces: { method: 'GET', path: '/api/v1/workspaces', summary: 'Workspaces with use and limit', response: listOf(Workspace) },
  getWorkspace: {
    method: 'GET',
    path: '/api/v1/workspaces/{workspace}',
    summary: 'One workspace',
    params: workspacePath,
    response: Workspace,
  },
  putWorkspace: {
    method: 'PUT',
    path: '/api/v1/workspaces/{workspace}',
    summary: 'Make a workspace, or say anew all that it has',
    params: workspacePath,
    query: z.object({ dryRun: flag }),
    body: PutWorkspace,
    response: WorkspaceSet,
  },
  changeWorkspace: {
    method: 'POST',
    path: '/api/v1/workspaces/{workspace}',
    summary: 'Make a workspace, or change some of what it has',
    params: workspacePath,
    query: z.object({ dryRun: flag }),
    body: ChangeWorkspace,
    response: WorkspaceSet,
  },
  listReservations: {
    method: 'GET',
    path: '/api/v1/reservations',
    summary: 'Reservations that are not over, the first to begin first',
    response: listOf(Reservation),
  },
  putReservation: {
    method: 'PUT',
    path: '/api/v1/reservations/{reservation}',
    summary: 'Keep nodes for a workspace for a time, or say anew which and when',
    params: reservationPath,
    body: PutReservation,
    response: Reservation,
  },
  cancelReservation: {
    method: 'POST',
    path: '/api/v1/reservations/{reservation}/cancel',
    summary: 'Give the nodes back to all; what runs there runs on',
    params: reservationPath,
    response: Reservation,
  },
  listPools: { method: 'GET', path: '/api/v1/pools', summary: 'Pools: the GPUs of one model each', response: listOf(Pool) },
  putPool: {
    method: 'PUT',
    path: '/api/v1/pools/{model}',
    summary: 'Whether plans for a pool are made, shown or carried out',
    params: z.object({ model: z.string().describe('As the driver prints it, or words that only one model has: h100.') }),
    body: PutPool,
    response: Pool,
  },
  listProposals: {
    method: 'GET',
    path: '/api/v1/proposals',
    summary: 'What cutting anew or moving work would let begin',
    response: listOf(Proposal),
  },
  applyProposal: {
    method: 'POST',
    path: '/api/v1/proposals/{proposal}/apply',
    summary: 'Carry a proposal out',
    params: z.object({ proposal: z.string() }),
    response: Proposal,
  },
  getSnapshot: {
    method: 'GET',
    path: '/api/v1/snapshot',
    summary: 'All that the next decision depends on, to make it again elsewhere',
    response: Snapshot,
  },
  auditInvariants: { method: 'GET', path: '/api/v1/audit/invariants', summary: 'Check every invariant now', response: InvariantAudit },
} as const satisfies Record<string, Route>;

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly path: string;
  readonly summary: string;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly headers?: z.ZodObject;
  readonly body?: z.ZodType;
  readonly response: z.ZodType;
  /** 200 when absent. */
  readonly status?: number;
  /** The response is a stream of plain text. */
  readonly text?: boolean;
}

export type RouteName = keyof typeof routes;
