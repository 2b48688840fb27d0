/**
 * The forms in which vendors and their caches send the same bytes. What a body is shows in the body: content types are
 * wrong in practice (a PCCS labels hex text as DER). Spec: tdx §10; RFC 7468 §6 (X509 CRL); RFC 3986 §2.1.
 * @module
 */

import { fromBase64, fromHex, fromUtf8, toBase64 } from '../../core/bytes.ts';
import { hasCode } from '../../core/errors.ts';
import { invalid } from './errors.ts';
import { CHAIN_HEADER_MAX_CHARS, LIST_MAX_BYTES, LIST_TEXT_MAX_BYTES } from './limits.ts';

const DER_SEQUENCE = 0x30;
const PEM_BEGIN = '-----BEGIN X509 CRL-----';
const PEM_END = '-----END X509 CRL-----';

/**
 * A revocation list as DER, from DER, PEM, hex or base64 text. The four cannot be confused: DER starts with '0', PEM
 * with '-', hex of DER with '3' and base64 of DER with 'M'. Throws `collateral.invalid`; the DER is not read yet.
 */
export function listToDer(kind: string, body: Uint8Array): Uint8Array {
  if (body.length > LIST_TEXT_MAX_BYTES) throw invalid(kind, 'size');
  const der = body[0] === DER_SEQUENCE ? new Uint8Array(body) : textToDer(kind, body);
  if (der.length === 0) throw invalid(kind, 'empty');
  if (der.length > LIST_MAX_BYTES) throw invalid(kind, 'size');
  return der;
}

function textToDer(kind: string, body: Uint8Array): Uint8Array {
  try {
    const text = fromUtf8(body).trim();
    if (text.startsWith(PEM_BEGIN)) return pemToDer(kind, text);
    return /^[0-9a-fA-F]+$/.test(text) ? fromHex(text) : fromBase64(withoutLineBreaks(text));
  } catch (cause) {
    if (hasCode(cause, 'collateral.invalid')) throw cause;
    throw invalid(kind, 'encoding', cause);
  }
}

function pemToDer(kind: string, text: string): Uint8Array {
  if (!text.endsWith(PEM_END)) throw invalid(kind, 'encoding');
  return fromBase64(withoutLineBreaks(text.slice(PEM_BEGIN.length, -PEM_END.length)));
}

function withoutLineBreaks(text: string): string {
  return text.replaceAll('\n', '').replaceAll('\r', '');
}

/** PEM out of a percent-encoded header. Throws `collateral.invalid`. */
export function chainFromHeader(
  kind: string,
  value: string | readonly string[] | undefined,
): string {
  if (typeof value !== 'string') throw invalid(kind, 'issuer chain header');
  if (value.length > CHAIN_HEADER_MAX_CHARS) throw invalid(kind, 'issuer chain header size');
  try {
    return decodeURIComponent(value);
  } catch (cause) {
    throw invalid(kind, 'issuer chain header encoding', cause);
  }
}

const PEM_LINE_CHARS = 64;

/** Certificates as PEM, in this order. */
export function pemOf(...certificates: readonly Uint8Array[]): string {
  return certificates
    .map((der) => {
      const lines = toBase64(der).match(new RegExp(`.{1,${PEM_LINE_CHARS}}`, 'g')) ?? [];
      return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
    })
    .join('');
}
