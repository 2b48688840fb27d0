/**
 * The extension of a PCK certificate that says which machine it belongs to.
 * Spec: Intel SGX PCK Certificate and CRL Profile Specification 1.5, §1.3.5 "SGX Extensions"; tdx.md §1.4.
 * @module
 */

import type { CertificateExtension } from '../../../attestation/x509.ts';
import {
  derBoolean,
  derEnumerated,
  derInteger,
  derOctets,
  derOid,
  derSequence,
} from '../../../attestation/der-writer.ts';

export const SGX_EXTENSION_OID = '1.2.840.113741.1.13.1';

export interface PckFacts {
  /** 16 bytes. */
  readonly ppid: Uint8Array;
  /** Sixteen numbers 0..255. */
  readonly components: readonly number[];
  readonly pceSvn: number;
  /** 16 bytes. */
  readonly cpuSvn: Uint8Array;
  /** 2 bytes. */
  readonly pceId: Uint8Array;
  /** 6 bytes. */
  readonly fmspc: Uint8Array;
  /** 0 standard, 1 scalable, 2 scalable with integrity. */
  readonly sgxType: number;
  /** 16 bytes; certificates of the Platform CA have it and `configuration`, those of the Processor CA do not. */
  readonly platformInstanceId?: Uint8Array;
  readonly configuration?: {
    readonly dynamicPlatform: boolean;
    readonly cachedKeys: boolean;
    readonly smtEnabled: boolean;
  };
}

/** One entry: the arc after the extension's own OID, and its value as DER. */
export interface SgxEntry {
  readonly arc: string;
  readonly value: Uint8Array;
}

export function sgxEntries(facts: PckFacts): readonly SgxEntry[] {
  const { configuration, platformInstanceId } = facts;
  return [
    { arc: '1', value: derOctets(facts.ppid) },
    { arc: '2', value: writeEntries(tcbEntries(facts)) },
    { arc: '3', value: derOctets(facts.pceId) },
    { arc: '4', value: derOctets(facts.fmspc) },
    { arc: '5', value: derEnumerated(facts.sgxType) },
    ...(platformInstanceId === undefined
      ? []
      : [{ arc: '6', value: derOctets(platformInstanceId) }]),
    ...(configuration === undefined
      ? []
      : [
          {
            arc: '7',
            value: writeEntries([
              { arc: '7.1', value: derBoolean(configuration.dynamicPlatform) },
              { arc: '7.2', value: derBoolean(configuration.cachedKeys) },
              { arc: '7.3', value: derBoolean(configuration.smtEnabled) },
            ]),
          },
        ]),
  ];
}

export function tcbEntries(facts: PckFacts): readonly SgxEntry[] {
  return [
    ...facts.components.map((svn, at) => ({ arc: `2.${at + 1}`, value: derInteger(svn) })),
    { arc: '2.17', value: derInteger(facts.pceSvn) },
    { arc: '2.18', value: derOctets(facts.cpuSvn) },
  ];
}

export function writeEntries(entries: readonly SgxEntry[]): Uint8Array {
  return derSequence(
    ...entries.map(({ arc, value }) => derSequence(derOid(`${SGX_EXTENSION_OID}.${arc}`), value)),
  );
}

export function sgxExtension(entries: readonly SgxEntry[]): CertificateExtension {
  return { oid: SGX_EXTENSION_OID, critical: false, value: writeEntries(entries) };
}
