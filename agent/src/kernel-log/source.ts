/** Where lines come from; each is given once. */
export interface LineSource extends AsyncDisposable {
  /**
   * The lines that came since the last call, a bounded number. `lost` counts records that were overwritten unread, `more`
   * says that there is more at once. Throws when the log cannot be read; the next call tries anew.
   */
  read(): Promise<{ readonly lines: readonly string[]; readonly lost: number; readonly more: boolean }>;
}

/** How much is taken at a time, so that a log that is written without end stops nothing else. */
export const linesMax = 4096;
