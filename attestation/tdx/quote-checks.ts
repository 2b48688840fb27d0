/**
 * Judges the quote itself: signatures from the TD report up to the PCK key, the quoting enclave against its identity,
 * the TDX module against its own. Spec: Intel TDX DCAP Quoting Library API, A.3.8 and A.3.11; Intel SGX and TDX PCS
 * API v4, "Get TD QE Identity" and "Get TCB Info" (TDX module identity).
 * @module
 */

import { sha256 } from '#primitives';
import { concat, equalPublic, isZero, toHex } from '../../core/bytes.ts';
import { Signed } from '../pki/signature.ts';
import type { KnownQe } from './cache.ts';
import type { PckChain } from './chain.ts';
import type { TdxCheckId, TdxCheckSheet } from './check-list.ts';
import { equalUnderMask } from './documents.ts';
import type { QeIdentity } from './qe-identity.ts';
import { isIntelQe, type QeReport, type TdReport, type TdxQuote } from './quote.ts';
import type { TcbInfo } from './tcb-info.ts';
import { moduleIdentityId } from './tcb-evaluation.ts';

const HASH_BYTES = 32;

/** Vendor, key, quote signature and key binding. */
export function judgeQuote(quote: TdxQuote, qe: KnownQe, sheet: TdxCheckSheet): void {
  sheet.judge('quote.qeVendor', isIntelQe(quote.qeVendor), 'Intel', () => toHex(quote.qeVendor));
  const key = qe.attestationKey;
  const isPoint = key.get() !== undefined;
  sheet.judge('quote.attestationKey', isPoint, 'a point of P-256', 'no such point');
  if (!isPoint) {
    sheet.skip(['quote.signature'], 'quote.attestationKey');
  } else {
    const signed = new Signed(quote.signed, quote.signature, 'ecdsa-p256-sha256').isSignedBy(key);
    sheet.judge('quote.signature', signed, 'a signature of the attestation key', 'another one');
  }
  const { reportData } = quote.qe;
  const bound = sha256(concat(quote.attestationKey, quote.qeAuthData));
  const binds =
    equalPublic(reportData.subarray(0, HASH_BYTES), bound) &&
    isZero(reportData.subarray(HASH_BYTES));
  sheet.judge(
    'qe.keyBinding',
    binds,
    () => `${toHex(bound)} and zeros`,
    () => toHex(reportData),
  );
}

export function judgeQeReport(
  qe: KnownQe,
  chain: PckChain | undefined,
  sheet: TdxCheckSheet,
): void {
  if (chain === undefined) {
    sheet.skip(['qe.reportSignature'], 'pck.chain');
    return;
  }
  const signed = qe.report.isSignedBy(chain.leaf.publicKey);
  sheet.judge('qe.reportSignature', signed, 'a signature of the PCK key', 'another one');
}

export const QE_CHECKS: readonly TdxCheckId[] = [
  'qe.mrsigner',
  'qe.isvprodid',
  'qe.miscselect',
  'qe.attributes',
];

export function judgeQeAgainstIdentity(
  qe: QeReport,
  identity: QeIdentity | undefined,
  sheet: TdxCheckSheet,
): void {
  if (identity === undefined) {
    sheet.skip(QE_CHECKS, 'qeIdentity.format');
    return;
  }
  const { mrSigner, isvProdId } = identity;
  sheet.judge(
    'qe.mrsigner',
    equalPublic(qe.mrSigner, mrSigner),
    () => toHex(mrSigner),
    () => toHex(qe.mrSigner),
  );
  sheet.judge('qe.isvprodid', qe.isvProdId === isvProdId, String(isvProdId), String(qe.isvProdId));
  sheet.judge(
    'qe.miscselect',
    equalUnderMask(qe.miscSelect, identity.miscSelectMask, identity.miscSelect),
    () => `${toHex(identity.miscSelect)} under the mask`,
    () => toHex(qe.miscSelect),
  );
  sheet.judge(
    'qe.attributes',
    equalUnderMask(qe.attributes, identity.attributesMask, identity.attributes),
    () => `${toHex(identity.attributes)} under the mask`,
    () => toHex(qe.attributes),
  );
}

export const MODULE_CHECKS: readonly TdxCheckId[] = [
  'tdxModule.identity',
  'tdxModule.mrsigner',
  'tdxModule.attributes',
];
const MODULE_SIGNER_CHECKS: readonly TdxCheckId[] = ['tdxModule.mrsigner', 'tdxModule.attributes'];

/** Modules of version 0 have no identity entry; every later one needs its own, at launch and now. */
export function judgeModule(
  td: TdReport,
  tcbInfo: TcbInfo | undefined,
  sheet: TdxCheckSheet,
): void {
  if (tcbInfo === undefined) {
    sheet.skip(MODULE_CHECKS, 'tcbInfo.format');
    return;
  }
  const launchVersion = td.teeTcbSvn[1] ?? 0;
  const versions = [launchVersion, td.v15?.teeTcbSvn2[1] ?? 0];
  const missing = versions.find(
    (version) => version > 0 && findIdentity(tcbInfo, version) === undefined,
  );
  sheet.judge(
    'tdxModule.identity',
    missing === undefined,
    'an identity for each module version',
    () => `none for ${moduleIdentityId(missing ?? 0)}`,
  );
  const module = launchVersion === 0 ? tcbInfo.module : findIdentity(tcbInfo, launchVersion);
  if (module === undefined) {
    sheet.skip(MODULE_SIGNER_CHECKS, 'tdxModule.identity');
    return;
  }
  sheet.judge(
    'tdxModule.mrsigner',
    equalPublic(td.mrSignerSeam, module.mrSigner),
    () => toHex(module.mrSigner),
    () => toHex(td.mrSignerSeam),
  );
  const expected = equalUnderMask(td.seamAttributes, module.attributesMask, module.attributes);
  sheet.judge(
    'tdxModule.attributes',
    expected && isZero(td.seamAttributes),
    () => `${toHex(module.attributes)} under the mask, and zero`,
    () => toHex(td.seamAttributes),
  );
}

function findIdentity(
  tcbInfo: TcbInfo,
  version: number,
): TcbInfo['moduleIdentities'][number] | undefined {
  const id = moduleIdentityId(version);
  return tcbInfo.moduleIdentities.find((identity) => identity.id === id);
}
