/**
 * `veilgate attest inspect`: everything that can be read, labelled as what it is: verified, or the sender's word.
 * @module
 */

import { paint } from '../../core/node/terminal.ts';
import { toBase64Url, toHex } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import { workerIdOf, type Card } from '../../attestation/card.ts';
import { statementHash, type Statement } from '../../attestation/statement.ts';
import { field, periodNote, periodText, section, type Field, type Section } from './fields.ts';
import { snpSections } from './inspect-snp.ts';
import { tdxSections } from './inspect-tdx.ts';
import type { Judgement } from './judge.ts';
import { paragraph, printable, wrapped, type Page } from './text.ts';

export function inspectSections(judgement: Judgement): readonly Section[] {
  const { machine, nowMs } = judgement;
  const ofMachine =
    machine.tee === 'tdx'
      ? tdxSections(machine.machine, machine.result, nowMs)
      : snpSections(machine.machine, machine.result, { nowMs, anchors: machine.anchors });
  return [...statementSections(judgement), ...ofMachine];
}

function statementSections(judgement: Judgement): readonly Section[] {
  const { subject, statement, card, nowMs, checks } = judgement;
  if (subject.statements === undefined) return [];
  if (statement === undefined || card === undefined) {
    const bad = checks.find(
      ({ id, outcome }) => outcome === 'fail' && /^(statement|card)\./.test(id),
    );
    const reason = bad?.outcome === 'fail' ? bad.got : 'not of their form';
    return [
      section('statement', 'Statement and card', [field('unreadable', 'unreadable', reason)]),
    ];
  }
  return [
    section('statement', 'Statement: what the worker says', [
      field('sha256', 'SHA-256', toHex(statementHash(subject.statements.statement))),
      ...statementFields(statement, nowMs),
    ]),
    section('card', 'Card: what its owner offers', cardFields(card)),
  ];
}

function statementFields(statement: Statement, nowMs: number): readonly Field[] {
  const { aud, iat, exp, nonce, tee, keys, workload, devices } = statement;
  return [
    field('aud', 'made for', aud),
    field(
      'time',
      'time',
      periodText(iat * 1000, exp * 1000),
      periodNote(iat * 1000, exp * 1000, nowMs),
    ),
    field('nonce', 'challenge', toHex(nonce)),
    field('tee', 'machine', tee),
    field('hpke', 'sealing key', toBase64Url(keys.hpke.pk), keys.hpke.kem),
    field('sig', 'receipt key', toBase64Url(keys.sig.pk), keys.sig.alg),
    field('tlsSpkiSha256', 'TLS key SHA-256', toHex(keys.tls.spkiSha256)),
    ...(keys.ehbp === undefined ? [] : [field('ehbp', 'EHBP key', toBase64Url(keys.ehbp.pk))]),
    field('image', 'image', toHex(workload.image)),
    field('config', 'configuration', toHex(workload.config)),
    field('model', 'weights', toHex(workload.model)),
    field('devices', 'devices', devices === null ? 'none' : `${devices.count} of ${devices.type}`),
  ];
}

function cardFields(card: Card): readonly Field[] {
  const { model, limits, prices, owner, payout } = card;
  return [
    field('workerId', 'worker id', toHex(workerIdOf(owner))),
    field('owner', 'owner key', toBase64Url(owner)),
    field('model', 'model', model.id, `context ${model.contextLength}`),
    field('capabilities', 'capabilities', model.capabilities.join(' ')),
    field('maxPromptTokens', 'prompt tokens', limits.maxPromptTokens, 'at most'),
    field('maxOutputTokens', 'output tokens', limits.maxOutputTokens, 'at most'),
    field('maxConcurrent', 'at once', limits.maxConcurrent),
    field(
      'prices',
      'prices',
      `base ${prices.base}, prompt ${prices.prompt}, cached ${prices.cached}, completion ${prices.completion}, reasoning ${prices.reasoning}`,
      `${prices.asset}, atomic units per million tokens`,
    ),
    field('payout', 'paid to', payout ?? 'nobody'),
  ];
}

/** What the values of a section are worth. A genuine machine vouches for a statement only when its quote covers it. */
export interface Verified {
  readonly machine: boolean;
  readonly statement: boolean;
  readonly card: boolean;
}

export function verifiedOf({ machine, checks, subject }: Judgement): Verified {
  const passed = (id: string): boolean =>
    checks.some((check) => check.id === id && check.outcome === 'pass');
  const { authentic } = machine.result;
  const statement = authentic && subject.statements !== undefined && passed('statement.reportData');
  return { machine: authentic, statement, card: statement && passed('card.digest') };
}

export function inspectJson(judgement: Judgement): object {
  return Object.fromEntries(
    inspectSections(judgement).map(({ key, fields }) => [
      key,
      Object.fromEntries(fields.map((one) => [one.key, one.value])),
    ]),
  );
}

const LABEL_COLUMNS_MIN = 14;
/** Registers and digests that nobody wrote. */
const ZEROS = /^(?:00){8,}$/;

function zeroText(hex: string): string {
  return `zero, ${hex.length / 2} bytes`;
}

/** Every section says again what it is worth: whoever scrolls sees only the middle. */
export function inspectLines(judgement: Judgement, page: Page): readonly string[] {
  const verified = verifiedOf(judgement);
  const { simulated } = judgement.machine.result;
  const worthOf = (key: string): string => {
    const isVerified = key === 'statement' || key === 'card' ? verified[key] : verified.machine;
    if (!isVerified) return paint('red', 'UNVERIFIED');
    return simulated ? paint('yellow', 'SIMULATED') : paint('green', 'verified');
  };
  return [
    '',
    ...introLines(judgement, verified, page),
    ...inspectSections(judgement).flatMap((one) => sectionLines(one, worthOf(one.key), page)),
  ];
}

function introLines(
  { nowMs, outcome, subject }: Judgement,
  { machine, statement }: Verified,
  page: Page,
): readonly string[] {
  if (!machine) {
    const text =
      'UNVERIFIED: everything below is what the sender says. Anybody can write such values.';
    return paragraph(text, page).map((line) => paint('red', line));
  }
  const refused = outcome === 'accepted' ? '' : ' It was refused all the same: explain says why.';
  const text = `The machine’s evidence verified as of ${formatInstant(nowMs)}.${refused}`;
  const isCovered = subject.statements === undefined || statement;
  const uncovered =
    'The quote does not cover the statement: statement and card are what the sender says.';
  return [
    ...paragraph(text, page),
    ...(isCovered ? [] : paragraph(uncovered, page).map((line) => paint('red', line))),
  ];
}

function sectionLines({ title, fields }: Section, worth: string, page: Page): readonly string[] {
  const width = Math.max(LABEL_COLUMNS_MIN, ...fields.map(({ label }) => label.length + 2));
  return [
    '',
    `${paint('bold', title)} [${worth}]`,
    ...fields.flatMap((one) => fieldLines(one, page, width)),
  ];
}

function fieldLines(
  { label, value, note }: Field,
  { columns }: Page,
  width: number,
): readonly string[] {
  const shown = typeof value === 'string' && ZEROS.test(value) ? zeroText(value) : String(value);
  const text = printable(note === undefined ? shown : `${shown}  (${note})`);
  return wrapped(text, columns, {
    first: `  ${printable(label).padEnd(width)}`,
    rest: ' '.repeat(width + 2),
  });
}
