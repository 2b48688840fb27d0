/**
 * PEM without the loose forms: blocks of one label, canonical base64, white space between the blocks and nothing else.
 * Spec: RFC 7468 §2, §5 and §6.
 * @module
 */

import { fromBase64 } from '../core/bytes.ts';
import { defineErrors, type ErrorSpec } from '../core/errors.ts';

const REJECTED: ErrorSpec = {
  status: 502,
  recovery: 'try_other_worker',
  public: 'No worker could prove its integrity.',
};

export const pemError = defineErrors({
  'pem.size': REJECTED,
  'pem.malformed': REJECTED,
});

export const PEM_MAX_CHARS = 64 * 1024;
/** More than any chain we accept has, so that "one too many" is reported as such and not as a parse error. */
const BLOCKS_MAX = 8;
export type PemLabel = 'CERTIFICATE' | 'X509 CRL';

/** The base64 text of each block, without line breaks; not decoded yet. Throws `pem.*`. */
export function splitPemCertificates(pem: string): readonly string[] {
  return splitPem(pem, 'CERTIFICATE');
}

export function splitPem(pem: string, label: PemLabel): readonly string[] {
  const [begin, end] = [`-----BEGIN ${label}-----`, `-----END ${label}-----`];
  if (pem.length > PEM_MAX_CHARS) throw pemError('pem.size', `${pem.length} > ${PEM_MAX_CHARS}`);
  const blocks: string[] = [];
  let at = 0;
  for (;;) {
    at = skipSpace(pem, at);
    if (at === pem.length) return blocks;
    if (!pem.startsWith(begin, at)) throw pemError('pem.malformed', `no block at ${at}`);
    const start = at + begin.length;
    const stop = pem.indexOf(end, start);
    if (stop < 0) throw pemError('pem.malformed', `unterminated block at ${at}`);
    if (blocks.length === BLOCKS_MAX) throw pemError('pem.malformed', 'too many blocks');
    blocks.push(blockText(pem.slice(start, stop)));
    at = stop + end.length;
  }
}

/** Throws `pem.malformed`. */
export function decodePemBlock(base64: string): Uint8Array {
  try {
    return fromBase64(base64);
  } catch (cause) {
    throw pemError('pem.malformed', 'base64', { cause });
  }
}

/** Lines of base64 between two line breaks. */
function blockText(body: string): string {
  if (!/^\r?\n(?:[A-Za-z0-9+/]+={0,2}\r?\n)+$/.test(body)) {
    throw pemError('pem.malformed', 'block body');
  }
  return body.replaceAll('\n', '').replaceAll('\r', '');
}

function skipSpace(text: string, start: number): number {
  let at = start;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code !== 0x0a && code !== 0x0d && code !== 0x20 && code !== 0x09) break;
  }
  return at;
}
