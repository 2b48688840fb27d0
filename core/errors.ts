/**
 * One error class for the whole product. Codes are API, messages are not.
 * Each area declares its table with `defineErrors`; call sites write `throw areaError('area.reason')`.
 * Spec: STYLE §6; the generated list is docs/errors.md.
 * @module
 */

export type Recovery = 'fix_request' | 'retry_later' | 'try_other_worker' | 'stop';

/** What every error with one code has in common. `public` is fixed text: it can never carry content. */
export interface ErrorSpec {
  readonly status: number;
  readonly recovery: Recovery;
  readonly public: string;
}

/** Ids, numbers and digests only. Never content, never a foreign error message. */
export type Facts = Readonly<Record<string, string | number | bigint | boolean>>;

export interface ErrorOptions {
  readonly facts?: Facts;
  readonly cause?: unknown;
}

/** Every error this product throws on purpose. */
export class VeilError extends Error {
  override readonly name = 'VeilError';
  readonly code: string;
  readonly spec: ErrorSpec;
  readonly facts: Facts;

  constructor(code: string, spec: ErrorSpec, detail: string, options: ErrorOptions = {}) {
    super(detail === '' ? code : `${code}: ${detail}`, { cause: options.cause });
    this.code = code;
    this.spec = spec;
    this.facts = options.facts ?? {};
  }
}

const ALL = new Map<string, ErrorSpec>();

export type ErrorMaker<Code extends string> = (
  code: Code,
  detail?: string,
  options?: ErrorOptions,
) => VeilError;

/** Declares an area's codes and returns its constructor. Throws if two areas claim one code. */
export function defineErrors<const Table extends Readonly<Record<string, ErrorSpec>>>(
  table: Table,
): ErrorMaker<keyof Table & string> {
  for (const [code, spec] of Object.entries(table)) {
    if (ALL.has(code)) throw new Error(`error code declared twice: ${code}`);
    ALL.set(code, spec);
  }
  return (code, detail = '', options = {}) => {
    const spec = table[code];
    if (spec === undefined) throw new Error(`undeclared error code: ${code}`);
    return new VeilError(code, spec, detail, options);
  };
}

/** All codes of the modules loaded so far, sorted; docs/errors.md is made from it. */
export function declaredErrors(): readonly (readonly [string, ErrorSpec])[] {
  return [...ALL.entries()].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** True when `error` is ours and carries exactly this code. */
export function hasCode(error: unknown, code: string): error is VeilError {
  return error instanceof VeilError && error.code === code;
}

const BROKEN: ErrorSpec = { status: 500, recovery: 'stop', public: 'Internal error.' };

/** A rule of our own code was broken. Reaching one of these is a bug. */
export const internalError = defineErrors({
  'internal.invariant': BROKEN,
});

export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw internalError('internal.invariant', what);
}
