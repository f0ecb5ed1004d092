/** One line on standard error that is rewritten in place on a terminal; on anything else it stays silent. */

/** The part of a stream this needs; `columns` is undefined when the output is not a terminal. */
export interface StatusOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const REDRAW_INTERVAL_MS = 50;
const CLEAR_LINE = '\r\u001b[2K';

export class StatusLine {
  readonly #output: StatusOutput;
  readonly #enabled: boolean;
  #drawnAtMs = Number.NEGATIVE_INFINITY;
  #shown = false;

  constructor(output: StatusOutput, enabled: boolean = output.isTTY === true) {
    this.#output = output;
    this.#enabled = enabled;
  }

  /** Draws at most once per interval; `force` is for a line the next one will not resemble. */
  show(text: string, force = false): void {
    if (!this.#enabled) return;
    const nowMs = performance.now();
    if (!force && nowMs - this.#drawnAtMs < REDRAW_INTERVAL_MS) return;
    this.#drawnAtMs = nowMs;
    this.#shown = true;
    // One column is left free: a line as wide as the terminal wraps in some of them.
    this.#output.write(CLEAR_LINE + text.slice(0, (this.#output.columns ?? 80) - 1));
  }

  /** Leaves a clean line behind. Safe to call again. */
  clear(): void {
    if (!this.#shown) return;
    this.#shown = false;
    this.#output.write(CLEAR_LINE);
  }
}
