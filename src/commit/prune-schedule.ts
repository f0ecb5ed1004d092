/**
 * Which versions are old enough to be forgotten. A leader notes the durable version at intervals of its own clock; what
 * was durable a window ago is the floor of that window. A new leader has noted nothing and so forgets nothing for as long.
 */

interface Note {
  readonly atMs: number;
  readonly version: number;
}

export class PruneSchedule {
  readonly #notes: Note[] = [];
  readonly #windowMsMax: number;

  constructor(windowMsMax: number) {
    this.#windowMsMax = windowMsMax;
  }

  note(atMs: number, version: number): void {
    this.#notes.push({ atMs, version });
    // The newest note outside the longest window is the last one that anybody asks for.
    const first = this.#notes.findLastIndex((note) => note.atMs <= atMs - this.#windowMsMax);
    if (first > 0) this.#notes.splice(0, first);
  }

  /** The highest version known to have been durable `windowMs` before `nowMs`; 0 when none is. */
  floor(nowMs: number, windowMs: number): number {
    return this.#notes.findLast(({ atMs }) => atMs <= nowMs - windowMs)?.version ?? 0;
  }
}
