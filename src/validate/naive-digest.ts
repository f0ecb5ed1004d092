/**
 * The canonical digest of a naive model: an implementation of the format described in src/index/digest.ts, written
 * from that description alone.
 */
import { createHash, type Hash } from 'node:crypto';
import type { FieldType } from '../config/definition.ts';
import type { ModelField, ModelValue, NaiveModel } from './naive-model.ts';

export interface ModelDigest {
  index: string;
  alive: string;
  fields: Record<string, { filter?: string; sort?: string }>;
}

export function digestOfModel(model: NaiveModel): ModelDigest {
  const alive = createHash('sha256');
  updateSlots(alive, Uint32Array.from(model.alive).sort());
  const aliveHex = alive.digest('hex');
  const lines = [`alive ${aliveHex}`];
  const fields: ModelDigest['fields'] = {};
  const names = [...model.fields.keys()].sort(compareUtf8);
  for (const name of names) {
    const field = model.fields.get(name)!;
    const parts: { filter?: string; sort?: string } = {};
    if (field.definition.filter) {
      parts.filter = filterDigest(field);
      lines.push(`filter ${name} ${parts.filter}`);
    }
    if (field.definition.sort) {
      parts.sort = sortDigest(field);
      lines.push(`sort ${name} ${parts.sort}`);
    }
    fields[name] = parts;
  }
  const index = createHash('sha256')
    .update(lines.map((line) => `${line}\n`).join(''))
    .digest('hex');
  return { index, alive: aliveHex, fields };
}

/** Values in canonical order: false before true, integers ascending, strings by their UTF-8 bytes. */
export function valuesInOrder(field: ModelField): ModelValue[] {
  const values = [...field.slotsOfValue.keys()];
  if (field.definition.type === 'string') return (values as string[]).sort(compareUtf8);
  return values.sort((a, b) => Number(a) - Number(b));
}

function filterDigest(field: ModelField): string {
  const hash = createHash('sha256');
  for (const value of valuesInOrder(field)) {
    const text = Buffer.from(String(value), 'utf8');
    hash.update(u32(text.length)).update(text);
    updateSlots(hash, field.slotsOfValue.get(value)!);
  }
  return hash.digest('hex');
}

function sortDigest(field: ModelField): string {
  const slots = Uint32Array.from(field.valueOfSlot.keys()).sort();
  const keys = slots.map((slot) => sortKey(field.definition.type, field.valueOfSlot.get(slot)!));
  const hash = createHash('sha256').update(u64(slots.length));
  const pairs = new Uint32Array(slots.length * 2);
  for (let index = 0; index < slots.length; index++) {
    pairs[index * 2] = slots[index];
    pairs[index * 2 + 1] = keys[index];
  }
  hash.update(littleEndian(pairs));
  for (let bit = 0; bit < 32; bit++) {
    const layer = slots.filter((_, index) => ((keys[index] >>> bit) & 1) === 1);
    if (layer.length === 0) continue;
    hash.update(u32(bit));
    updateSlots(hash, layer);
  }
  return hash.digest('hex');
}

function sortKey(type: FieldType, value: ModelValue): number {
  return type === 'int32' ? Number(value) + 2 ** 31 : Number(value);
}

/** Count and slots, both as the format writes them. */
function updateSlots(hash: Hash, slots: Uint32Array): void {
  hash.update(u64(slots.length)).update(littleEndian(slots));
}

function littleEndian(values: Uint32Array): Buffer {
  const bytes = Buffer.allocUnsafe(values.length * 4);
  for (let index = 0; index < values.length; index++) bytes.writeUInt32LE(values[index], index * 4);
  return bytes;
}

function u32(value: number): Buffer {
  return littleEndian(Uint32Array.of(value));
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function compareUtf8(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));
}
