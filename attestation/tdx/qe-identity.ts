/**
 * Identity of Intel's TD quoting enclave, version 2. Spec: Intel SGX and TDX PCS API v4, "Get TD QE Identity",
 * enclave identity V2 structure.
 * @module
 */

import type { Bytes } from '../../core/bytes.ts';
import type { JsonObject } from '../../core/json.ts';
import { readHex, readInstant, readInteger, readText } from './signed-json.ts';
import { readSvnLevels, type SvnLevel } from './tcb-info.ts';

export interface QeIdentity {
  readonly id: string;
  readonly version: number;
  readonly issueDateMs: number;
  readonly nextUpdateMs: number;
  readonly evaluationDataNumber: number;
  readonly miscSelect: Bytes<4>;
  readonly miscSelectMask: Bytes<4>;
  readonly attributes: Bytes<16>;
  readonly attributesMask: Bytes<16>;
  readonly mrSigner: Bytes<32>;
  readonly isvProdId: number;
  /** Highest first. */
  readonly levels: readonly SvnLevel[];
}

const U16_MAX = 65535;
const NUMBER_MAX = 0xffffffff;

/** Throws `tdx.collateral`. The values of id and version are judged apart, by their own checks. */
export function readQeIdentity(inner: JsonObject): QeIdentity {
  return {
    id: readText(inner, 'id', /^[\x20-\x7e]{1,64}$/),
    version: readInteger(inner, 'version', NUMBER_MAX),
    issueDateMs: readInstant(inner, 'issueDate'),
    nextUpdateMs: readInstant(inner, 'nextUpdate'),
    evaluationDataNumber: readInteger(inner, 'tcbEvaluationDataNumber', NUMBER_MAX),
    miscSelect: readHex(inner, 'miscselect', 4),
    miscSelectMask: readHex(inner, 'miscselectMask', 4),
    attributes: readHex(inner, 'attributes', 16),
    attributesMask: readHex(inner, 'attributesMask', 16),
    mrSigner: readHex(inner, 'mrsigner', 32),
    isvProdId: readInteger(inner, 'isvprodid', U16_MAX),
    levels: readSvnLevels(inner),
  };
}
