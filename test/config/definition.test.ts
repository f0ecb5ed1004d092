import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { IndexDefinition } from '../../src/config/definition.ts';
import { normaliseDefinition, parseDefinition, readDefinition } from '../../src/config/parse.ts';
import { BitloomError } from '../../src/errors.ts';
import { DEFINITION_BYTES_MAX } from '../../src/limits.ts';

const example = `name: images
fields:
  nsfwLevel:   { type: uint32,  index: filter }
  type:        { type: string,  index: filter }
  tagIds:      { type: uint32,  index: filter, many: true }
  hasMeta:     { type: boolean, index: filter }
  existedAt:   { type: timestamp, index: sort }
  width:       { type: uint32,  index: [filter, sort] }
tables:
  images:
    csv:    { columns: [id, url, nsfwLevel, flags, type, scannedAtSecs, createdAtSecs, width] }
    slot:   id
    alive:  true            # rows of this table make slots alive
    fields:
      nsfwLevel: nsfwLevel
      type: type
      width: width
      hasMeta: (flags >> 13 & 1) == 1 && (flags >> 2 & 1) == 0
      existedAt: max(scannedAtSecs, createdAtSecs)
  tags:
    csv:    { columns: [tagId, imageId] }
    slot:   imageId
    fields: { tagIds: tagId }
    where:  tagId > 0       # optional row filter
`;

interface PlainDefinition {
  fields: Record<string, { many?: boolean | undefined }>;
  tables: Record<string, { where?: string; csv: { columns: string[] } }>;
}

/** The error of a definition text: first line of the message with place, and the hint. */
function problemOf(text: string): { at: string; message: string; hint: string | undefined; others: number } {
  const error = errorOf(() => parseDefinition(text, 'index.yaml'));
  const others = (error.details!.problems as unknown[]).length - 1;
  const at = `${error.at?.file}:${error.at?.line}:${error.at?.column}`;
  return { at, message: error.message.split('\n')[0], hint: error.hint, others };
}

function errorOf(action: () => unknown): BitloomError {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(BitloomError);
    expect((error as BitloomError).code).toBe('DEFINITION_INVALID');
    return error as BitloomError;
  }
  throw new Error('no error was thrown');
}

/** The example with one part replaced, which must occur. */
function changed(from: string, to: string): string {
  expect(example).toContain(from);
  return example.replace(from, () => to);
}

function table(definition: IndexDefinition, name: string) {
  return definition.tables.find((candidate) => candidate.name === name)!;
}

describe('parseDefinition', () => {
  it('reads the example with every default filled in', () => {
    const definition = parseDefinition(example, 'index.yaml');
    expect(definition.name).toBe('images');
    expect(definition.fields).toEqual([
      { name: 'nsfwLevel', type: 'uint32', filter: true, sort: false, many: false },
      { name: 'type', type: 'string', filter: true, sort: false, many: false },
      { name: 'tagIds', type: 'uint32', filter: true, sort: false, many: true },
      { name: 'hasMeta', type: 'boolean', filter: true, sort: false, many: false },
      { name: 'existedAt', type: 'timestamp', filter: false, sort: true, many: false },
      { name: 'width', type: 'uint32', filter: true, sort: true, many: false },
    ]);
    const tags = table(definition, 'tags');
    expect(tags.csv).toEqual({
      columns: ['tagId', 'imageId'],
      delimiter: ',',
      quote: '"',
      escape: '"',
      null: '',
      gzip: null,
    });
    expect([tags.slot, tags.alive]).toEqual(['imageId', false]);
    expect(tags.where).toMatchObject({ kind: 'binary', operator: '>', left: { columnType: 'integer' } });
    const images = table(definition, 'images');
    expect(images.alive).toBe(true);
    expect(images.where).toBeNull();
    expect(images.fields[4].field).toBe(definition.fields[4]);
    expect(images.fields[4].expression).toMatchObject({
      kind: 'call',
      arguments: [{ columnType: 'timestamp' }, { columnType: 'timestamp' }],
    });
  });

  it('reads JSON', () => {
    const { normalised, hash } = parseDefinition(example, 'index.yaml');
    expect(parseDefinition(JSON.stringify(normalised), 'index.json').hash).toBe(hash);
  });

  it('reads a file that starts with a byte order mark, with the columns of errors unmoved', () => {
    expect(parseDefinition(`\ufeff${example}`, 'index.yaml').name).toBe('images');
    expect(problemOf(`\ufeff${changed('name:', 'nam:')}`).at).toBe('index.yaml:1:1');
  });

  it('keeps keys as they are spelled, also null', () => {
    const text = changed('[tagId, imageId] }', '[tagId, imageId], null: \\N, gzip: true }');
    const tags = table(parseDefinition(text, 'index.yaml'), 'tags');
    expect(tags.csv).toMatchObject({ null: '\\N', gzip: true });
  });

  it('takes the escape from the quote', () => {
    const text = changed('[tagId, imageId] }', `[tagId, imageId], quote: "'" }`);
    expect(table(parseDefinition(text, 'f'), 'tags').csv).toMatchObject({ quote: "'", escape: "'" });
  });

  it('shares parts through aliases, up to a limit', () => {
    const text = changed('fields: { tagIds: tagId }', 'fields: &same { tagIds: tagId }').concat(
      '  more: { slot: imageId, fields: *same }\n',
    );
    expect(table(parseDefinition(text, 'f'), 'more').fields[0].field.name).toBe('tagIds');
    const levels = Array.from(
      { length: 12 },
      (_, level) => `l${level + 1}: &l${level + 1} [${`*l${level}, `.repeat(9)}]`,
    );
    const bomb = ['l0: &l0 [x]', ...levels].join('\n');
    expect(errorOf(() => parseDefinition(bomb, 'f')).message).toContain('too large');
  });

  it('takes a mapping that is exactly a column name as that column', () => {
    const text = changed(
      'csv:    { columns: [tagId, imageId] }',
      'csv: { columns: ["tag - id", tag, id, imageId, "1"] }',
    )
      .replace('tagIds: tagId', 'tagIds: tag - id')
      .replace('tagId > 0', "'`tag - id` > 0'");
    const tags = table(parseDefinition(text, 'f'), 'tags');
    expect(tags.fields[0].expression).toMatchObject({ kind: 'column', name: 'tag - id' });
    expect(tags.where).toMatchObject({ left: { kind: 'column', name: 'tag - id' } });
    const one = table(parseDefinition(text.replace('tagIds: tag - id', 'tagIds: 1'), 'f'), 'tags');
    expect(one.fields[0].expression).toMatchObject({ kind: 'column', name: '1' });
  });

  it('takes a YAML number or boolean as a literal', () => {
    const text = changed('width: width', 'width: 7');
    expect(table(parseDefinition(text, 'f'), 'images').fields[2].expression).toEqual({
      kind: 'literal',
      value: 7,
      type: 'integer',
    });
  });
});

describe('errors of a definition', () => {
  const cases: [string, string, string, string, string, string | RegExp | undefined][] = [
    [
      'an unknown key',
      'slot:   imageId',
      'slots:  imageId',
      '22:5',
      'tables.tags.slots: unknown key "slots"',
      'did you mean "slot"?',
    ],
    [
      'an unknown key of a field',
      'many: true',
      'manny: true',
      '5:48',
      'fields.tagIds.manny: unknown key "manny"',
      'did you mean "many"?',
    ],
    [
      'an unknown key of csv',
      '{ columns: [tagId',
      '{ header: 1, columns: [tagId',
      '21:15',
      'tables.tags.csv.header: unknown key "header"',
      /known keys: columns/,
    ],
    [
      'an unknown type',
      'width:       { type: uint32',
      'width:       { type: uint31',
      '8:24',
      'fields.width.type: expected boolean, uint32, int32, string or timestamp, found "uint31"',
      'did you mean "uint32"?',
    ],
    [
      'an unknown index',
      'index: [filter, sort]',
      'index: [filter, sorted]',
      '8:40',
      'fields.width.index: expected filter, sort or [filter, sort], found a list',
      undefined,
    ],
    [
      'a missing key',
      'slot:   imageId',
      '',
      '20:3',
      'tables.tags: missing key "slot"',
      'add slot: a non-empty string',
    ],
    [
      'a wrong kind of value',
      'alive:  true',
      'alive:  yes',
      '13:13',
      'tables.images.alive: expected true or false, found "yes"',
      undefined,
    ],
    [
      'a number for a name',
      'name: images',
      'name: 7',
      '1:7',
      'name: expected a non-empty string, found 7',
      'put it in quotes: "7"',
    ],
    [
      'null for an expression',
      'width: width',
      'width:',
      '17:13',
      'tables.images.fields.width: expected a column name or an expression, found nothing (null)',
      undefined,
    ],
    [
      'a duplicate key',
      'name: images',
      'name: images\nname: other',
      '2:1',
      'name: duplicate key "name"',
      'keep one of them',
    ],
    [
      'two fields of one name',
      '  width:  ',
      '  type:  ',
      '8:3',
      'fields.type: duplicate key "type"',
      'keep one of them',
    ],
    [
      'a duplicate column',
      '[tagId, imageId]',
      '[tagId, imageId, tagId]',
      '21:41',
      'tables.tags.csv.columns[2]: duplicate column "tagId"',
      /name of its own/,
    ],
    [
      'a field that no table maps',
      '      width: width\n',
      '',
      '8:3',
      'fields.width: no table maps this field',
      /tables.<table>.fields.width/,
    ],
    [
      'sort on a string',
      'type: string,  index: filter',
      'type: string,  index: sort',
      '4:40',
      'fields.type.index: a string field cannot have a sort index',
      'use index: filter',
    ],
    [
      'sort on a many field',
      'index: filter, many',
      'index: [sort], many',
      '5:40',
      'fields.tagIds.index: a field with many: true cannot have a sort index',
      'use index: filter',
    ],
    [
      'a table mapping an undefined field',
      '      width: width',
      '      width: width\n      heigth: width',
      '18:7',
      'tables.images.fields.heigth: unknown field "heigth"',
      'add it to fields, or remove it here',
    ],
    [
      'no table with alive: true',
      'alive:  true',
      'alive:  false',
      '9:1',
      'tables: no table has alive: true, so every query would be empty',
      /alive: true/,
    ],
    [
      'a slot that is no column',
      'slot:   imageId',
      'slot:   imagId',
      '22:13',
      'tables.tags.slot: the slot column "imagId" is not in csv.columns',
      'did you mean "imageId"?',
    ],
    [
      'a string for an integer field',
      'width: width',
      `width: '"wide"'`,
      '17:15',
      'tables.images.fields.width: expected an integer, found a string',
      /no conversions/,
    ],
    [
      'an unknown column',
      'tagId > 0',
      'tagid > 0',
      '24:13',
      'tables.tags.where: unknown column "tagid"',
      'did you mean "tagId"?',
    ],
    [
      'a field used as a column',
      'tagId > 0',
      'hasMeta',
      '24:13',
      'tables.tags.where: unknown column "hasMeta"',
      /it is a field/,
    ],
    [
      'a syntax error in an expression',
      '(flags >> 2 & 1) == 0',
      '(flags >> 2 & 1 == 0',
      '18:62',
      'tables.images.fields.hasMeta: expected an operator or ")", found the end of the expression',
      undefined,
    ],
    [
      'a type error inside an expression',
      '>> 2 & 1',
      '>> 2 & true',
      '18:56',
      'tables.images.fields.hasMeta: expected an integer, found a boolean',
      /boolean is not a number/,
    ],
    [
      'an integer for a boolean',
      'tagId > 0',
      'tagId & 1',
      '24:19',
      'tables.tags.where: expected a boolean, found an integer',
      /!= 0/,
    ],
    [
      'a literal that its field cannot hold',
      'width: width',
      'width: -1',
      '17:14',
      'tables.images.fields.width: -1 does not fit a uint32 field',
      /0 to 4294967295/,
    ],
    [
      'a reserved name',
      '  width:  ',
      '  AND:  ',
      '8:3',
      'fields.AND: the name AND is reserved',
      'choose another name',
    ],
    [
      'a control character in a name',
      '  width:  ',
      '  "wi\\tdth":  ',
      '8:3',
      'fields["wi\\tdth"]: a name cannot hold control characters',
      undefined,
    ],
    ['an empty name', '  width:  ', '  "":  ', '8:3', 'fields[""]: a name cannot be empty', undefined],
    [
      'a delimiter of two characters',
      '{ columns: [tagId',
      '{ delimiter: "||", columns: [tagId',
      '21:26',
      'tables.tags.csv.delimiter: expected a single ASCII character, found "||"',
      undefined,
    ],
    [
      'a delimiter that is not one byte',
      '{ columns: [tagId',
      '{ delimiter: é, columns: [tagId',
      '21:26',
      'tables.tags.csv.delimiter: expected a single ASCII character, found "é"',
      undefined,
    ],
    [
      'a delimiter that is the quote',
      '{ columns: [tagId',
      `{ delimiter: '"', columns: [tagId`,
      '21:26',
      'tables.tags.csv.delimiter: the delimiter must differ from quote and escape',
      /both are/,
    ],
    [
      'a line break as quote',
      '{ columns: [tagId',
      '{ quote: "\\n", columns: [tagId',
      '21:22',
      'tables.tags.csv.quote: quote cannot be a line break',
      undefined,
    ],
    [
      'a null text that looks quoted',
      '{ columns: [tagId',
      `{ null: '""', columns: [tagId`,
      '21:21',
      'tables.tags.csv.null: the null text cannot hold the delimiter or the quote',
      /unquoted/,
    ],
    [
      'another encoding',
      '{ columns: [tagId',
      '{ encoding: latin1, columns: [tagId',
      '21:25',
      'tables.tags.csv.encoding: expected utf8, the only encoding, found "latin1"',
      undefined,
    ],
    [
      'an exclamation mark without quotes',
      'tagId > 0',
      '!isNull(tagId)',
      '24:13',
      'tables.tags.where: "!isNull(tagId)" is a YAML tag, not a value',
      /in quotes/,
    ],
    [
      'broken YAML',
      'slot:   imageId',
      'slot:   [imageId',
      '23:5',
      expect.any(String) as unknown as string,
      /YAML/,
    ],
  ];

  for (const [title, from, to, place, message, hint] of cases) {
    it(`names the place of ${title}`, () => {
      const problem = problemOf(changed(from, to));
      expect({ at: problem.at, message: problem.message }).toEqual({ at: `index.yaml:${place}`, message });
      if (hint instanceof RegExp) expect(problem.hint).toMatch(hint);
      else expect(problem.hint).toBe(hint);
    });
  }

  it('points into quoted, escaped and folded expressions', () => {
    const places: [string, string][] = [
      [`where:  'tagId > oops'`, '24:22'],
      [`where:  '"it''s" == oops'`, '24:25'],
      [`where:  "\\x74agId > \\u0074agId + oops"`, '24:38'],
      [`where:  "\\"a\\tb\\" == oops"`, '24:26'],
      ['where:  tagId > 0 &&\n            oops > 0', '25:13'],
      ['where: |\n      tagId > 0 &&\n      oops > 0', '26:7'],
      ['where: >-\n      tagId > 0 &&\n      oops > 0', '26:7'],
    ];
    for (const [line, place] of places) {
      const problem = problemOf(changed('where:  tagId > 0       # optional row filter', line));
      expect([line, problem.at, problem.message]).toEqual([
        line,
        `index.yaml:${place}`,
        'tables.tags.where: unknown column "oops"',
      ]);
    }
  });

  it('reports every problem of a file, the first one first', () => {
    const text = changed('many: true', 'manny: true')
      .replace('tagId > 0', 'tagi > 0')
      .replace('alive:  true', 'alive: 1');
    const error = errorOf(() => parseDefinition(text, 'index.yaml'));
    expect(error.at).toEqual({ file: 'index.yaml', line: 5, column: 48 });
    expect(error.message.split('\n')).toEqual([
      'fields.tagIds.manny: unknown key "manny"',
      'and 2 more problems:',
      '  index.yaml:13:12: tables.images.alive: expected true or false, found 1',
      '  index.yaml:24:13: tables.tags.where: unknown column "tagi" (did you mean "tagId"?)',
    ]);
    expect(error.details!.problems).toHaveLength(3);
    expect((error.details!.problems as unknown[])[2]).toMatchObject({
      path: ['tables', 'tags', 'where'],
      at: { line: 24, column: 13 },
    });
  });

  it('refuses what is no definition at all', () => {
    for (const text of [
      '',
      '- a',
      'text',
      'null',
      '['.repeat(20_000),
      '? [a]\n: b',
      'a: {b: *c}',
      '%YAML 9\n---\n',
    ]) {
      expect(errorOf(() => parseDefinition(text, 'f')).at?.line).toBe(1);
    }
  });
});

describe('normaliseDefinition', () => {
  it('takes a plain object and ignores keys that are undefined', () => {
    const { normalised, hash } = parseDefinition(example, 'index.yaml');
    const value = structuredClone(normalised) as PlainDefinition;
    value.fields.width.many = undefined;
    expect(normaliseDefinition(value).hash).toBe(hash);
  });

  it('names the key path in errors', () => {
    const value = structuredClone(parseDefinition(example, 'f').normalised) as PlainDefinition;
    value.tables.tags.where = 'tagId > "x"';
    const error = errorOf(() => normaliseDefinition(value));
    expect(error.message).toBe('tables.tags.where: > does not apply to strings');
    expect(error.at).toEqual({});
    expect(errorOf(() => normaliseDefinition(value, 'here')).at).toEqual({ file: 'here' });
  });

  it('is not reached by later changes to the object', () => {
    const value = structuredClone(parseDefinition(example, 'f').normalised) as PlainDefinition;
    const definition = normaliseDefinition(value);
    value.tables.tags.csv.columns[0] = 'other';
    expect(table(definition, 'tags').csv.columns![0]).toBe('tagId');
  });

  it('refuses values that are no definition', () => {
    const cycle: Record<string, unknown> = { name: 'x' };
    cycle.fields = cycle;
    for (const value of [null, undefined, 7, 'text', [], cycle, new Map()])
      errorOf(() => normaliseDefinition(value));
  });
});

describe('readDefinition', () => {
  it('reads a file, and says what is wrong with one it cannot read', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'bitloom-definition-'));
    try {
      const path = join(directory, 'index.yaml');
      await writeFile(path, example);
      expect((await readDefinition(path)).hash).toBe(parseDefinition(example, 'f').hash);
      await expect(readDefinition(join(directory, 'no.yaml'))).rejects.toMatchObject({
        code: 'DEFINITION_UNREADABLE',
        at: { file: join(directory, 'no.yaml') },
      });
      await expect(readDefinition(directory)).rejects.toMatchObject({ code: 'DEFINITION_UNREADABLE' });
      await writeFile(path, Uint8Array.of(0x6e, 0xff));
      await expect(readDefinition(path)).rejects.toMatchObject({ code: 'DEFINITION_INVALID', hint: /UTF-8/ });
      await writeFile(path, '#'.repeat(DEFINITION_BYTES_MAX + 1));
      await expect(readDefinition(path)).rejects.toMatchObject({ code: 'DEFINITION_INVALID', hint: /dump/ });
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

describe('hash', () => {
  const base = parseDefinition(example, 'f');

  it('is stable under key order, comments, formatting and spelled-out defaults', () => {
    const variants = [
      changed('name: images\n', '').concat('name: images # the end\n'),
      changed(
        '{ type: uint32,  index: [filter, sort] }',
        '{ index: [sort, filter], many: false, type: uint32 }',
      ),
      changed('(flags >> 13 & 1) == 1 && (flags >> 2 & 1) == 0', '((flags>>13)&1)==1&&flags >> 2 & 1 == 0x0'),
      changed(
        '[tagId, imageId] }',
        '[tagId, imageId], delimiter: ",", escape: "\\"", encoding: utf8, null: "" }',
      ),
      changed('nsfwLevel: nsfwLevel\n      type: type', "type: '`type`'\n      nsfwLevel: nsfwLevel"),
    ];
    for (const text of variants) {
      const definition = parseDefinition(text, 'other');
      expect(definition.hash).toBe(base.hash);
      expect(table(definition, 'images').hash).toBe(table(base, 'images').hash);
    }
  });

  it('changes with anything that has a meaning', () => {
    const changes: [string, string][] = [
      ['name: images', 'name: pictures'],
      ['index: filter, many: true', 'index: filter'],
      ['type: uint32,  index: [filter, sort]', 'type: int32,  index: [filter, sort]'],
      ['index: [filter, sort]', 'index: sort'],
      ['[tagId, imageId]', '[imageId, tagId]'],
      ['[tagId, imageId] }', '[tagId, imageId], delimiter: ";" }'],
      ['[tagId, imageId] }', '[tagId, imageId], quote: "\'" }'],
      ['[tagId, imageId] }', '[tagId, imageId], escape: "\\\\" }'],
      ['[tagId, imageId] }', '[tagId, imageId], null: NULL }'.replace('NULL', '"NULL"')],
      ['[tagId, imageId] }', '[tagId, imageId], gzip: true }'],
      ['    csv:    { columns: [tagId, imageId] }\n', ''],
      ['slot:   imageId', 'slot:   tagId'],
      ['slot:   imageId', 'slot:   imageId\n    alive: true'],
      ['tagId > 0', 'tagId > 1'],
      ['    where:  tagId > 0', ''],
      ['tagIds: tagId', 'tagIds: tagId + 1'],
      ['>> 13', '>> 12'],
    ];
    const hashes = new Set(changes.map(([from, to]) => parseDefinition(changed(from, to), 'f').hash));
    expect(hashes.size).toBe(changes.length);
    expect(hashes.has(base.hash)).toBe(false);
  });

  it('of a table covers the fields it feeds and nothing else', () => {
    const hashes = (text: string) => parseDefinition(text, 'f').tables.map((each) => each.hash);
    const [images, tags] = hashes(example);
    expect(images).not.toBe(tags);
    expect(hashes(changed('name: images', 'name: other'))).toEqual([images, tags]);
    const [imagesAfter, tagsAfter] = hashes(
      changed('width:       { type: uint32', 'width:       { type: int32'),
    );
    expect(imagesAfter).not.toBe(images);
    expect(tagsAfter).toBe(tags);
  });

  it('survives the round trip through the normalised form', () => {
    const tricky = changed(
      'csv:    { columns: [tagId, imageId] }',
      'csv: { columns: [tagId, imageId, "a+b", a, b, "true", "x`y", "a + b"] }',
    )
      .replace('tagIds: tagId', 'tagIds: a+b')
      .replace(
        'tagId > 0',
        '\'(a+b > 0) || `true` == 1 && isNull(`x``y`) || "a\\n\\"" == "b" || -(a) == -5\'',
      );
    for (const text of [example, tricky]) {
      const definition = parseDefinition(text, 'f');
      const again = normaliseDefinition(definition.normalised);
      expect(again).toEqual(definition);
      expect(JSON.parse(JSON.stringify(definition.normalised))).toEqual(definition.normalised);
    }
    const sum = changed(
      'csv:    { columns: [tagId, imageId] }',
      'csv: { columns: [tagId, imageId, a, b, "a + b"] }',
    ).replace('tagIds: tagId', 'tagIds: b +a+  0');
    const asSum = parseDefinition(sum.replace('b +a+  0', 'a+b'), 'f');
    expect(table(asSum, 'tags').fields[0].expression.kind).toBe('binary');
    expect(normaliseDefinition(asSum.normalised)).toEqual(asSum);
  });
});
