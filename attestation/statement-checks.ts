/**
 * Judges a statement against the report data of a quote and what the verifier expects. Says nothing about the quote.
 * Spec: gpu-and-policy §4.2–4.4.
 * @module
 */

import { equalPublic, toHex, type Bytes } from '../core/bytes.ts';
import { formatInstant } from '../core/clock.ts';
import { VeilError } from '../core/errors.ts';
import {
  STATEMENT_FORMAT,
  deviceDigestOf,
  gpuNonceOf,
  parseStatement,
  reportDataOf,
  type Statement,
} from './statement.ts';
import type { Check, TeeName } from './verdict.ts';

/** Every check of a statement, in the order of the verdict. */
export const STATEMENT_CHECK_IDS = [
  /** Strict JSON within its size. */
  'statement.json',
  /** `fmt` is ours. */
  'statement.format',
  /** Closed set of members, canonical encodings. */
  'statement.schema',
  /** The quote covers exactly these bytes. */
  'statement.reportData',
  /** The kind of machine is the one whose quote came. */
  'statement.tee',
  /** Made for this verifier. */
  'statement.aud',
  /** Answers this verifier's challenge, or dated by `iat` alone under a policy that says so. */
  'statement.nonce',
  /** `iat` is not ahead by more than the skew. */
  'statement.notYetValid',
  /** `exp` is not reached; no skew in favour of old statements. */
  'statement.expired',
  /** `iat` < `exp` ≤ `iat` + 1 h. */
  'statement.lifetime',
  /** Devices are stated where required, and their evidence came where stated. */
  'devices.present',
  /** The statement commits to the device evidence as transmitted; without devices none may come. */
  'devices.digest',
  /** The devices answered the nonce derived from challenge and keys. */
  'devices.nonce',
] as const;
export type StatementCheckId = (typeof STATEMENT_CHECK_IDS)[number];

/** Keys live at most this long. Spec: overview "One binding". */
export const STATEMENT_LIFETIME_MAX_S = 3600;
const CLOCK_SKEW_S = 60;

export interface StatementExpectation {
  readonly aud: string;
  readonly tee: TeeName;
  readonly nonce:
    | { readonly equals: Bytes<32> }
    /** `by` is the policy line that allows it. */
    | { readonly waived: string; readonly by: string }
    /** The caller has no challenge of its own and the policy demands one. */
    | { readonly demanded: string };
  readonly devices: 'required' | 'as-stated';
}

export interface StatementInput {
  /** As received. */
  readonly bytes: Uint8Array;
  /** Of a genuine quote, or the failed check because of which there is none. */
  readonly reportData: Uint8Array | { readonly because: string };
  /** Device evidence as transmitted, when any came. */
  readonly devices?: Uint8Array;
  readonly expected: StatementExpectation;
  readonly nowMs: number;
}

export interface StatementResult {
  /** One per id of `STATEMENT_CHECK_IDS`, in that order. */
  readonly checks: readonly Check[];
  /** The form is right; nothing else is promised. */
  readonly statement?: Statement;
}

/** Pure; bad bytes end in failed checks. */
export function verifyStatement(input: StatementInput): StatementResult {
  const read = readForm(input.bytes);
  const reportData = reportDataCheck(input);
  if (read.statement === undefined) {
    const because = read.failed;
    const rest = STATEMENT_CHECK_IDS.slice(4).map((id) => skipped(id, because));
    return { checks: [...read.checks, reportData, ...rest] };
  }
  return {
    checks: [
      ...read.checks,
      reportData,
      ...fieldChecks(read.statement, input),
      ...timeChecks(read.statement, input.nowMs),
      ...deviceChecks(read.statement, input),
    ],
    statement: read.statement,
  };
}

const FORM_IDS = ['statement.json', 'statement.format', 'statement.schema'] as const;
type FormId = (typeof FORM_IDS)[number];
const FORM_BY_CODE: Readonly<Record<string, FormId>> = {
  'statement.malformed': 'statement.json',
  'statement.format': 'statement.format',
  'statement.schema': 'statement.schema',
};

type Form =
  | { readonly checks: readonly Check[]; readonly statement: Statement }
  | { readonly checks: readonly Check[]; readonly statement?: undefined; readonly failed: FormId };

function readForm(bytes: Uint8Array): Form {
  try {
    return { checks: FORM_IDS.map(pass), statement: parseStatement(bytes) };
  } catch (error) {
    if (!(error instanceof VeilError)) throw error;
    const failed = FORM_BY_CODE[error.code];
    if (failed === undefined) throw error;
    const at = FORM_IDS.indexOf(failed);
    const checks = FORM_IDS.map((id, index): Check => {
      if (index < at) return pass(id);
      if (index > at) return skipped(id, failed);
      return { id, outcome: 'fail', want: FORM_WANT[id], got: error.message };
    });
    return { checks, failed };
  }
}

const FORM_WANT: Readonly<Record<FormId, string>> = {
  'statement.json': 'strict JSON',
  'statement.format': STATEMENT_FORMAT,
  'statement.schema': 'the members of the format',
};

function reportDataCheck({ bytes, reportData }: StatementInput): Check {
  if (!(reportData instanceof Uint8Array)) {
    return skipped('statement.reportData', reportData.because);
  }
  return compared('statement.reportData', toHex(reportDataOf(bytes)), toHex(reportData));
}

function fieldChecks(statement: Statement, { expected }: StatementInput): readonly Check[] {
  return [
    compared('statement.tee', expected.tee, statement.tee),
    compared('statement.aud', expected.aud, statement.aud),
    nonceCheck(statement, expected.nonce),
  ];
}

function nonceCheck(statement: Statement, expected: StatementExpectation['nonce']): Check {
  const id = 'statement.nonce';
  if ('equals' in expected) {
    return compared(id, toHex(expected.equals), toHex(statement.nonce));
  }
  if ('demanded' in expected) {
    return { id, outcome: 'fail', want: expected.demanded, got: 'the verifier set no challenge' };
  }
  return { id, outcome: 'waived', by: expected.by, note: expected.waived };
}

function timeChecks({ iat, exp }: Statement, nowMs: number): readonly Check[] {
  const at = formatInstant(nowMs);
  const lifetime = exp - iat;
  return [
    demanded('statement.notYetValid', iat * 1000 <= nowMs + CLOCK_SKEW_S * 1000, {
      want: `iat at most ${CLOCK_SKEW_S} s after ${at}`,
      got: formatInstant(iat * 1000),
    }),
    demanded('statement.expired', nowMs < exp * 1000, {
      want: `exp after ${at}`,
      got: formatInstant(exp * 1000),
    }),
    demanded('statement.lifetime', lifetime > 0 && lifetime <= STATEMENT_LIFETIME_MAX_S, {
      want: `1 to ${STATEMENT_LIFETIME_MAX_S} s`,
      got: `${lifetime} s`,
    }),
  ];
}

function deviceChecks(statement: Statement, input: StatementInput): readonly Check[] {
  const stated = statement.devices;
  const got = input.devices;
  if (stated === null) {
    return [
      demanded('devices.present', input.expected.devices === 'as-stated', {
        want: 'devices',
        got: 'none stated',
      }),
      demanded('devices.digest', got === undefined, {
        want: 'no device evidence, as the statement says',
        got: 'device evidence that nothing commits to',
      }),
      // The statement claims no devices, so no nonce can differ.
      pass('devices.nonce'),
    ];
  }
  return [
    demanded('devices.present', got !== undefined, {
      want: `evidence of ${stated.count} devices`,
      got: 'none',
    }),
    got === undefined
      ? skipped('devices.digest', 'devices.present')
      : compared('devices.digest', toHex(deviceDigestOf(got)), toHex(stated.digest)),
    demanded('devices.nonce', equalPublic(gpuNonceOf(statement), stated.nonce), {
      want: toHex(gpuNonceOf(statement)),
      got: toHex(stated.nonce),
    }),
  ];
}

function pass(id: StatementCheckId): Check {
  return { id, outcome: 'pass' };
}

function skipped(id: StatementCheckId, because: string): Check {
  return { id, outcome: 'skipped', because };
}

function demanded(
  id: StatementCheckId,
  holds: boolean,
  otherwise: { readonly want: string; readonly got: string },
): Check {
  return holds ? pass(id) : { id, outcome: 'fail', ...otherwise };
}

function compared(id: StatementCheckId, want: string, got: string): Check {
  return demanded(id, want === got, { want, got });
}
