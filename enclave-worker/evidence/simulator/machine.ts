/**
 * The simulated machine: which platform, TDX module and quoting enclave it claims to be, and the TCB levels its own
 * collateral lists for them. Every value is made up and says so where there is room.
 * Spec: tdx.md §1, §2, §5.
 * @module
 */

import { sha256, sha384 } from '#primitives';
import type { QeReport, TdReport } from '../../../attestation/tdx/quote.ts';
import type { TdxMeasurement } from '../../../attestation/tdx/td-policy.ts';
import { fixed, fromHex, utf8, type Bytes } from '../../../core/bytes.ts';
import type { QeIdentityInput, TcbInfoInput } from './documents.ts';
import type { PckFacts } from './sgx-extension.ts';

const EVALUATION_NUMBER = 1;
const TCB_DAY = '2026-01-01';
const PCE_SVN = 13;
const QE_PROD_ID = 2;
const QE_SVN = 1;
const COMPONENTS = [1, 1, 1, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
const TDX_COMPONENTS = [1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/** Module SVN 1, module version 1, SEAM loader 1. */
const TEE_TCB_SVN = fixed(fromHex('01010100000000000000000000000000'), 16);
/** ASCII "VGDEV0": no Intel platform has this family. */
const FMSPC = utf8('VGDEV0');
const PCE_ID = fromHex('0000');
const QE_MRSIGNER = sha256(utf8('veilgate development quoting enclave MRSIGNER'));
const SCALABLE = 1;

/** `identity` is 32 random bytes that stay with the hierarchy: PPID and platform instance id. */
export function machineFacts(identity: Bytes<32>): PckFacts {
  return {
    ppid: identity.subarray(0, 16),
    components: COMPONENTS,
    pceSvn: PCE_SVN,
    cpuSvn: Uint8Array.from(COMPONENTS),
    pceId: PCE_ID,
    fmspc: FMSPC,
    sgxType: SCALABLE,
    platformInstanceId: identity.subarray(16),
    configuration: { dynamicPlatform: true, cachedKeys: false, smtEnabled: true },
  };
}

export const MACHINE_QE: Omit<QeReport, 'reportData'> = {
  cpuSvn: fixed(Uint8Array.from(COMPONENTS), 16),
  miscSelect: fixed(new Uint8Array(4), 4),
  attributes: fixed(fromHex('11000000000000000000000000000000'), 16),
  mrEnclave: sha256(utf8('veilgate development quoting enclave MRENCLAVE')),
  mrSigner: QE_MRSIGNER,
  isvProdId: QE_PROD_ID,
  isvSvn: QE_SVN,
};

/** A production TD with SEPT_VE_DISABLE, under a production module. */
export function machineTdReport(measurement: TdxMeasurement, reportData: Bytes<64>): TdReport {
  return {
    teeTcbSvn: TEE_TCB_SVN,
    mrSeam: sha384(utf8('veilgate development TDX module MRSEAM')),
    mrSignerSeam: fixed(new Uint8Array(48), 48),
    seamAttributes: fixed(new Uint8Array(8), 8),
    tdAttributes: fixed(fromHex('0000001000000000'), 8),
    xfam: fixed(fromHex('e702060000000000'), 8),
    mrTd: measurement.mrtd,
    mrConfigId: measurement.mrconfigid,
    mrOwner: measurement.mrowner,
    mrOwnerConfig: measurement.mrownerconfig,
    rtmr: [measurement.rtmr0, measurement.rtmr1, measurement.rtmr2, measurement.rtmr3],
    reportData,
  };
}

export const MACHINE_TCB_INFO: Omit<TcbInfoInput, 'issueMs' | 'nextUpdateMs'> = {
  fmspc: FMSPC,
  pceId: PCE_ID,
  evaluationNumber: EVALUATION_NUMBER,
  modules: [
    {
      id: 'TDX_01',
      mrSigner: new Uint8Array(48),
      levels: [{ isvSvn: 1, tcbStatus: 'UpToDate', tcbDay: TCB_DAY }],
    },
  ],
  levels: [
    {
      sgx: COMPONENTS,
      tdx: TDX_COMPONENTS,
      pceSvn: PCE_SVN,
      tcbStatus: 'UpToDate',
      tcbDay: TCB_DAY,
    },
  ],
};

export const MACHINE_QE_IDENTITY: Omit<QeIdentityInput, 'issueMs' | 'nextUpdateMs'> = {
  evaluationNumber: EVALUATION_NUMBER,
  mrSigner: QE_MRSIGNER,
  isvProdId: QE_PROD_ID,
  levels: [{ isvSvn: QE_SVN, tcbStatus: 'UpToDate', tcbDay: TCB_DAY }],
};
