/**
 * The extensions of a VCEK or VLEK certificate: which product, firmware versions, and chip or cloud the key belongs to.
 * Spec: AMD VCEK Certificate and KDS Interface Specification (57230), "VCEK Certificate Extensions"; sev-snp.md §2.1.
 * @module
 */

import { derIa5, derInteger } from '../../../../attestation/der-writer.ts';
import type { CertificateExtension } from '../../../../attestation/x509.ts';
import type { Tcb } from './report-writer.ts';

export const AMD_ARC = '1.3.6.1.4.1.3704.1';

export interface VekFacts {
  /** `Milan-B0`, `Genoa`, `Turin`. */
  readonly productName: string;
  /** With `fmc` the structure is version 1, without version 0. */
  readonly tcb: Tcb;
  /** VCEK: 64 bytes, Turin 8. */
  readonly hwId?: Uint8Array;
  /** VLEK. */
  readonly cspId?: string;
}

/** One extension: the arc after AMD's, and its value. */
export interface VekEntry {
  readonly arc: string;
  readonly value: Uint8Array;
}

/** In the order that AMD's service writes them. */
export function vekEntries(facts: VekFacts): readonly VekEntry[] {
  const { tcb, hwId, cspId } = facts;
  const spl = (arc: number, value: number): VekEntry => ({
    arc: `3.${arc}`,
    value: derInteger(value),
  });
  const fmc = tcb.fmc === undefined ? [] : [spl(9, tcb.fmc)];
  const loader = [spl(1, tcb.bootloader), spl(2, tcb.tee)];
  const unused = [spl(5, 0), spl(6, 0), spl(7, 0)];
  return [
    { arc: '1', value: derInteger(tcb.fmc === undefined ? 0 : 1) },
    { arc: '2', value: derIa5(facts.productName) },
    ...(tcb.fmc === undefined
      ? [...loader, spl(4, 0), ...unused, spl(3, tcb.snp)]
      : [...fmc, ...loader, spl(3, tcb.snp), ...unused]),
    spl(8, tcb.microcode),
    // The identifier is the value itself: no DER around it.
    ...(hwId === undefined ? [] : [{ arc: '4', value: hwId }]),
    ...(cspId === undefined ? [] : [{ arc: '5', value: derIa5(cspId) }]),
  ];
}

export function vekExtensions(entries: readonly VekEntry[]): readonly CertificateExtension[] {
  return entries.map(({ arc, value }) => ({ oid: `${AMD_ARC}.${arc}`, critical: false, value }));
}
