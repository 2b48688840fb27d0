/**
 * Judges the statement of a gateway against the report data of a quote and what the verifier expects. Says nothing about the
 * quote. Spec: docs/attested-gateway.md "What is checked".
 * @module
 */

import { toHex, type Bytes } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import { VeilError } from '../../core/errors.ts';
import { CheckSheet } from '../check-sheet.ts';
import { STATEMENT_LIFETIME_MAX_S } from '../statement-checks.ts';
import type { Check, TeeName } from '../verdict.ts';
import {
  GATEWAY_STATEMENT_FORMAT,
  gatewayAudOf,
  gatewayReportDataOf,
  parseGatewayStatement,
  type GatewayStatement,
} from './gateway-statement.ts';

/** In the order of the verdict; those about its form come before the quote. */
export const GATEWAY_STATEMENT_CHECK_IDS = [
  'statement.json',
  'statement.format',
  'statement.schema',
  'statement.reportData',
  'statement.tee',
  /** `aud` is the hash of the identity key in it. */
  'statement.identity',
  /** The gateway that was asked for. */
  'statement.aud',
  /** The host name that was asked for. */
  'statement.host',
  'statement.nonce',
  'statement.notYetValid',
  'statement.expired',
  'statement.lifetime',
] as const;
type Id = (typeof GATEWAY_STATEMENT_CHECK_IDS)[number];

/** Statement checks about its form. */
export const GATEWAY_FORM_CHECKS = 3;

export type Expected<Value> =
  | { readonly equals: Value }
  /** Nobody said what it has to be; shows in the verdict. */
  | { readonly waived: string; readonly by: string };

export interface GatewayExpectation {
  readonly tee: TeeName;
  readonly aud: Expected<string>;
  /** `URL.hostname`. */
  readonly host: Expected<string>;
  readonly nonce: Expected<Bytes<32>> | { readonly demanded: string };
}

export interface GatewayStatementInput {
  /** As received. */
  readonly bytes: Uint8Array;
  /** Of a genuine quote, or the failed check because of which there is none. */
  readonly reportData: Uint8Array | { readonly because: string };
  readonly expected: GatewayExpectation;
  readonly nowMs: number;
}

export interface GatewayStatementResult {
  /** One per id of `GATEWAY_STATEMENT_CHECK_IDS`, in that order. */
  readonly checks: readonly Check[];
  /** The form is right; nothing else is promised. */
  readonly statement?: GatewayStatement;
}

/** Pure; bad bytes end in failed checks. */
export function verifyGatewayStatement(input: GatewayStatementInput): GatewayStatementResult {
  const { bytes, reportData } = input;
  const sheet = new CheckSheet<Id>(GATEWAY_STATEMENT_CHECK_IDS);
  const statement = readForm(sheet, bytes);
  const ofQuote = reportDataCheck(bytes, reportData);
  if (statement === undefined) {
    const cause = sheet.firstBad(FORM_IDS) ?? 'statement.json';
    sheet.skip(GATEWAY_STATEMENT_CHECK_IDS.slice(GATEWAY_FORM_CHECKS + 1), cause);
    return { checks: ordered(sheet, ofQuote) };
  }
  judgeFields(sheet, statement, input.expected);
  judgeTimes(sheet, statement, input.nowMs);
  return { checks: ordered(sheet, ofQuote), statement };
}

/** The cause of a quote that cannot be asked stands on another sheet. */
function ordered(sheet: CheckSheet<Id>, ofQuote: Check): readonly Check[] {
  return GATEWAY_STATEMENT_CHECK_IDS.map((id) => (id === ofQuote.id ? ofQuote : sheet.outcome(id)));
}

function reportDataCheck(
  bytes: Uint8Array,
  reportData: GatewayStatementInput['reportData'],
): Check {
  const id = 'statement.reportData';
  if (!(reportData instanceof Uint8Array)) {
    return { id, outcome: 'skipped', because: reportData.because };
  }
  const [want, got] = [toHex(gatewayReportDataOf(bytes)), toHex(reportData)];
  return want === got ? { id, outcome: 'pass' } : { id, outcome: 'fail', want, got };
}

const FORM_IDS = ['statement.json', 'statement.format', 'statement.schema'] as const;
const FORM_BY_CODE: Readonly<Record<string, (typeof FORM_IDS)[number]>> = {
  'statement.malformed': 'statement.json',
  'statement.format': 'statement.format',
  'statement.schema': 'statement.schema',
};
const FORM_WANT = {
  'statement.json': 'strict JSON',
  'statement.format': GATEWAY_STATEMENT_FORMAT,
  'statement.schema': 'the members of the format',
} as const;

function readForm(sheet: CheckSheet<Id>, bytes: Uint8Array): GatewayStatement | undefined {
  try {
    const statement = parseGatewayStatement(bytes);
    for (const id of FORM_IDS) sheet.pass(id);
    return statement;
  } catch (error) {
    if (!(error instanceof VeilError)) throw error;
    const failed = FORM_BY_CODE[error.code];
    if (failed === undefined) throw error;
    const at = FORM_IDS.indexOf(failed);
    for (const id of FORM_IDS.slice(0, at)) sheet.pass(id);
    sheet.fail(failed, FORM_WANT[failed], error.message);
    sheet.skip(FORM_IDS.slice(at + 1), failed);
    return undefined;
  }
}

function judgeFields(
  sheet: CheckSheet<Id>,
  statement: GatewayStatement,
  { tee, aud, host, nonce }: GatewayExpectation,
): void {
  sheet.judge('statement.tee', statement.tee === tee, tee, statement.tee);
  const own = gatewayAudOf(statement.keys.identity);
  sheet.judge('statement.identity', statement.aud === own, own, statement.aud);
  if ('waived' in aud) sheet.waive('statement.aud', aud.by, aud.waived);
  else sheet.judge('statement.aud', statement.aud === aud.equals, aud.equals, statement.aud);
  if ('waived' in host) sheet.waive('statement.host', host.by, host.waived);
  else {
    const listed = statement.hosts.includes(host.equals);
    sheet.judge('statement.host', listed, host.equals, () => statement.hosts.join(' | '));
  }
  judgeNonce(sheet, statement, nonce);
}

function judgeNonce(
  sheet: CheckSheet<Id>,
  { nonce }: GatewayStatement,
  expected: GatewayExpectation['nonce'],
): void {
  const id = 'statement.nonce';
  if ('waived' in expected) sheet.waive(id, expected.by, expected.waived);
  else if ('demanded' in expected) {
    sheet.fail(id, expected.demanded, 'the verifier set no challenge');
  } else {
    const [want, got] = [toHex(expected.equals), nonce === null ? 'none' : toHex(nonce)];
    sheet.judge(id, want === got, want, got);
  }
}

const MS_PER_S = 1000;
const CLOCK_SKEW_S = 60;

function judgeTimes(sheet: CheckSheet<Id>, { iat, exp }: GatewayStatement, nowMs: number): void {
  const at = formatInstant(nowMs);
  const lifetime = exp - iat;
  sheet.judge(
    'statement.notYetValid',
    iat * MS_PER_S <= nowMs + CLOCK_SKEW_S * MS_PER_S,
    `iat at most ${CLOCK_SKEW_S} s after ${at}`,
    () => formatInstant(iat * MS_PER_S),
  );
  sheet.judge('statement.expired', nowMs < exp * MS_PER_S, `exp after ${at}`, () =>
    formatInstant(exp * MS_PER_S),
  );
  sheet.judge(
    'statement.lifetime',
    lifetime > 0 && lifetime <= STATEMENT_LIFETIME_MAX_S,
    `1 to ${STATEMENT_LIFETIME_MAX_S} s`,
    `${lifetime} s`,
  );
}
