/**
 * TCB info and QE identity as Intel's service answers them: a JSON object, signed as the bytes that stand there.
 * Spec: Intel SGX and TDX PCS API v4, "Get TCB Info" (version 3), "Get TD QE Identity" (version 2); tdx.md §2.
 * @module
 */

import { signP256 } from '../../../attestation/x509-keys.ts';
import type { TcbStatus } from '../../../attestation/tdx/tcb.ts';
import { toHex, utf8 } from '../../../core/bytes.ts';
import { formatInstant } from '../../../core/clock.ts';
import type { Json, JsonObject } from '../../../core/json.ts';

export interface DocumentTimes {
  readonly issueMs: number;
  readonly nextUpdateMs: number;
}

export interface LevelOutcome {
  readonly tcbStatus: TcbStatus;
  /** Such as 2026-01-14. */
  readonly tcbDay: string;
  readonly advisoryIds?: readonly string[];
}

export interface PlatformLevel extends LevelOutcome {
  /** Sixteen each. */
  readonly sgx: readonly number[];
  readonly tdx: readonly number[];
  readonly pceSvn: number;
}

/** A level of a TDX module or of the quoting enclave. */
export interface IsvLevel extends LevelOutcome {
  readonly isvSvn: number;
}

export interface ModuleIdentity {
  /** TDX_01, TDX_03. */
  readonly id: string;
  readonly mrSigner: Uint8Array;
  readonly levels: readonly IsvLevel[];
}

export interface TcbInfoInput extends DocumentTimes {
  readonly fmspc: Uint8Array;
  readonly pceId: Uint8Array;
  readonly evaluationNumber: number;
  readonly modules: readonly ModuleIdentity[];
  readonly levels: readonly PlatformLevel[];
}

const ZERO_ATTRIBUTES = '0000000000000000';
const ALL_ATTRIBUTES = 'FFFFFFFFFFFFFFFF';
const MRSIGNER_SEAM_BYTES = 48;

export function tcbInfoDocument(input: TcbInfoInput): JsonObject {
  return {
    id: 'TDX',
    version: 3,
    issueDate: formatInstant(input.issueMs),
    nextUpdate: formatInstant(input.nextUpdateMs),
    fmspc: toHex(input.fmspc),
    pceId: toHex(input.pceId),
    tcbType: 0,
    tcbEvaluationDataNumber: input.evaluationNumber,
    tdxModule: moduleMembers(new Uint8Array(MRSIGNER_SEAM_BYTES)),
    tdxModuleIdentities: input.modules.map((identity) => ({
      id: identity.id,
      ...moduleMembers(identity.mrSigner),
      tcbLevels: identity.levels.map(isvLevel),
    })),
    tcbLevels: input.levels.map((level) => ({
      tcb: {
        sgxtcbcomponents: level.sgx.map((svn) => ({ svn })),
        pcesvn: level.pceSvn,
        tdxtcbcomponents: level.tdx.map((svn) => ({ svn })),
      },
      ...outcome(level),
    })),
  };
}

export interface QeIdentityInput extends DocumentTimes {
  readonly evaluationNumber: number;
  readonly mrSigner: Uint8Array;
  readonly isvProdId: number;
  readonly levels: readonly IsvLevel[];
}

export function qeIdentityDocument(input: QeIdentityInput): JsonObject {
  return {
    id: 'TD_QE',
    version: 2,
    issueDate: formatInstant(input.issueMs),
    nextUpdate: formatInstant(input.nextUpdateMs),
    tcbEvaluationDataNumber: input.evaluationNumber,
    miscselect: '00000000',
    miscselectMask: 'FFFFFFFF',
    attributes: '11000000000000000000000000000000',
    attributesMask: 'FBFFFFFFFFFFFFFF0000000000000000',
    mrsigner: toHex(input.mrSigner),
    isvprodid: input.isvProdId,
    tcbLevels: input.levels.map(isvLevel),
  };
}

/** `{"<member>":<document>,"signature":"<r ‖ s in hex>"}`. */
export async function signDocument(
  member: 'tcbInfo' | 'enclaveIdentity',
  document: Json,
  key: CryptoKey,
): Promise<Uint8Array> {
  const text = JSON.stringify(document);
  const signature = await signP256(key, utf8(text));
  return utf8(`{"${member}":${text},"signature":"${toHex(signature)}"}`);
}

function moduleMembers(mrSigner: Uint8Array): JsonObject {
  return {
    mrsigner: toHex(mrSigner),
    attributes: ZERO_ATTRIBUTES,
    attributesMask: ALL_ATTRIBUTES,
  };
}

function isvLevel(level: IsvLevel): JsonObject {
  return { tcb: { isvsvn: level.isvSvn }, ...outcome(level) };
}

function outcome(level: LevelOutcome): JsonObject {
  return {
    tcbDate: `${level.tcbDay}T00:00:00Z`,
    tcbStatus: level.tcbStatus,
    ...(level.advisoryIds === undefined ? {} : { advisoryIDs: level.advisoryIds }),
  };
}
