/** The WebAssembly kernels alone, in one thread, on windows as the loader gives them: the head of images.csv. */
import { open } from 'node:fs/promises';
import { Bench } from 'tinybench';
import { Random } from '../src/generate/random.ts';
import { SCAN_SLACK_BYTES, SCAN_STATS_BYTES } from '../src/kernels/csv-kernels.ts';
import type { Pointer } from '../src/kernels/kernel-memory.ts';
import { type Kernels, loadKernels } from '../src/kernels/kernels.ts';
import { HISTOGRAM_BYTES, LAYER_STRIDE_BYTES, PAIR_BYTES } from '../src/kernels/page-kernels.ts';
import { StringDictionary } from '../src/kernels/string-dictionary.ts';
import { PAGE_SLOTS, RECORD_BYTES_MAX, WINDOW_BYTES } from '../src/limits.ts';
import { assertAgree } from './difference.ts';
import { type BenchDump, filesOf } from './dump.ts';

export interface KernelResult {
  readonly name: string;
  readonly unit: 'bytes' | 'rows' | 'keys' | 'pairs';
  /** Of `unit`, per call. */
  readonly work: number;
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly perSecond: number;
  readonly runs: number;
}

interface KernelCase {
  readonly name: string;
  readonly unit: KernelResult['unit'];
  readonly work: number;
  readonly run: () => unknown;
  /** Before every run, not measured. */
  readonly prepare?: () => void;
}

const COMMA = 44;
const QUOTE = 34;
const IMAGE_COLUMNS = 11;
const COLUMN = { id: 0, nsfwLevel: 2, type: 5, createdAtSecs: 9 } as const;
const PAIRS = 1_000_000;
const SEED = 11;
const STREAM = 6;
const TIME_MS = 300;
const WARMUP_MS = 100;

export async function measureKernels(dump: BenchDump): Promise<KernelResult[]> {
  const kernels = loadKernels();
  const cases = [...scanCases(kernels, await headOf(dump)), transposeCase(kernels), sortCase(kernels)];
  const bench = new Bench({ time: TIME_MS, warmupTime: WARMUP_MS, retainSamples: false, throws: true });
  for (const { name, run, prepare } of cases) {
    bench.add(name, run, prepare === undefined ? {} : { beforeEach: prepare });
  }
  await bench.run();
  return cases.map((each) => resultOf(each, bench));
}

function resultOf({ name, unit, work }: KernelCase, bench: Bench): KernelResult {
  const result = bench.getTask(name)!.result;
  if (!('latency' in result)) throw new Error(`the kernel ${name} was not measured`);
  const { p50, p99, samplesCount } = result.latency;
  return { name, unit, work, medianMs: p50, p99Ms: p99, perSecond: (work * 1000) / p50, runs: samplesCount };
}

/** Whole records, at most one window of them. */
async function headOf(dump: BenchDump): Promise<Uint8Array> {
  const [{ path }] = filesOf(dump, ['images']);
  const file = await open(path);
  try {
    const bytes = Buffer.alloc(WINDOW_BYTES);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
    return bytes.subarray(0, bytes.subarray(0, bytesRead).lastIndexOf(10) + 1);
  } finally {
    await file.close();
  }
}

function scanCases(kernels: Kernels, text: Uint8Array): KernelCase[] {
  const { memory } = kernels;
  const source = memory.allocate(text.length + SCAN_SLACK_BYTES) + SCAN_SLACK_BYTES;
  // One sentinel entry before the positions; delimiters are less than half of the text.
  const base = memory.allocate(text.length * 2 + SCAN_SLACK_BYTES);
  const stats = memory.allocate(SCAN_STATS_BYTES);
  const scan = (): number => kernels.scan(source, source + text.length, COMMA, QUOTE, base + 4, stats);
  memory.u8.set(text, source);
  memory.u32[base >>> 2] = source - 1;
  const count = scan();
  const rows = count / IMAGE_COLUMNS;
  const check = (): number =>
    kernels.checkRows(base + 4, count, IMAGE_COLUMNS, rows, source, RECORD_BYTES_MAX);
  assertAgree('regular records in the head of images.csv', check(), 1);
  return [
    { name: 'scan', unit: 'bytes', work: text.length, run: scan },
    { name: 'check rows', unit: 'rows', work: rows, run: check },
    ...decodeCases(kernels, base, rows),
  ];
}

function decodeCases(kernels: Kernels, base: Pointer, rows: number): KernelCase[] {
  const { memory } = kernels;
  const out = memory.allocate(rows * 8);
  const nulls = memory.allocate(rows);
  const flags = memory.allocate(rows);
  const dictionary = new StringDictionary(kernels);
  const decode = (kernel: 'decodeUint32' | 'decodeTimestamp', column: number) => (): number =>
    kernels[kernel](base, IMAGE_COLUMNS, column, rows, QUOTE, 0, 0, 0, out, nulls, flags);
  const encode = (): number =>
    dictionary.encode({
      base,
      stride: IMAGE_COLUMNS,
      column: COLUMN.type,
      rows,
      quote: QUOTE,
      escape: QUOTE,
      trimCarriageReturn: 0,
      nullToken: 0,
      nullTokenBytes: 0,
      out,
      nulls,
      flags,
    });
  const unit = 'rows';
  return [
    { name: 'decode uint32, id', unit, work: rows, run: decode('decodeUint32', COLUMN.id) },
    { name: 'decode uint32, nsfwLevel', unit, work: rows, run: decode('decodeUint32', COLUMN.nsfwLevel) },
    {
      name: 'decode timestamp, createdAtSecs',
      unit,
      work: rows,
      run: decode('decodeTimestamp', COLUMN.createdAtSecs),
    },
    { name: 'encode string, type', unit, work: rows, run: encode },
  ];
}

function transposeCase({ memory, transposePage }: Kernels): KernelCase {
  const column = memory.allocate(PAGE_SLOTS * 4);
  const layers = memory.allocate(32 * LAYER_STRIDE_BYTES);
  const random = new Random(SEED, STREAM);
  for (let at = 0; at < PAGE_SLOTS; at++) memory.u32[(column >>> 2) + at] = random.next();
  return {
    name: 'transpose a page, 32 layers',
    unit: 'keys',
    work: PAGE_SLOTS,
    run: () => transposePage(column, layers),
  };
}

function sortCase({ memory, radixSortPairs }: Kernels): KernelCase {
  const [given, pairs, scratch] = [0, 1, 2].map(() => memory.allocate(PAIRS * PAIR_BYTES));
  const histogram = memory.allocate(HISTOGRAM_BYTES);
  const random = new Random(SEED, STREAM);
  for (let at = 0; at < PAIRS; at++) {
    memory.u32[(given >>> 2) + 2 * at] = at;
    memory.u32[(given >>> 2) + 2 * at + 1] = random.next();
  }
  return {
    name: 'radix sort of (key, slot) pairs',
    unit: 'pairs',
    work: PAIRS,
    // Sorted pairs would be an easier case.
    prepare: () => memory.u8.copyWithin(pairs, given, given + PAIRS * PAIR_BYTES),
    run: () => radixSortPairs(pairs, scratch, PAIRS, histogram, 32),
  };
}
