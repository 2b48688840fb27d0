/**
 * Judges the vTPM's quote: signed by the attestation key, made for this verifier, about the registers that came with it.
 * Spec: TCG TPM 2.0 Library, Part 1 "Attestation", Part 3 TPM2_Quote; RFC 8017 §8.2.2.
 * @module
 */

import { sha256, verifyRsaPkcs1Sha256, type RsaPublicKey } from '#primitives';
import { concat, equalPublic, toHex } from '../../core/bytes.ts';
import type { AzureCheckSheet } from './check-list.ts';
import { ALGORITHM, PCR_COUNT, type PcrSelection, type TpmQuote } from './tpm-quote.ts';
import { PCR_BYTES, type VtpmReading } from './vtpm-read.ts';

/** Below the least a nonce could come round again; more than the most no TPM takes in. */
const NONCE_MIN_BYTES = 16;
const NONCE_MAX_BYTES = 64;

export function judgeQuote(
  { quote }: VtpmReading,
  nonce: Uint8Array,
  sheet: AzureCheckSheet,
): TpmQuote | undefined {
  if (quote.outcome === 'malformed') {
    sheet.fail('azure.quote.format', 'TPMS_ATTEST of a quote', quote.reason);
    sheet.skip(['azure.nonce'], 'azure.quote.format');
    return undefined;
  }
  sheet.pass('azure.quote.format');
  const { extraData } = quote.value;
  if (nonce.length < NONCE_MIN_BYTES || nonce.length > NONCE_MAX_BYTES) {
    const want = `an expected nonce of ${NONCE_MIN_BYTES} to ${NONCE_MAX_BYTES} bytes`;
    sheet.fail('azure.nonce', want, `${nonce.length} bytes`);
  } else {
    const isOurs = equalPublic(extraData, nonce);
    sheet.judge(
      'azure.nonce',
      isOurs,
      () => toHex(nonce),
      () => toHex(extraData),
    );
  }
  return quote.value;
}

export function judgeSignature(
  { quote, quoteBytes, signature }: VtpmReading,
  key: RsaPublicKey | undefined,
  sheet: AzureCheckSheet,
): void {
  if (signature.outcome === 'malformed') {
    sheet.fail('azure.signature.format', 'TPMT_SIGNATURE of RSA', signature.reason);
    sheet.skip(['azure.signature.scheme', 'azure.quote.signature'], 'azure.signature.format');
    return;
  }
  sheet.pass('azure.signature.format');
  const { scheme, hash } = signature.value;
  const isKnown = scheme === 'rsassa' && hash === ALGORITHM.sha256;
  const got = `${scheme} with ${hexText(hash)}`;
  sheet.judge('azure.signature.scheme', isKnown, 'rsassa with SHA-256', got);
  const cause = sheet.firstBad([
    'azure.claims',
    'azure.attestationKey',
    'azure.quote.format',
    'azure.signature.scheme',
  ]);
  if (cause !== undefined || key === undefined || quote.outcome === 'malformed') {
    sheet.skip(['azure.quote.signature'], cause ?? 'azure.attestationKey');
    return;
  }
  const isSigned = verifyRsaPkcs1Sha256(key, signature.value.signature, quoteBytes);
  sheet.judge('azure.quote.signature', isSigned, 'a signature by HCLAkPub', 'another signature');
}

function hexText(algorithm: number): string {
  return `0x${algorithm.toString(16).padStart(4, '0')}`;
}

export function judgeRegisters(
  quote: TpmQuote | undefined,
  pcrs: VtpmReading['pcrs'],
  sheet: AzureCheckSheet,
): void {
  const want = `1 to ${PCR_COUNT} registers of ${PCR_BYTES} bytes`;
  sheet.judge('azure.pcr.values', pcrs !== undefined, want, 'others');
  if (quote === undefined) {
    sheet.skip(['azure.pcr.bank', 'azure.pcr.selection', 'azure.pcr.digest'], 'azure.quote.format');
    return;
  }
  const selection = judgeBank(quote, sheet);
  if (selection === undefined || pcrs === undefined) {
    const cause = selection === undefined ? 'azure.pcr.bank' : 'azure.pcr.values';
    sheet.skip(['azure.pcr.selection', 'azure.pcr.digest'], cause);
    return;
  }
  const [quoted, given] = [selection.indexes.join(', '), pcrs.map(([index]) => index).join(', ')];
  sheet.judge('azure.pcr.selection', quoted === given, given, quoted || 'no register');
  const digest = sha256(concat(...pcrs.map(([, value]) => value)));
  sheet.judge(
    'azure.pcr.digest',
    equalPublic(quote.pcrDigest, digest),
    () => toHex(digest),
    () => toHex(quote.pcrDigest),
  );
}

function judgeBank({ selections }: TpmQuote, sheet: AzureCheckSheet): PcrSelection | undefined {
  const [selection, ...more] = selections;
  const isOne = more.length === 0 && selection?.hash === ALGORITHM.sha256;
  sheet.judge(
    'azure.pcr.bank',
    isOne,
    'one selection of the SHA-256 bank',
    () => selections.map(({ hash }) => hexText(hash)).join(', ') || 'no selection',
  );
  return isOne ? selection : undefined;
}
