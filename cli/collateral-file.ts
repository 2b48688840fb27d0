/**
 * TDX collateral in one JSON file, with the members of an evidence bundle's `endorsements`: signed documents as text,
 * chains as PEM, lists as base64 of DER. What is missing is empty, and fails the check that it is for.
 * Spec: tdx vector corpus, "Collateral file"; gpu-and-policy §4.4.
 * @module
 */

import { z } from 'zod';
import type { TdxCollateral } from '../attestation/tdx/collateral.ts';
import { fromBase64, utf8 } from '../core/bytes.ts';
import { VeilError } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';

/** A member that is missing is empty, and fails the check it is for. */
const SCHEMA = z.object({
  tcbInfo: z.string().default(''),
  qeIdentity: z.string().default(''),
  tcbInfoIssuerChain: z.string().default(''),
  qeIdentityIssuerChain: z.string().default(''),
  pckCrlIssuerChain: z.string().default(''),
  pckCrl: z.string().default(''),
  rootCaCrl: z.string().default(''),
  pckCertChain: z.string().optional(),
});
export const COLLATERAL_FILE_MAX_BYTES = 64 * 1024 * 1024;

/** Throws `json.*`, and zod's error for a file of another form. */
export function parseCollateralFile(bytes: Uint8Array): TdxCollateral {
  const { pckCertChain, ...file } = SCHEMA.parse(parseJson(bytes, COLLATERAL_FILE_MAX_BYTES));
  return {
    ...file,
    tcbInfo: utf8(file.tcbInfo),
    qeIdentity: utf8(file.qeIdentity),
    pckCrl: derOf(file.pckCrl),
    rootCaCrl: derOf(file.rootCaCrl),
    ...(pckCertChain === undefined ? {} : { pckCertChain }),
  };
}

/** Text that is not base64 goes on as it is: it is for the verifier to refuse it. */
function derOf(base64: string): Uint8Array {
  try {
    return fromBase64(base64);
  } catch (error) {
    if (error instanceof VeilError) return utf8(base64);
    throw error;
  }
}
