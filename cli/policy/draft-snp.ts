/** The `cpu` section and the tuple of a draft, from what a genuine SEV-SNP guest shows. Each value says where it comes from. @module */

import {
  GUEST_POLICY_BITS,
  guestAbi,
  hasAuthorKey,
  hasBit,
  PLATFORM_INFO_BITS,
  signingKeyOf,
} from '../../attestation/snp/bits.ts';
import { SNP_ADVISORIES } from '../../attestation/snp/advisories.ts';
import {
  compareFirmware,
  firmwareText,
  type PolicySubject,
} from '../../attestation/snp/policy-checks.ts';
import type { SiliconLine } from '../../attestation/snp/products.ts';
import { TCB_COMPONENT_NAMES, type SnpTcb } from '../../attestation/snp/tcb.ts';
import { lowestTcb, snpTuple } from '../../attestation/policy/remedy/snp-mend.ts';
import { snpMemberName } from '../../attestation/policy/snp-rule.ts';
import { toHex } from '../../core/bytes.ts';
import type { DraftCpu, DraftFrame } from './draft-cpu.ts';
import { asEntry, indented, memberLines, quoted } from './yaml-text.ts';

/** More of these is better: demanded where they are there. */
const HARDENING: readonly string[] = [
  'singleSocket',
  'memAes256Xts',
  'raplDis',
  'ciphertextHidingDram',
  'pageSwapDisable',
  'tsmeEn',
  'eccEn',
  'ciphertextHidingDramEn',
  'iommuWriteSafe',
];
/** Less of these is better: refused where they are not there. */
const EXPOSING: readonly string[] = ['smt', 'cxlAllow', 'smtEn'];

export function snpDraft(subject: PolicySubject, frame: DraftFrame): DraftCpu {
  const { report, product, line } = subject;
  const abi = guestAbi(report.guestPolicy);
  const { currentFirmware: current, committedFirmware: committed } = report;
  const isBehind = compareFirmware(committed, current) < 0;
  const isProvisional = toHex(report.currentTcb) !== toHex(report.committedTcb) || isBehind;
  return {
    lines: [
      'tee: snp',
      '# From the report’s CPUID, and the verified certificate.',
      `products: [${product?.name ?? ''}]`,
      ...signerLines(subject),
      '# From the report: its version, VMPL, GUEST_SVN and the ABI of its policy.',
      `report_version: { min: ${report.version} }`,
      `vmpl: [${report.vmpl}]`,
      `guest_svn: { min: ${report.guestSvn} }`,
      `abi: { min: '${abi.major}.${abi.minor}' }`,
      'guest_policy:',
      '  debug: forbid',
      '  migrate_ma: forbid',
      '  # From the report’s POLICY: what it has and strengthens is demanded, what it lacks and weakens is refused.',
      ...bitLines(GUEST_POLICY_BITS, report.guestPolicy, ['debug', 'migrateMa']),
      'platform_info:',
      '  # From the report’s PLATFORM_INFO, in the same way.',
      ...bitLines(PLATFORM_INFO_BITS, report.platformInfo, ['aliasCheckComplete']),
      '  # BadRAM, AMD-SB-3015: always demanded.',
      '  alias_check_complete: require',
      '  unknown_bits: forbid',
      ...tcbLines(subject, frame),
      '# From the report: the lower of running and committed firmware.',
      `firmware: { min: '${firmwareText(isBehind ? committed : current)}' }`,
      ...(isProvisional
        ? ['# choose: newer firmware runs than is committed.', 'provisional_firmware: any']
        : ['# All that runs is committed.', 'provisional_firmware: forbid']),
      "mitigations: { any: true, note: 'AMD has not published what the bits mean for every line' }",
      ...(hasAuthorKey(report.signerInfo)
        ? [
            '# From the report’s AUTHOR_KEY_DIGEST.',
            `author_keys: { allow: ['${toHex(report.authorKeyDigest)}'] }`,
          ]
        : ["author_keys: { any: true, note: 'images are pinned by measurement and ID key' }"]),
      'crl: require',
      'masked_chip_id: forbid',
      ...platformLines(subject, frame),
    ],
    image: [
      '# From the report: MEASUREMENT, HOST_DATA, ID_KEY_DIGEST. One per machine shape; choose its name.',
      'snp:',
      ...indented(asEntry(memberLines(snpTuple(subject, 'captured'))), 2),
    ],
    advisories: [],
    ...(signingKeyOf(report.signerInfo) === 'vcek'
      ? { cpuId: { chip_id: toHex(report.chipId) } }
      : {}),
    about: `SEV-SNP, ${line ?? 'unknown processor'}, signed by ${signingKeyOf(report.signerInfo)}`,
  };
}

function signerLines({ report, extensions }: PolicySubject): readonly string[] {
  const signer = signingKeyOf(report.signerInfo);
  const csp = extensions?.owner.kind === 'vlek' ? [quoted(extensions.owner.cspId)] : [];
  return [
    '# From the verified certificate.',
    `signer: { allow: [${signer}], csp_ids: [${csp.join(', ')}] }`,
  ];
}

function bitLines(
  bits: Readonly<Record<string, number>>,
  value: bigint,
  without: readonly string[],
): readonly string[] {
  return Object.entries(bits)
    .filter(([name]) => !without.includes(name))
    .map(([name, bit]) => {
      const isSet = hasBit(value, bit);
      const rule =
        isSet && HARDENING.includes(name)
          ? 'require'
          : !isSet && EXPOSING.includes(name)
            ? 'forbid'
            : 'any';
      return `  ${snpMemberName(name)}: ${rule}`;
    });
}

function tcbLines(subject: PolicySubject, { isSimulated }: DraftFrame): readonly string[] {
  const lowest = lowestTcb(subject);
  const { line } = subject;
  if (line === undefined || lowest === undefined) return ['tcb: {}'];
  const components = TCB_COMPONENT_NAMES.flatMap((name) => {
    const shown = lowest[name];
    if (shown === undefined) return [];
    const asked = isSimulated ? undefined : publishedFloor(line, name);
    return [{ name, min: Math.max(shown, asked ?? 0), isRaised: shown < (asked ?? 0), shown }];
  });
  const raised = components.filter(({ isRaised }) => isRaised);
  return [
    raised.length === 0
      ? '# From the report: the lowest of CURRENT, COMMITTED, REPORTED and LAUNCH TCB.'
      : `# Raised to what AMD asks for: the report shows ${raised.map(({ name, shown }) => `${name} ${shown}`).join(', ')}.`,
    'tcb:',
    `  ${line}:`,
    ...components.map(({ name, min }) => `    ${name}: ${min}`),
    "    source: 'as captured; choose: the AMD bulletin that asks for it'",
  ];
}

function publishedFloor(line: SiliconLine, component: keyof SnpTcb): number | undefined {
  const asked = SNP_ADVISORIES.flatMap(({ demands }) =>
    demands.flatMap((demand) =>
      demand.kind === 'tcb' && demand.component === component ? [demand.floors[line] ?? 0] : [],
    ),
  );
  return asked.length === 0 ? undefined : Math.max(...asked);
}

function platformLines({ report }: PolicySubject, { hasHost }: DraftFrame): readonly string[] {
  if (signingKeyOf(report.signerInfo) !== 'vcek') {
    return [
      '# A cloud’s key proves no chip.',
      "platforms: { any: true, note: 'a cloud names no chip: any of its machines counts' }",
    ];
  }
  if (hasHost) return ['# The machines of "hosts" below.', 'platforms: { registry: hosts }'];
  return [
    '# From the verified certificate: this one chip. choose: {registry: hosts} for a registry.',
    `platforms: { allow: { chip_id: ['${toHex(report.chipId)}'] } }`,
  ];
}
