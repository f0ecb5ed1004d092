/** Line feeds in quoted fields at every cut: guesses go wrong, results never do. */
import { openIndex } from 'bitloom';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../temporary.ts';

const temporary = temporaryDirectory();

const DEFINITION = {
  name: 'letters',
  fields: { topic: { type: 'uint32', index: 'filter' }, text: { type: 'string', index: 'filter' } },
  tables: {
    letters: {
      csv: { columns: ['id', 'topic', 'text'] },
      slot: 'id',
      alive: true,
      fields: { topic: 'topic', text: 'text' },
    },
  },
};

/** Each text holds lines that look exactly like records of the file. */
function deceptiveFile(records: number): string {
  let csv = '';
  for (let id = 1; id <= records; id++) {
    const lines = Array.from({ length: id % 23 }, (_value, line) => `${900_000 + line},${line},fake`);
    csv += `${id},${id % 7},"letter ${id % 5}\n${lines.join('\n')}"\n`;
  }
  return csv;
}

test('records inside quoted fields are never taken for records, and the mending shows', async () => {
  const RECORDS = 400;
  const csv = deceptiveFile(RECORDS);
  const file = temporary.write('letters.csv', csv);
  const index = await openIndex({ definition: DEFINITION, inProcess: true });
  try {
    const whole = await index.load({ letters: file }, { threads: 1 });
    expect(whole.tables.letters).toMatchObject({ chunks: 1, mendedChunks: 0, rows: RECORDS });
    let mended = 0;
    const { digest } = await index.stats({ digest: true });
    for (const chunkLines of [1, 3, 10, 100]) {
      const report = await index.load({ letters: file }, { threads: 2, chunkLines });
      const { chunks, mendedChunks, rows, lines } = report.tables.letters;
      expect({ rows, lines }).toEqual({ rows: RECORDS, lines: csv.split('\n').length - 1 });
      expect(chunks).toBeGreaterThan(1);
      mended += mendedChunks;
      expect((await index.stats({ digest: true })).digest).toEqual(digest);
    }
    expect(mended).toBeGreaterThan(0);
    expect(await index.count({ topic: 3 })).toBe(Math.ceil((RECORDS - 2) / 7));
    expect(await index.count({ text: 'fake' })).toBe(0);
  } finally {
    await index.close();
  }
});

test('a record longer than several chunks is one record', async () => {
  const long = 'x\n'.repeat(5000);
  const file = temporary.write('long.csv', `1,1,short\n2,2,"${long}"\n3,3,short\n`);
  const index = await openIndex({ definition: DEFINITION, inProcess: true });
  try {
    const report = await index.load({ letters: file }, { threads: 2, chunkLines: 10 });
    expect(report.tables.letters).toMatchObject({ rows: 3, lines: 5003 });
    expect((await index.query({ where: { text: long } })).ids).toEqual([2]);
  } finally {
    await index.close();
  }
});
