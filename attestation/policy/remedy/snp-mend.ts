/**
 * What a rule would have to want so that a genuine SEV-SNP guest passes each check that it failed. Suggestions only:
 * remedy.ts tries them. Spec: gpu-and-policy §5.2, §5.5 ("smallest change that would admit").
 * @module
 */

import { isZero, toHex } from '../../../core/bytes.ts';
import type { JsonObject } from '../../../core/json.ts';
import { guestAbi, hasAuthorKey, signingKeyOf } from '../../snp/bits.ts';
import { compareFirmware, firmwareText, type PolicySubject } from '../../snp/policy-checks.ts';
import { decodeTcb, TCB_COMPONENT_NAMES, type SnpTcb } from '../../snp/tcb.ts';
import type { RuleQuestion } from '../../tee.ts';
import { edit, hopeless, mendedBy, type Mend } from './edit.ts';
import { hostMend } from './host-mend.ts';
import type { SnpCpuRule } from '../schema.ts';
import { snpMemberName } from '../snp-rule.ts';
import { maskText, newShape, registerText } from './tdx-mend.ts';

interface Context {
  readonly subject: PolicySubject;
  readonly question: RuleQuestion;
  readonly cpu: SnpCpuRule;
  readonly path: (...names: readonly string[]) => readonly (string | number)[];
}

type Mender = (context: Context, check: string) => Mend;

const NOT_ALL_ARE_ALIKE = 'every guest and every machine that is so would count';

const MENDERS: Readonly<Record<string, Mender>> = {
  'cpu.measurements': mendMeasurements,
  'cpu.product': ({ subject, path }, check) =>
    subject.product === undefined
      ? hopeless(check, 'a processor that nobody has described')
      : mendedBy(
          check,
          edit(
            'add',
            path('products'),
            subject.product.name,
            subject.product.name === 'milan'
              ? 'Milan’s root seed was extracted in software (arXiv 2605.12990): its certificates can be made up'
              : undefined,
          ),
        ),
  'cpu.signer': ({ subject, path }, check) =>
    mendedBy(check, edit('add', path('signer', 'allow'), signingKeyOf(subject.report.signerInfo))),
  'cpu.cspId': ({ subject, path }, check) =>
    subject.extensions?.owner.kind === 'vlek'
      ? mendedBy(check, edit('add', path('signer', 'csp_ids'), subject.extensions.owner.cspId))
      : hopeless(check, 'its certificate names no cloud'),
  'cpu.reportVersion': ({ subject, path }, check) =>
    mendedBy(
      check,
      edit(
        'set',
        path('report_version', 'min'),
        subject.report.version,
        'older reports say less about their machine',
      ),
    ),
  'cpu.vmpl': ({ subject, path }, check) =>
    mendedBy(
      check,
      edit(
        'add',
        path('vmpl'),
        subject.report.vmpl,
        'less privileged parts of a guest would count',
      ),
    ),
  'cpu.guestSvn': ({ subject, path }, check) =>
    mendedBy(
      check,
      edit(
        'set',
        path('guest_svn', 'min'),
        subject.report.guestSvn,
        'images with this older version number would count',
      ),
    ),
  'cpu.abi': ({ subject, path }, check) => {
    const { major, minor } = guestAbi(subject.report.guestPolicy);
    const version = `${major}.${minor}`;
    return mendedBy(check, edit('set', path('abi', 'min'), version, NOT_ALL_ARE_ALIKE));
  },
  'cpu.platformInfo.unknownBits': (_, check) =>
    hopeless(check, 'bits that nobody has explained; no policy can allow them'),
  'cpu.tcbFloor': mendFloor,
  'cpu.tcbMinimum': mendFloor,
  'cpu.launchTcb': mendFloor,
  'cpu.firmware': ({ subject: { report }, path }, check) => {
    const { currentFirmware: current, committedFirmware: committed } = report;
    const lower = compareFirmware(current, committed) < 0 ? current : committed;
    const weakens = 'every machine back to this firmware would count';
    return mendedBy(check, edit('set', path('firmware', 'min'), firmwareText(lower), weakens));
  },
  'cpu.provisionalFirmware': ({ path }, check) =>
    mendedBy(
      check,
      edit(
        'set',
        path('provisional_firmware'),
        'any',
        'firmware that can still be taken back would count',
      ),
    ),
  'cpu.mitigations.launch': mendMitigations,
  'cpu.mitigations.current': mendMitigations,
  'cpu.authorKey': ({ subject: { report }, path }, check) =>
    hasAuthorKey(report.signerInfo)
      ? mendedBy(check, edit('add', path('author_keys', 'allow'), toHex(report.authorKeyDigest)))
      : hopeless(check, 'the guest has no author key: sign its ID block'),
  'cpu.chipId': ({ subject: { report }, question }, check) =>
    signingKeyOf(report.signerInfo) === 'vcek'
      ? hostMend(check, question, { chip_id: toHex(report.chipId) })
      : hopeless(check, 'a cloud’s key proves no chip, so no list of chips admits it'),
};

export function snpMend(subject: PolicySubject, question: RuleQuestion, check: string): Mend {
  const cpu = question.policy.document.rules[question.rule]?.cpu;
  if (cpu?.tee !== 'snp') return hopeless(check, 'no policy decides it');
  const path: Context['path'] = (...names) => ['rules', question.rule, 'cpu', ...names];
  const context = { subject, question, cpu, path };
  const mender = MENDERS[check];
  if (mender !== undefined) return mender(context, check);
  const [, section, bit] = /^cpu\.(guestPolicy|platformInfo)\.(\w+)$/.exec(check) ?? [];
  if (section === undefined || bit === undefined) return hopeless(check, 'no policy decides it');
  const member = snpMemberName(section);
  return mendedBy(check, edit('set', path(member, snpMemberName(bit)), 'any', NOT_ALL_ARE_ALIKE));
}

/** The tuple that a report would match. */
export function snpTuple({ report }: Pick<PolicySubject, 'report'>, shape: string): JsonObject {
  return {
    shape,
    measurement: toHex(report.measurement),
    host_data: isZero(report.hostData) ? 'zero' : toHex(report.hostData),
    id_key_digest: registerText(report.idKeyDigest),
  };
}

function mendMeasurements({ subject, question }: Context, check: string): Mend {
  const { policy, image: index } = question;
  const image = typeof index === 'number' ? policy.document.images[index] : undefined;
  if (typeof index !== 'number' || image === undefined) return hopeless(check, 'no image is known');
  const shape = newShape((image.snp ?? []).map((tuple) => tuple.shape));
  return mendedBy(check, edit('add', ['images', index, 'snp'], snpTuple(subject, shape)));
}

/** The lowest of each component, in all the places that a floor is asked about. */
export function lowestTcb({ report, product }: PolicySubject): SnpTcb | undefined {
  if (product === undefined) return undefined;
  const all = [report.currentTcb, report.committedTcb, report.reportedTcb, report.launchTcb].map(
    (raw) => decodeTcb(raw, product.layout),
  );
  const lowest = (name: (typeof TCB_COMPONENT_NAMES)[number]): number =>
    Math.min(...all.map((tcb) => tcb[name] ?? 0));
  return {
    ...(product.layout === 1 ? { fmc: lowest('fmc') } : {}),
    bootloader: lowest('bootloader'),
    tee: lowest('tee'),
    snp: lowest('snp'),
    microcode: lowest('microcode'),
  };
}

function mendFloor({ subject, cpu, path }: Context, check: string): Mend {
  const { line } = subject;
  const lowest = lowestTcb(subject);
  if (line === undefined || lowest === undefined) {
    return hopeless(check, 'a processor that nobody has described');
  }
  const floor = cpu.tcb[line];
  if (floor === undefined) {
    const value = { ...lowest, source: '<AMD bulletin that asks for these>' };
    return mendedBy(check, edit('set', path('tcb', line), value));
  }
  const lower = TCB_COMPONENT_NAMES.flatMap((name) => {
    const [want, have] = [floor[name], lowest[name]];
    if (want === undefined || have === undefined || have >= want) return [];
    const weakens = `every ${line} machine back to ${name} ${have} would count`;
    return [edit('set', path('tcb', line, name), have, weakens)];
  });
  return mendedBy(check, ...lower);
}

function mendMitigations({ subject, cpu, path }: Context, check: string): Mend {
  const { line, report } = subject;
  if (line === undefined || 'any' in cpu.mitigations) {
    return hopeless(check, 'a processor that nobody has described');
  }
  const has = report.version >= 5;
  const masks = cpu.mitigations.lines[line];
  const launch = has ? report.launchMitigations : 0n;
  const current = has ? report.currentMitigations : 0n;
  const value = {
    launch: maskText(masks === undefined ? launch : masks.launch & launch),
    current: maskText(masks === undefined ? current : masks.current & current),
  };
  const weakens =
    masks === undefined ? undefined : 'machines without these mitigations would count';
  return mendedBy(check, edit('set', path('mitigations', 'lines', line), value, weakens));
}
