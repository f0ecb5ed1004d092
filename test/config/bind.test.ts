import { describe, expect, it } from 'vitest';
import { bindColumns, columnsOfExpression, columnsOfTable } from '../../src/config/bind.ts';
import { normaliseDefinition } from '../../src/config/parse.ts';

const { tables } = normaliseDefinition({
  name: 'images',
  fields: { big: { type: 'boolean', index: 'filter' }, made: { type: 'timestamp', index: 'sort' } },
  tables: {
    images: {
      slot: 'id',
      alive: true,
      fields: { big: 'width > 1000 || width * height > 1000000', made: 'coalesce(made, changed)' },
      where: '!isNull(id) && kind == "image"',
    },
  },
});
const [images] = tables;

describe('columnsOfTable', () => {
  it('lists every column once per type, the slot first', () => {
    expect(columnsOfTable(images).map(({ name, columnType }) => `${name}:${columnType}`)).toEqual([
      'id:integer',
      'kind:string',
      'width:integer',
      'height:integer',
      'made:timestamp',
      'changed:timestamp',
    ]);
    expect(columnsOfExpression(images.fields[0].expression)).toHaveLength(2);
  });
});

describe('bindColumns', () => {
  const header = ['kind', 'id', 'unused', 'width', 'height', 'made', 'changed', 'unused'];

  it('finds the position of every column that is read', () => {
    expect(Object.fromEntries(bindColumns(images, header))).toEqual({
      kind: 0,
      id: 1,
      width: 3,
      height: 4,
      made: 5,
      changed: 6,
    });
  });

  it('names an unknown column and the nearest one', () => {
    expect(() => bindColumns(images, ['kind', 'id', 'widht', 'height', 'made', 'changed'])).toThrow(
      expect.objectContaining({
        code: 'COLUMN_UNKNOWN',
        message: 'table images: there is no column "width" in the file',
        hint: 'did you mean "widht"?',
      }),
    );
    expect(() => bindColumns(images, ['1', '2'])).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('1, 2') }),
    );
  });

  it('refuses a column that is there twice', () => {
    expect(() => bindColumns(images, [...header, 'width'])).toThrow(
      expect.objectContaining({ code: 'COLUMN_DUPLICATE', message: expect.stringContaining('"width"') }),
    );
  });
});
