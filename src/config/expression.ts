/**
 * The typed syntax tree of an expression. The type checker produces it, the interpreter and the compiler consume it.
 *
 * Values: integers exact within ±(2^53 − 1), booleans, strings. Null is a value of every type and propagates through
 * every operator and function (`max(null, 1)` is null, as GREATEST in standard SQL) except `coalesce` and `isNull`;
 * `&&` and `||` follow three-valued logic. Bit operators and shifts act on the infinite two's complement of the
 * integer. A result outside ±(2^53 − 1), a division by zero, or a shift by a negative count rejects the row with
 * EXPRESSION_RANGE. `/` truncates towards zero and `%` takes the sign of the dividend.
 *
 * Operands are evaluated left to right, and `&&`, `||` and `coalesce` stop as soon as the result is known, so
 * `b != 0 && a / b > 2` never fails on a zero.
 *
 * Precedence, tightest first: `! - ~` · `* / %` · `+ -` · `<< >>` · `&` · `^` · `|` · `< <= > >=` · `== !=` · `&&` ·
 * `||`. As in C, except that the bit operators bind tighter than comparison (as in Python), so
 * `flags >> 13 & 1 == 1` means `((flags >> 13) & 1) == 1`. Binary operators associate to the left.
 */

/** How the text of a CSV column is decoded before the expression sees it. */
export type ColumnType = 'integer' | 'boolean' | 'string' | 'timestamp';

/** A timestamp is an integer (epoch seconds) once decoded. */
export type ExpressionType = 'integer' | 'boolean' | 'string';

export type BinaryOperator =
  | '+'
  | '-'
  | '*'
  | '/'
  | '%'
  | '&'
  | '|'
  | '^'
  | '<<'
  | '>>'
  | '=='
  | '!='
  | '<'
  | '<='
  | '>'
  | '>='
  | '&&'
  | '||';

export type Expression =
  | {
      readonly kind: 'column';
      readonly name: string;
      readonly columnType: ColumnType;
      readonly type: ExpressionType;
    }
  | {
      readonly kind: 'literal';
      readonly value: number | boolean | string | null;
      readonly type: ExpressionType;
    }
  | {
      readonly kind: 'unary';
      readonly operator: '!' | '-' | '~';
      readonly operand: Expression;
      readonly type: ExpressionType;
    }
  | {
      readonly kind: 'binary';
      readonly operator: BinaryOperator;
      readonly left: Expression;
      readonly right: Expression;
      readonly type: ExpressionType;
    }
  | {
      readonly kind: 'call';
      readonly name: 'max' | 'min' | 'coalesce' | 'isNull';
      readonly arguments: readonly Expression[];
      readonly type: ExpressionType;
    };
