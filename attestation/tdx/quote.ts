/**
 * A TDX quote as a structure. Parsing decides nothing: every field is what the sender claims.
 * Spec: Intel TDX DCAP Quoting Library API, Appendix A.3 (version 4) and A.4 (version 5).
 * @module
 */

import type { Bytes } from '../../core/bytes.ts';

/** Intel TDX DCAP Quoting Library API, A.3.2 (TD report 1.0) and A.4 (1.5, 1.5 extended). */
export interface TdReport {
  /** [0] module SVN, [1] module major version, [2] SEAM loader or late microcode. */
  readonly teeTcbSvn: Bytes<16>;
  readonly mrSeam: Bytes<48>;
  readonly mrSignerSeam: Bytes<48>;
  readonly seamAttributes: Bytes<8>;
  readonly tdAttributes: Bytes<8>;
  readonly xfam: Bytes<8>;
  readonly mrTd: Bytes<48>;
  readonly mrConfigId: Bytes<48>;
  readonly mrOwner: Bytes<48>;
  readonly mrOwnerConfig: Bytes<48>;
  readonly rtmr: readonly [Bytes<48>, Bytes<48>, Bytes<48>, Bytes<48>];
  readonly reportData: Bytes<64>;
  /** Reports 1.5 only. */
  readonly v15?: {
    /** The module running now; `teeTcbSvn` is the one at launch. */
    readonly teeTcbSvn2: Bytes<16>;
    readonly mrServiceTd: Bytes<48>;
  };
  /** Reports 1.5 extended only. */
  readonly extended?: {
    readonly vmid: number;
    readonly tdId: Bytes<32>;
    readonly deviceInfoHash: Bytes<48>;
    readonly initialServiceTdHash: Bytes<48>;
    readonly initialServiceTdAttributes: Bytes<8>;
    readonly initialCpuSvn: Bytes<16>;
    readonly initialTeeTcbSvn: Bytes<16>;
    readonly initialTeeFmspc: Bytes<12>;
    readonly currentServiceTdHash: Bytes<48>;
    readonly currentServiceTdAttributes: Bytes<8>;
  };
}

/** Intel SGX ECDSA Quoting Library API, A.4 "Enclave Report Body". */
export interface QeReport {
  readonly cpuSvn: Bytes<16>;
  readonly miscSelect: Bytes<4>;
  readonly attributes: Bytes<16>;
  readonly mrEnclave: Bytes<32>;
  readonly mrSigner: Bytes<32>;
  readonly isvProdId: number;
  readonly isvSvn: number;
  readonly reportData: Bytes<64>;
}
