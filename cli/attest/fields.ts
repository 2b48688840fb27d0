/** What `veilgate attest inspect` shows: sections of named values, the same for people and for programs. @module */

import { formatInstant } from '../../core/clock.ts';
import type { Attempt } from '../../attestation/attempt.ts';
import { commonNameOf, type Certificate } from '../../attestation/pki/certificate.ts';
import type { Crl } from '../../attestation/pki/crl.ts';
import { attempt } from '../../attestation/attempt.ts';

export interface Field {
  /** For programs. */
  readonly key: string;
  /** For people; as the vendor spells it. */
  readonly label: string;
  readonly value: string | number | boolean;
  /** What the value means; for people. */
  readonly note?: string;
}

export interface Section {
  readonly key: string;
  readonly title: string;
  readonly fields: readonly Field[];
}

export function field(key: string, label: string, value: Field['value'], note?: string): Field {
  return { key, label, value, ...(note === undefined ? {} : { note }) };
}

export function section(key: string, title: string, fields: readonly Field[]): Section {
  return { key, title, fields };
}

/** A part that cannot be read says why, in the place of its fields. */
export function unreadable(key: string, title: string, reason: string): Section {
  return section(key, title, [field('unreadable', 'unreadable', reason)]);
}

export function sectionOf<Value>(
  key: string,
  title: string,
  read: Attempt<Value>,
  fieldsOf: (value: Value) => readonly Field[],
): Section {
  if (read.outcome === 'malformed') return unreadable(key, title, read.reason);
  return section(key, title, fieldsOf(read.value));
}

/** `a | b`, or a word for none. */
export function listText(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.join(' | ');
}

export function periodText(fromMs: number, untilMs: number): string {
  return `${formatInstant(fromMs)} to ${formatInstant(untilMs)}`;
}

/** Whether an instant lies in a period, in words: the first thing to look at. */
export function periodNote(fromMs: number, untilMs: number, nowMs: number): string {
  if (nowMs < fromMs) return 'not yet';
  return nowMs > untilMs ? 'OVER' : 'in its time';
}

/** One certificate of a chain on two lines. */
export function certificateFields(
  key: string,
  label: string,
  certificate: Certificate,
  nowMs: number,
): readonly Field[] {
  const { notBeforeMs, notAfterMs, serial } = certificate;
  const issuer = attempt(() => commonNameOf(certificate.issuer));
  const by = issuer.outcome === 'read' ? (issuer.value ?? '?') : '?';
  return [
    field(
      key,
      label,
      `${certificate.commonName ?? '(no single common name)'}, serial ${serial}, issued by ${by}`,
    ),
    field(
      `${key}Validity`,
      '',
      periodText(notBeforeMs, notAfterMs),
      periodNote(notBeforeMs, notAfterMs, nowMs),
    ),
  ];
}

export function crlFields(crl: Crl, nowMs: number): readonly Field[] {
  const { thisUpdateMs, nextUpdateMs, number, revokedSerials } = crl;
  return [
    field(
      'time',
      'time',
      periodText(thisUpdateMs, nextUpdateMs),
      periodNote(thisUpdateMs, nextUpdateMs, nowMs),
    ),
    field('number', 'number', number.toString()),
    field('revoked', 'revoked', revokedSerials.size, 'certificates'),
  ];
}
