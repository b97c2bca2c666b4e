// The route table: one entry a route, read by the server, the OpenAPI document and the client alike.
import { z } from 'zod';
import {
  ClusterInfo,
  Gpu,
  InvariantAudit,
  LayoutPlan,
  Node,
  PutWorkspace,
  phases,
  SetLayout,
  Snapshot,
  SubmitWorkload,
  Why,
  Workload,
  Workspace,
} from './schemas.ts';

const page = { limit: z.coerce.number().int().min(1).max(1000).default(100), cursor: z.string().optional() };
const listOf = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item), nextCursor: z.string().optional() });
const flag = z
  .enum(['true', 'false'])
  .default('false')
  .transform((text) => text === 'true');
const nodePath = z.object({ node: z.string() });
const workloadPath = z.object({ workload: z.string().describe('Name, or id. A name means the newest workload of that name.') });
const workspaceQuery = z.object({ workspace: z.string().optional() });
const gpuPath = z.object({ node: z.string(), gpu: z.string().describe('Index on its node, or UUID.') });

export const routes = {
  getCluster: { method: 'GET', path: '/api/v1/cluster', summary: 'Version and size', response: ClusterInfo },
  listNodes: { method: 'GET', path: '/api/v1/nodes', summary: 'Nodes', response: listOf(Node) },
  getNode: { method: 'GET', path: '/api/v1/nodes/{node}', summary: 'One node', params: nodePath, response: Node },
  cordonNode: { method: 'POST', path: '/api/v1/nodes/{node}/cordon', summary: 'Take nothing new', params: nodePath, response: Node },
  uncordonNode: { method: 'POST', path: '/api/v1/nodes/{node}/uncordon', summary: 'Take work again', params: nodePath, response: Node },
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
    headers: z.object({ 'idempotency-key': z.string().min(1).max(255).optional() }),
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
  putWorkspace: {
    method: 'PUT',
    path: '/api/v1/workspaces/{workspace}',
    summary: 'Make a workspace or set its limit',
    params: z.object({ workspace: z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/) }),
    body: PutWorkspace,
    response: Workspace,
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
