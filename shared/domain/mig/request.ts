// What a person writes to ask for a layout: `3g.40gb,1g.10gb*4`, `3g.40gb@4,2g.20gb`, `whole`, `mig`.
import { inOrder } from './layout.ts';
import { type ProfileName, parseProfileName } from './profile.ts';
import { formatSlice, type WantedSlice } from './slice.ts';

export type LayoutRequest =
  | { readonly kind: 'whole' }
  /** `fixed` slices name their start, `anywhere` ones leave it to us. */
  | { readonly kind: 'mig'; readonly fixed: readonly WantedSlice[]; readonly anywhere: readonly ProfileName[] };

export type ParsedLayoutRequest =
  | { readonly kind: 'request'; readonly request: LayoutRequest }
  | { readonly kind: 'unreadable'; readonly part: string; readonly hint: string };

/** More than any device holds; refuses `*1000000` before anything is allocated. */
export const sliceCountMax = 64;

export function parseLayoutRequest(text: string): ParsedLayoutRequest {
  const trimmed = text.trim();
  if (trimmed === 'whole') return { kind: 'request', request: { kind: 'whole' } };
  if (trimmed === 'mig') return { kind: 'request', request: { kind: 'mig', fixed: [], anywhere: [] } };
  const fixed: WantedSlice[] = [];
  const anywhere: ProfileName[] = [];
  for (const raw of trimmed.split(',')) {
    const part = raw.trim();
    const match = /^([^@*\s]+)(?:@(\d{1,2})|\*(\d{1,3}))?$/.exec(part);
    const profile = match?.[1] === undefined ? undefined : parseProfileName(match[1]);
    if (profile === undefined)
      return { kind: 'unreadable', part, hint: 'write PROFILE, PROFILE@START or PROFILE*COUNT, for example 3g.40gb@0 or 1g.10gb*4' };
    if (match?.[2] !== undefined) {
      fixed.push({ profile, start: Number(match[2]) });
      continue;
    }
    const count = match?.[3] === undefined ? 1 : Number(match[3]);
    if (count < 1 || count > sliceCountMax) return { kind: 'unreadable', part, hint: `a count is 1 to ${sliceCountMax}` };
    for (let made = 0; made < count; made += 1) anywhere.push(profile);
  }
  return { kind: 'request', request: { kind: 'mig', fixed, anywhere } };
}

/** Reads back as the same request: `whole`, `mig`, or `3g.40gb@4,1g.10gb*4`. */
export function formatLayoutRequest(request: LayoutRequest): string {
  if (request.kind === 'whole') return 'whole';
  const counts = Map.groupBy(request.anywhere, (name) => name);
  const parts = [
    ...inOrder(request.fixed).map(formatSlice),
    ...[...counts].map(([name, all]) => (all.length === 1 ? name : `${name}*${all.length}`)).sort(),
  ];
  return parts.length === 0 ? 'mig' : parts.join(',');
}
