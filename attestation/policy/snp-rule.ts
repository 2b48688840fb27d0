/**
 * One rule's `cpu` section against a genuine SEV-SNP report. The rule becomes a policy of the verifier, so that there is
 * one judgement of each field; what comes back gets the rule's lines. What no rule can allow (debug, migration, a masked
 * chip, a missing revocation list) is judged by the verifier itself and is not repeated here.
 * Spec: gpu-and-policy §5.2, §5.3 (4, 5); sev-snp.md §8.
 * @module
 */

import { equalPublic, toHex } from '../../core/bytes.ts';
import type { BitRule, SnpPolicy, TcbFloors } from '../snp/guest-policy.ts';
import { baselineSnpPolicy } from '../snp/guest-policy.ts';
import { GUEST_POLICY_CHECKS, PLATFORM_INFO_CHECKS, snpCheckSheet } from '../snp/check-list.ts';
import type { SnpCheckId } from '../snp/check-list.ts';
import { judgePolicy, type PolicySubject } from '../snp/policy-checks.ts';
import { SILICON_LINES } from '../snp/products.ts';
import type { SnpReport } from '../snp/report.ts';
import { passedAt } from '../shared-checks.ts';
import type { RuleFinding, RuleQuestion } from '../tee.ts';
import type { Unchecked } from '../unchecked.ts';
import type { Check } from '../verdict.ts';
import { demanded, listText, skipped, waived } from './rule-check.ts';
import type { PolicyImage, SnpCpuRule } from './schema.ts';

const NEVER = Number.POSITIVE_INFINITY;

/** Each check of the verifier that a rule decides, and where in the rule's `cpu` it stands. */
const PATHS: readonly (readonly [id: SnpCheckId, path: readonly string[]])[] = [
  ['policy.product', ['products']],
  ['policy.signer', ['signer', 'allow']],
  ['policy.cspId', ['signer', 'csp_ids']],
  ['policy.reportVersion', ['report_version']],
  ['policy.vmpl', ['vmpl']],
  ['policy.guestSvn', ['guest_svn']],
  ['policy.abi', ['abi']],
  ...GUEST_POLICY_CHECKS.filter(({ name }) => name !== 'debug' && name !== 'migrateMa').map(
    ({ name, id }) => [id, ['guest_policy', snpMemberName(name)]] as const,
  ),
  ...PLATFORM_INFO_CHECKS.map(
    ({ name, id }) => [id, ['platform_info', snpMemberName(name)]] as const,
  ),
  ['policy.platformInfo.unknownBits', ['platform_info', 'unknown_bits']],
  ['policy.tcbFloor', ['tcb']],
  ['policy.tcbMinimum', ['tcb']],
  ['policy.launchTcb', ['tcb']],
  ['policy.firmware', ['firmware']],
  ['policy.provisionalFirmware', ['provisional_firmware']],
  ['policy.mitigations.launch', ['mitigations']],
  ['policy.mitigations.current', ['mitigations']],
  ['policy.authorKey', ['author_keys']],
  ['policy.chipId', ['platforms']],
];

/** `memAes256Xts` → `mem_aes_256_xts`. */
export function snpMemberName(name: string): string {
  return name.replaceAll(/[A-Z]|\d+/g, (part) => `_${part.toLowerCase()}`);
}

function ruleId(id: SnpCheckId): string {
  return `cpu${id.slice('policy'.length)}`;
}

const RULED = PATHS.map(([id, path]) => [id, ruleId(id), path] as const);

export const SNP_RULE_CHECK_IDS: readonly string[] = [
  /** MEASUREMENT, HOST_DATA and ID_KEY_DIGEST equal one whole tuple of the image. */
  'cpu.measurements',
  ...RULED.map(([, ruled]) => ruled),
];

export function judgeSnpRule(subject: PolicySubject, question: RuleQuestion): RuleFinding {
  const { policy, rule } = question;
  const cpu = policy.document.rules[rule]?.cpu;
  if (cpu?.tee !== 'snp') {
    return {
      checks: SNP_RULE_CHECK_IDS.map((id) => skipped(id, 'policy.rule')),
      validUntilMs: 0,
      advisories: [],
    };
  }
  const measured = measurementCheck(subject.report, question);
  const sheet = snpCheckSheet();
  const hosts = 'registry' in cpu.platforms ? hostsOf(question) : undefined;
  judgePolicy(subject, policyOf(cpu, subject, hosts), sheet);
  const host = hosts?.find(({ cpu: { chip_id: chip } }) =>
    equalPublic(chip, subject.report.chipId),
  );
  return {
    checks: [
      measured.check,
      ...RULED.map(([id, ruled, path]) =>
        placed(sheet.outcome(id), ruled, policy.at('rules', rule, 'cpu', ...path)),
      ),
    ],
    ...(measured.shape === undefined ? {} : { shape: measured.shape }),
    validUntilMs: host?.expires ?? NEVER,
    advisories: [],
  };
}

/** Of the registry, the machines of this kind whose entry has not expired. */
function hostsOf({ policy, nowMs }: RuleQuestion) {
  return policy.document.hosts.flatMap((host) =>
    'chip_id' in host.cpu && nowMs < host.expires ? [{ ...host, cpu: host.cpu }] : [],
  );
}

type Hosts = ReturnType<typeof hostsOf>;

/** The verifier's outcome under the rule's name, with the line that decided. */
function placed(check: Check, id: string, at: string): Check {
  if (check.outcome === 'fail') return { ...check, id, at };
  if (check.outcome === 'waived') return waived(id, at, check.note);
  if (check.outcome === 'skipped') return skipped(id, causeOf(check.because));
  return passedAt(id, at);
}

function causeOf(id: string): string {
  return id.startsWith('policy.') ? `cpu${id.slice('policy'.length)}` : id;
}

const BY_IMAGE: Unchecked = { unchecked: 'judged as part of the tuple' };
const BY_STATEMENT: Unchecked = { unchecked: 'judged by the statement' };

function policyOf(cpu: SnpCpuRule, { line }: PolicySubject, hosts: Hosts | undefined): SnpPolicy {
  const floors = { floors: floorsOf(cpu) };
  const { guest_policy: guest, platform_info: platform, mitigations } = cpu;
  return {
    ...baselineSnpPolicy({ reportData: BY_STATEMENT, measurements: BY_IMAGE }),
    products: { anyOf: cpu.products },
    signers: { anyOf: cpu.signer.allow },
    cspIds: { anyOf: cpu.signer.csp_ids },
    minReportVersion: cpu.report_version.min,
    vmpls: { anyOf: cpu.vmpl },
    minGuestSvn: 'any' in cpu.guest_svn ? noted(cpu.guest_svn) : cpu.guest_svn.min,
    minAbi: 'any' in cpu.abi ? noted(cpu.abi) : cpu.abi.min,
    guestPolicy: {
      debug: guest.debug,
      migrateMa: guest.migrate_ma,
      smt: bit(guest.smt),
      singleSocket: bit(guest.single_socket),
      cxlAllow: bit(guest.cxl_allow),
      memAes256Xts: bit(guest.mem_aes_256_xts),
      raplDis: bit(guest.rapl_dis),
      ciphertextHidingDram: bit(guest.ciphertext_hiding_dram),
      pageSwapDisable: bit(guest.page_swap_disable),
    },
    platformInfo: {
      smtEn: bit(platform.smt_en),
      tsmeEn: bit(platform.tsme_en),
      eccEn: bit(platform.ecc_en),
      raplDis: bit(platform.rapl_dis),
      ciphertextHidingDramEn: bit(platform.ciphertext_hiding_dram_en),
      aliasCheckComplete: bit(platform.alias_check_complete),
      iommuWriteSafe: bit(platform.iommu_write_safe),
      tioEn: bit(platform.tio_en),
    },
    unknownPlatformBits: platform.unknown_bits,
    minTcb: floors,
    minLaunchTcb: floors,
    minFirmware: 'any' in cpu.firmware ? noted(cpu.firmware) : cpu.firmware.min,
    provisionalFirmware:
      cpu.provisional_firmware === 'forbid'
        ? 'forbid'
        : { unchecked: 'any: the floors hold for the committed TCB too' },
    launchMitigations: masks(mitigations, line, 'launch'),
    currentMitigations: masks(mitigations, line, 'current'),
    authorKeys:
      'any' in cpu.author_keys ? noted(cpu.author_keys) : { anyOf: cpu.author_keys.allow },
    chipIds: chipIds(cpu.platforms, hosts ?? []),
  };
}

function chipIds(platforms: SnpCpuRule['platforms'], hosts: Hosts): SnpPolicy['chipIds'] {
  if ('any' in platforms) return noted(platforms);
  if ('registry' in platforms) return { anyOf: hosts.map(({ cpu }) => cpu.chip_id) };
  return { anyOf: platforms.allow.chip_id };
}

function noted({ note }: { readonly note: string }): Unchecked {
  return { unchecked: note };
}

function bit(rule: 'require' | 'forbid' | 'any'): BitRule {
  return rule === 'any' ? { unchecked: 'any: either way is accepted' } : rule;
}

function floorsOf({ tcb }: SnpCpuRule): TcbFloors {
  return Object.fromEntries(
    SILICON_LINES.flatMap((line) => {
      const floor = tcb[line];
      if (floor === undefined) return [];
      const { source: _source, ...svns } = floor;
      return [[line, svns] as const];
    }),
  );
}

const ALL_BITS = (1n << 64n) - 1n;

/** A silicon line that the rule has no masks for would need every bit: no machine has them. */
function masks(
  rule: SnpCpuRule['mitigations'],
  line: PolicySubject['line'],
  which: 'launch' | 'current',
): SnpPolicy['launchMitigations'] {
  if ('any' in rule) return noted(rule);
  const entry = line === undefined ? undefined : rule.lines[line];
  return { mask: entry === undefined ? ALL_BITS : entry[which] };
}

type Tuple = NonNullable<PolicyImage['snp']>[number];

/** Tuples match whole: values of two shapes or two images never combine. */
function measurementCheck(
  report: SnpReport,
  { policy, image: index }: RuleQuestion,
): { readonly check: Check; readonly shape?: string } {
  const id = 'cpu.measurements';
  if (typeof index !== 'number') return { check: skipped(id, index.because) };
  const image = policy.document.images[index];
  if (image === undefined) return { check: skipped(id, 'workload.image') };
  const tuples = image.snp ?? [];
  const match = tuples.find((tuple) => equals(report, tuple));
  if (match !== undefined) {
    const at = policy.at('images', index, 'snp', tuples.indexOf(match));
    return { check: passedAt(id, at), shape: match.shape };
  }
  const [at, nearest] = nearestOf(report, tuples);
  const rows = nearest === undefined ? [] : differing(report, nearest);
  return {
    check: demanded(id, false, {
      at:
        nearest === undefined ? policy.at('images', index) : policy.at('images', index, 'snp', at),
      want:
        nearest === undefined
          ? listText([])
          : `${image.name}/${nearest.shape}: ${rows.map(({ name, want }) => `${name} ${want}`).join(', ')}`,
      got:
        nearest === undefined
          ? `measurement ${toHex(report.measurement)}`
          : rows.map(({ name, got }) => `${name} ${got}`).join(', '),
    }),
  };
}

function equals(report: SnpReport, tuple: Tuple): boolean {
  return (
    equalPublic(tuple.measurement, report.measurement) &&
    equalPublic(tuple.host_data, report.hostData) &&
    equalPublic(tuple.id_key_digest, report.idKeyDigest)
  );
}

function differing(report: SnpReport, tuple: Tuple) {
  const rows = [
    ['measurement', tuple.measurement, report.measurement],
    ['host_data', tuple.host_data, report.hostData],
    ['id_key_digest', tuple.id_key_digest, report.idKeyDigest],
  ] as const;
  return rows
    .filter(([, want, got]) => !equalPublic(want, got))
    .map(([name, want, got]) => ({ name, want: toHex(want), got: toHex(got) }));
}

function nearestOf(
  report: SnpReport,
  tuples: readonly Tuple[],
): readonly [index: number, tuple: Tuple | undefined] {
  let best = 0;
  for (const [index, tuple] of tuples.entries()) {
    const known = tuples[best];
    if (known === undefined) continue;
    if (differing(report, tuple).length < differing(report, known).length) best = index;
  }
  return [best, tuples[best]];
}
