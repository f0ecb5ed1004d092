/** One queryOpSet over nearly a third of an index: bulk algebra of bitmaps, beside a bitmap call per match. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { normaliseDefinition } from '../src/config/parse.ts';
import { Engine } from '../src/engine/engine.ts';
import { RoaringBitmap32 } from '../src/index/roaring.ts';
import { BatchBuilder } from '../src/ops/batch-builder.ts';
import { OP_SET } from '../src/ops/op.ts';
import { encodeBatch } from '../src/ops/op-codec.ts';
import { assertAgree } from './difference.ts';
import { compareInTurn, type Ratio, roundSamples, type Summary, summarise } from './measure.ts';

export interface BulkResult {
  readonly slots: number;
  readonly matches: number;
  /** From the call to everything durable, visible and counted. */
  readonly wallMs: Summary;
  readonly peer: { readonly name: string; readonly wallMs: Summary; readonly ratio: Ratio };
  readonly samples: readonly number[];
}

const DEFINITION = {
  name: 'bulk',
  fields: {
    group: { type: 'uint32', index: 'filter' },
    state: { type: 'uint32', index: ['filter', 'sort'] },
  },
  tables: {
    rows: {
      csv: { columns: ['id', 'group', 'state'] },
      slot: 'id',
      alive: true,
      fields: { group: 'group', state: 'state' },
    },
  },
};
const GROUP = 0;
const STATE = 1;
const MATCHING = 7;
const BATCH_ENTITIES = 50_000;
const STATE_BITS = 5;

/** Of ten slots three match. */
export async function measureBulk(slots: number, repeats: number, directory: string): Promise<BulkResult> {
  const matches = Math.ceil((slots / 10) * 3);
  const data = join(directory, 'bulk');
  const definition = normaliseDefinition(DEFINITION);
  const index = await Engine.open({ definition: definition.normalised as object, directory: data });
  const samples: number[] = [];
  const plainSamples: number[] = [];
  try {
    await fill(index, slots);
    const plain = new PlainStates(slots);
    for (let run = 0; run <= repeats; run++) {
      const state = 10 + (run % 2);
      const startMs = performance.now();
      await index.apply({
        ops: [
          {
            slot: 0,
            ops: [
              {
                op: 'queryOpSet',
                where: { group: MATCHING },
                ops: [{ op: 'set', field: 'state', value: state }],
              },
            ],
          },
        ],
      });
      const changed = await index.count({ state });
      const wallMs = performance.now() - startMs;
      assertAgree('slots that a queryOpSet changed', changed, matches);
      const plainMs = plain.setAll(state);
      if (run === 0) continue;
      samples.push(wallMs);
      plainSamples.push(plainMs);
    }
  } finally {
    await index.close();
    await rm(data, { recursive: true });
  }
  return {
    slots,
    matches,
    wallMs: summarise(samples),
    peer: {
      name: 'bitmap calls per match',
      wallMs: summarise(plainSamples),
      ratio: compareInTurn(samples, plainSamples),
    },
    samples: roundSamples(samples),
  };
}

async function fill(index: Engine, slots: number): Promise<void> {
  for (let from = 0; from < slots; from += BATCH_ENTITIES) {
    const builder = new BatchBuilder(index.definition);
    for (let slot = from; slot < Math.min(slots, from + BATCH_ENTITIES); slot++) {
      builder.addEntity(slot, true, null);
      builder.addOp(OP_SET, GROUP, slot % 10 < 3 ? MATCHING : 1);
      builder.addOp(OP_SET, STATE, 1);
    }
    await index.applyEncoded(encodeBatch(builder.finish(null)));
  }
}

/** The same content, changed slot by slot. */
class PlainStates {
  readonly #matching = new RoaringBitmap32();
  readonly #states = new Map<number, RoaringBitmap32>();
  readonly #layers = Array.from({ length: STATE_BITS }, () => new RoaringBitmap32());
  readonly #stateOf: Uint32Array;

  constructor(slots: number) {
    this.#stateOf = new Uint32Array(slots).fill(1);
    this.#states.set(1, RoaringBitmap32.fromRange(0, slots));
    this.#layers[0].addRange(0, slots);
    for (let slot = 0; slot < slots; slot++) if (slot % 10 < 3) this.#matching.add(slot);
  }

  setAll(state: number): number {
    const startMs = performance.now();
    if (!this.#states.has(state)) this.#states.set(state, new RoaringBitmap32());
    for (const slot of this.#matching) {
      this.#states.get(this.#stateOf[slot])!.delete(slot);
      this.#states.get(state)!.add(slot);
      this.#stateOf[slot] = state;
      for (let bit = 0; bit < STATE_BITS; bit++) {
        if (((state >>> bit) & 1) === 1) this.#layers[bit].add(slot);
        else this.#layers[bit].delete(slot);
      }
    }
    return performance.now() - startMs;
  }
}
