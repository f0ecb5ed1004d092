/** The canonical digest of a naive model of ops, by way of the naive model of dumps. */
import type { IndexDefinition } from '../../src/config/definition.ts';
import type { NaiveOps, NaiveOpsValue } from '../../src/ops/naive-ops.ts';
import { digestOfModel, type ModelDigest } from '../../src/validate/naive-digest.ts';
import type { ModelField } from '../../src/validate/naive-model.ts';

export function digestOfNaiveOps(model: NaiveOps, definition: IndexDefinition): ModelDigest {
  const fields = new Map<string, ModelField>();
  for (const field of definition.fields) {
    const slotsOfValue = new Map<NaiveOpsValue, Set<number>>();
    const valueOfSlot = new Map<number, NaiveOpsValue>();
    for (const [slot, values] of model.fields.get(field.name)!) {
      for (const value of values) {
        valueOfSlot.set(slot, value);
        if (!slotsOfValue.has(value)) slotsOfValue.set(value, new Set());
        slotsOfValue.get(value)!.add(slot);
      }
    }
    const sorted = new Map(
      [...slotsOfValue].map(([value, slots]) => [value, Uint32Array.from(slots).sort()]),
    );
    fields.set(field.name, { definition: field, slotsOfValue: sorted, valueOfSlot });
  }
  return digestOfModel({ definition, alive: model.alive, fields, tables: {}, rejects: [] });
}
