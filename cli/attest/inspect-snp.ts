/**
 * Every readable field of SEV-SNP evidence. Reading proves nothing: the caller labels it.
 * Spec: AMD SEV-SNP Firmware ABI (56860) §7.3; AMD VCEK Certificate and KDS Interface Specification (57230) §3.
 * @module
 */

import { isZero, toHex } from '../../core/bytes.ts';
import {
  GUEST_POLICY_BITS,
  guestAbi,
  hasAuthorKey,
  hasBit,
  hasMaskedChipKey,
  PLATFORM_INFO_BITS,
  signingKeyOf,
  unknownPlatformBits,
} from '../../attestation/snp/bits.ts';
import type { SnpAnchor } from '../../attestation/snp/anchors.ts';
import { firmwareText } from '../../attestation/snp/policy-checks.ts';
import { readSnpEvidence, type SnpReading } from '../../attestation/snp/read.ts';
import type { SnpReport } from '../../attestation/snp/report.ts';
import { tcbText } from '../../attestation/snp/tcb.ts';
import type { SnpFacts, SnpResult } from '../../attestation/snp/verify.ts';
import {
  certificateFields,
  crlFields,
  field,
  listText,
  section,
  sectionOf,
  type Field,
  type Section,
} from './fields.ts';
import type { SnpMachine } from './subject.ts';

export function snpSections(
  machine: SnpMachine,
  { facts }: SnpResult,
  { nowMs, anchors }: { readonly nowMs: number; readonly anchors: readonly SnpAnchor[] },
): readonly Section[] {
  const reading = readSnpEvidence(machine, { anchors, nowMs, cache: undefined });
  const { hcl, certTable, report } = reading;
  return [
    ...(hcl === undefined
      ? []
      : [
          sectionOf('hcl', 'Azure’s blob', hcl, ({ runtimeData, claims }) => [
            field('runtimeDataBytes', 'runtime data', runtimeData.length, 'bytes'),
            claims.outcome === 'read'
              ? field('userData', 'user data', toHex(claims.value.userData))
              : field('claims', 'claims', claims.reason),
          ]),
        ]),
    ...(report === undefined
      ? []
      : [
          sectionOf('guest', 'Guest', report, guestFields),
          sectionOf(
            'guestPolicy',
            'Guest policy: what the guest demanded at launch',
            report,
            policyFields,
          ),
          sectionOf('platform', 'Platform', report, (read) => platformFields(read, facts)),
        ]),
    ...(facts === undefined ? [] : [section('tcb', 'TCB', tcbFields(facts))]),
    ...(certTable === undefined
      ? []
      : [
          sectionOf('certTable', 'Certificate table of the host', certTable, (table) => [
            field('entries', 'entries', listText(Object.keys(table))),
          ]),
        ]),
    ...chainSections(reading, nowMs),
  ];
}

function register(key: string, label: string, bytes: Uint8Array): Field {
  return field(key, label, toHex(bytes));
}

function guestFields(report: SnpReport): readonly Field[] {
  const { vmpl, signerInfo } = report;
  const byHost = vmpl > 3 ? 'NOT the guest: asked for by the host' : undefined;
  return [
    field('version', 'report version', report.version),
    register('measurement', 'MEASUREMENT', report.measurement),
    register('reportData', 'REPORT_DATA', report.reportData),
    register('hostData', 'HOST_DATA', report.hostData),
    field('vmpl', 'VMPL', vmpl, byHost),
    field('guestSvn', 'GUEST_SVN', report.guestSvn),
    register('familyId', 'FAMILY_ID', report.familyId),
    register('imageId', 'IMAGE_ID', report.imageId),
    register('idKeyDigest', 'ID_KEY_DIGEST', report.idKeyDigest),
    field(
      'authorKeyDigest',
      'AUTHOR_KEY_DIGEST',
      toHex(report.authorKeyDigest),
      hasAuthorKey(signerInfo) ? 'AUTHOR_KEY_EN set' : 'AUTHOR_KEY_EN clear: means nothing',
    ),
    field('reportId', 'REPORT_ID', toHex(report.reportId)),
    field(
      'reportIdMa',
      'REPORT_ID_MA',
      toHex(report.reportIdMa),
      report.reportIdMa.every((byte) => byte === 0xff) ? 'no migration agent' : undefined,
    ),
  ];
}

function raw64(value: bigint): string {
  return `0x${value.toString(16).padStart(16, '0')}`;
}

/** `ciphertextHidingDram` → `CIPHERTEXT_HIDING_DRAM`. */
function specName(name: string): string {
  return name.replaceAll(/[A-Z]|\d+/g, (part) => `_${part}`).toUpperCase();
}

function setBits(value: bigint, bits: Readonly<Record<string, number>>): string {
  const names = Object.entries(bits).filter(([, bit]) => hasBit(value, bit));
  return listText(names.map(([name]) => specName(name)));
}

function policyFields({ guestPolicy }: SnpReport): readonly Field[] {
  const abi = guestAbi(guestPolicy);
  return [
    field('raw', 'POLICY', raw64(guestPolicy)),
    field('abi', 'firmware ABI', `${abi.major}.${abi.minor}`, 'at least'),
    field('set', 'set', setBits(guestPolicy, GUEST_POLICY_BITS)),
    field('debug', 'DEBUG', hasBit(guestPolicy, GUEST_POLICY_BITS.debug)),
  ];
}

function platformFields(report: SnpReport, facts: SnpFacts | undefined): readonly Field[] {
  const { cpuid, platformInfo, signerInfo, chipId } = report;
  const unknown = unknownPlatformBits(platformInfo);
  const signer = signingKeyOf(signerInfo);
  return [
    field('product', 'product', facts?.product ?? 'unknown', facts?.siliconLine),
    ...(cpuid === undefined
      ? []
      : [
          field(
            'cpuid',
            'CPUID',
            `family ${cpuid.family.toString(16)}h, model ${cpuid.model.toString(16)}h, stepping ${cpuid.stepping}`,
          ),
        ]),
    field('chipId', 'CHIP_ID', toHex(chipId), isZero(chipId) ? 'hidden' : undefined),
    field(
      'signer',
      'signed by',
      signer,
      hasMaskedChipKey(signerInfo) ? 'MASK_CHIP_KEY set' : undefined,
    ),
    field(
      'platformInfo',
      'PLATFORM_INFO',
      raw64(platformInfo),
      setBits(platformInfo, PLATFORM_INFO_BITS),
    ),
    ...(unknown === 0n ? [] : [field('unknownBits', 'unknown bits', raw64(unknown))]),
    field('currentFirmware', 'firmware', firmwareText(report.currentFirmware), 'running'),
    field('committedFirmware', '', firmwareText(report.committedFirmware), 'committed'),
    ...(report.version < 5
      ? []
      : [
          field('launchMitigations', 'mitigations', raw64(report.launchMitigations), 'at launch'),
          field('currentMitigations', '', raw64(report.currentMitigations), 'now'),
        ]),
  ];
}

function tcbFields({ report, tcb }: SnpFacts): readonly Field[] {
  if (tcb === undefined) {
    return [field('current', 'CURRENT_TCB', toHex(report.currentTcb), 'of an unknown product')];
  }
  return [
    field('current', 'CURRENT_TCB', tcbText(tcb.current), 'runs'),
    field('committed', 'COMMITTED_TCB', tcbText(tcb.committed), 'cannot be gone back behind'),
    field('reported', 'REPORTED_TCB', tcbText(tcb.reported), 'the signing key is derived for it'),
    field('launch', 'LAUNCH_TCB', tcbText(tcb.launch), 'when the guest started'),
  ];
}

function chainSections(
  { vek, intermediate, root, crl }: SnpReading,
  nowMs: number,
): readonly Section[] {
  return [
    ...(vek === undefined
      ? [section('leaf', 'Certificate of the signing key', [field('missing', 'missing', true)])]
      : [
          sectionOf(
            'leaf',
            'Certificate of the signing key',
            vek,
            ({ certificate, extensions }) => [
              ...certificateFields('certificate', 'certificate', certificate, nowMs),
              ...(extensions.outcome === 'malformed'
                ? [field('extensions', 'extensions', extensions.reason)]
                : [
                    field('product', 'product', extensions.value.product.amdName),
                    field('tcb', 'TCB', tcbText(extensions.value.tcb)),
                    extensions.value.owner.kind === 'vcek'
                      ? field('hwid', 'HWID', toHex(extensions.value.owner.hwid))
                      : field('cspId', 'cloud', extensions.value.owner.cspId),
                  ]),
            ],
          ),
        ]),
    ...(intermediate === undefined
      ? []
      : [
          sectionOf('intermediate', 'ASK or ASVK', intermediate, (certificate) =>
            certificateFields('certificate', 'certificate', certificate, nowMs),
          ),
        ]),
    ...(root === undefined
      ? []
      : [
          sectionOf('root', 'ARK', root, (certificate) =>
            certificateFields('certificate', 'certificate', certificate, nowMs),
          ),
        ]),
    ...(crl === undefined
      ? [section('crl', 'Revocation list', [field('missing', 'missing', true)])]
      : [sectionOf('crl', 'Revocation list', crl, (list) => crlFields(list, nowMs))]),
  ];
}
