/**
 * A voucher and a pass as one API key, so that an SDK which knows nothing of channels can pay:
 *
 *   vgv1.<voucher, 115 bytes>.<caveats>.<signature, 64 bytes>
 *
 * The pass names the voucher's epoch and ceiling, so that a token is not worth more when its channel signs more.
 * Spec: ton-settlement §4.4 (session).
 * @module
 */

import type { Bytes } from '../core/bytes.ts';
import { artefactError } from './artefact.ts';
import { formatPass, parsePassUnverified, signPass, type Caveat, type Pass } from './pass.ts';
import { formatVoucher, parseVoucherTextUnverified, type Voucher } from './voucher.ts';

const PREFIX = 'vgv1.';

export interface Token {
  readonly voucher: Voucher;
  readonly pass: Pass;
}

/** `caveats` beside the ceiling, which is the voucher's; one of them says when it ends. Throws `settlement.artefact`. */
export function signToken(
  secretKey: Bytes<32>,
  voucher: Voucher,
  caveats: readonly Caveat[],
): Token {
  const { channel, epoch, ceiling } = voucher;
  const pass = signPass(secretKey, channel, [...caveats, { kind: 'ceiling', epoch, ceiling }]);
  return { voucher, pass };
}

export function isToken(apiKey: string): boolean {
  return apiKey.startsWith(PREFIX);
}

export function formatToken({ voucher, pass }: Token): string {
  return `${PREFIX}${formatVoucher(voucher)}.${formatPass(pass)}`;
}

/** Throws `settlement.artefact`. Checks no signature. */
export function parseTokenUnverified(text: string): Token {
  if (!isToken(text)) throw artefactError('form');
  const behind = text.slice(PREFIX.length);
  const dot = behind.indexOf('.');
  if (dot === -1) throw artefactError('form');
  return {
    voucher: parseVoucherTextUnverified(behind.slice(0, dot)),
    pass: parsePassUnverified(behind.slice(dot + 1)),
  };
}
