/** Reads a paged list to its end, or to `max` items. */
export async function allPages<T>(
  page: (cursor: string | undefined) => Promise<{ readonly items: readonly T[]; readonly nextCursor?: string | undefined }>,
  max = Number.POSITIVE_INFINITY,
): Promise<{ readonly items: T[]; readonly complete: boolean }> {
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const answer = await page(cursor);
    items.push(...answer.items);
    cursor = answer.nextCursor;
  } while (cursor !== undefined && items.length < max);
  return { items: items.slice(0, max), complete: cursor === undefined && items.length <= max };
}
