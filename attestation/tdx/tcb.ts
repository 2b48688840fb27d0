/**
 * TCB statuses and what an evaluation says about a machine.
 * Spec: Intel SGX and TDX PCS API v4, "Get TCB Info" (appraisal algorithm); Intel TDX DCAP Quoting Library API.
 * @module
 */

/** Of a TCB level in a signed document. */
export const TCB_STATUSES = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'Revoked',
] as const;
export type TcbStatus = (typeof TCB_STATUSES)[number];

/** Of a whole TD: levels converged; `NotSupported` means that no level matches and is never acceptable. */
export const TDX_STATUSES = [
  ...TCB_STATUSES,
  'TDRelaunchAdvised',
  'TDRelaunchAdvisedConfigurationNeeded',
  'NotSupported',
] as const;
export type TdxStatus = (typeof TDX_STATUSES)[number];

/** One number that keeps a part below a better level. */
export interface Shortfall {
  /** Such as `sgx[5]`, `tdx[2]`, `pcesvn`, `isvsvn`. */
  readonly component: string;
  readonly have: number;
  readonly need: number;
}

/** One of the three parts that a TCB status is made of. */
export interface TcbPart {
  readonly status: TcbStatus | 'NotSupported';
  /** Day of the matched level, 2025-11-12; absent when no level matches. */
  readonly tcbDate?: string;
  readonly advisoryIds: readonly string[];
  /** What is missing to the best level of the document; empty when the part is there. */
  readonly shortfall: readonly Shortfall[];
}

/** The parts judged with one TEE_TCB_SVN. */
export interface TcbEvaluation {
  readonly status: TcbStatus | 'NotSupported';
  readonly platform: TcbPart;
  /** Absent for TDX modules of version 0, which the platform levels judge themselves. */
  readonly module?: TcbPart;
  readonly qe: TcbPart;
  /** Union over the matched levels, sorted. */
  readonly advisoryIds: readonly string[];
  /** Oldest of the matched levels; absent when one part has none. */
  readonly tcbDate?: string;
}

export interface TdxTcb {
  readonly status: TdxStatus;
  /** Judged with TEE_TCB_SVN: the module at TD launch. */
  readonly launch: TcbEvaluation;
  /** Judged with TEE_TCB_SVN_2: the module running now. The same as `launch` for reports without it. */
  readonly current: TcbEvaluation;
  /** The smaller number of TCB info and QE identity. */
  readonly evaluationDataNumber: number;
}
