/**
 * Queries that exercise a model from every side: equality, lists, negation, null, ranges and both orders, with values
 * that are frequent, typical and rare in the data. The same list for the same model.
 */
import type { Query } from '../query/query.ts';
import type { Where } from '../query/where.ts';
import { valuesInOrder } from './naive-digest.ts';
import type { ModelField, ModelValue, NaiveModel } from './naive-model.ts';

/** Filter fields that are combined pairwise; more add time and no kind of query. */
const COMBINED_FIELDS_MAX = 4;

export function sampleQueries(model: NaiveModel): Query[] {
  const fields = [...model.fields.values()].filter((field) => field.slotsOfValue.size > 0);
  const filters = fields.filter((field) => field.definition.filter);
  const wheres: Where[] = [{}, ...fields.flatMap(fieldClauses), ...combinations(filters)];
  const queries: Query[] = wheres.map((where) => ({ where }));
  for (const field of fields.filter(({ definition }) => definition.sort)) {
    const { name } = field.definition;
    for (const direction of ['asc', 'desc'] as const) {
      for (const where of [{}, ...filters.map((filter) => equality(filter, frequent(filter)))]) {
        queries.push({ where, orderBy: { [name]: direction } });
      }
    }
  }
  return queries;
}

function fieldClauses(field: ModelField): Where[] {
  const { name, many, filter, sort } = field.definition;
  const values = valuesInOrder(field);
  const middle = values[Math.floor(values.length / 2)];
  const several = [values[0], middle, values[values.length - 1]];
  const clauses: Where[] = [
    { [name]: { isNull: true } },
    { [name]: { not: middle } },
    { [name]: { in: several } },
  ];
  if (filter) clauses.push(equality(field, frequent(field)), equality(field, middle));
  if (many) clauses.push({ [name]: { all: [frequent(field), middle] } });
  if (sort) {
    const quarter = Number(values[Math.floor(values.length / 4)]);
    clauses.push(
      { [name]: { gte: quarter, lt: Number(middle) } },
      { NOT: { [name]: { gt: Number(middle) } } },
    );
  }
  return clauses;
}

function combinations(filters: readonly ModelField[]): Where[] {
  const clauses: Where[] = [];
  const combined = filters.slice(0, COMBINED_FIELDS_MAX).map((field) => equality(field, frequent(field)));
  for (let left = 0; left < combined.length; left++) {
    for (let right = left + 1; right < combined.length; right++) {
      clauses.push(
        { AND: [combined[left], combined[right]] },
        { OR: [combined[left], { NOT: combined[right] }] },
      );
    }
  }
  return clauses;
}

function equality(field: ModelField, value: ModelValue): Where {
  return { [field.definition.name]: value };
}

/** The value with the most slots. */
function frequent(field: ModelField): ModelValue {
  let best: ModelValue = '';
  let bestCount = -1;
  for (const [value, slots] of field.slotsOfValue) {
    if (slots.length <= bestCount) continue;
    best = value;
    bestCount = slots.length;
  }
  return best;
}
