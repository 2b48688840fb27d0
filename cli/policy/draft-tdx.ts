/** The `cpu` section and the tuple of a draft, from what a genuine TDX machine shows. Each value says where it comes from. @module */

import type { TdxRuleFacts } from '../../attestation/policy/tdx-rule.ts';
import { maskText, tdxImageRegisters, tdxTuple } from '../../attestation/policy/remedy/tdx-mend.ts';
import {
  TDX_RECOVERIES_AS_OF,
  standardRecovery,
} from '../../attestation/policy/lint/tdx-recoveries.ts';
import { STATUS_WORDS } from '../../attestation/policy/schema.ts';
import { EXCEPTION_DAYS, instantIn, TO_FILL_IN } from '../../attestation/policy/remedy/edit.ts';
import type { DraftCpu, DraftFrame } from './draft-cpu.ts';
import { asEntry, indented, memberLines, quoted } from './yaml-text.ts';

/** As policies/production.yaml. */
const XFAM_REQUIRE = 0x3n;
const XFAM_FORBID = 0xfffffffffff92418n;
const PERFMON_BYTE = 7;

export function tdxDraft(facts: TdxRuleFacts, frame: DraftFrame): DraftCpu {
  const { td, tcb, platform } = facts;
  const standard = frame.isSimulated ? undefined : standardRecovery(frame.nowMs);
  const days = [tcb.launch.tcbDate, tcb.current.tcbDate].flatMap((day) =>
    day === undefined ? [] : [day.slice(0, 10)],
  );
  const day = days.toSorted()[0] ?? '1970-01-01';
  const svns = td.v15 === undefined ? [td.teeTcbSvn] : [td.teeTcbSvn, td.v15.teeTcbSvn2];
  const modules = new Map<string, number>();
  for (const svn of svns) {
    const name = `TDX_${(svn[1] ?? 0).toString(16).toUpperCase().padStart(2, '0')}`;
    modules.set(name, Math.min(modules.get(name) ?? 255, svn[0] ?? 0));
  }
  const xfam = td.xfam.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  const hasPerfmon = ((td.tdAttributes[PERFMON_BYTE] ?? 0) & 0x80) !== 0;
  return {
    lines: [
      'tee: tdx',
      '# The schema has no other status; what is less is excused in "advisories".',
      'tcb_status: [up-to-date]',
      ...floorLines(
        'tcb_eval_number',
        tcb.evaluationDataNumber,
        standard?.number,
        'the collateral that came with it',
      ),
      ...floorLines('tcb_date', day, standard?.day, 'its oldest matched TCB level'),
      'tdx_module:',
      '  # From the quote’s TEE_TCB_SVN: the module at launch, and the one that runs where the quote names it.',
      `  identities: [${[...modules.keys()].join(', ')}]`,
      `  min_isvsvn: { ${[...modules].map(([name, svn]) => `${name}: ${svn}`).join(', ')} }`,
      '  mrsigner: intel',
      '# choose: {allow: […]} pins the exact build, and breaks at every module release.',
      "mrseam: { any: true, note: 'modules are judged by signer, version and security version' }",
      'attributes:',
      '  debug: forbid',
      '  sept_ve_disable: require',
      '  migratable: forbid',
      ...(hasPerfmon
        ? ['  # choose: set in the quote’s TD ATTRIBUTES; a side channel.', '  perfmon: any']
        : ['  # Clear in the quote’s TD ATTRIBUTES.', '  perfmon: forbid']),
      '  # Features the machine may use for itself; they weaken nothing.',
      '  protection_keys: any',
      '  key_locker: any',
      '  lass: any',
      '  unknown_bits: forbid',
      '# The features every guest has, and those refused by production.yaml that the quote’s XFAM does not use.',
      `xfam: { require: '${maskText(XFAM_REQUIRE & xfam)}', forbid: '${maskText(XFAM_FORBID & ~xfam)}' }`,
      'service_td: forbid',
      '# From the verified PCK certificate: the kind of platform.',
      `fmspc: { allow: ['${platform.fmspc}'] }`,
      ...(frame.hasHost
        ? ['# The machines of "hosts" below.', 'platforms: { registry: hosts }']
        : [
            '# From the verified PCK certificate: this one machine. choose: {registry: hosts} for a registry.',
            `platforms: { allow: { ppid: ['${platform.ppid}'] } }`,
          ]),
    ],
    image: [
      '# From the quote: MRTD and RTMR0 to RTMR3. One line per machine shape; choose its name.',
      'tdx:',
      ...indented(asEntry(memberLines(tdxTuple(facts, 'captured'))), 2),
      '# From the quote: MRCONFIGID, MROWNER, MROWNERCONFIG.',
      ...memberLines(tdxImageRegisters(facts)),
    ],
    advisories: advisoryLines(facts, frame),
    cpuId: { ppid: platform.ppid },
    about: `TDX, PPID ${platform.ppid}, TCB status ${tcb.status}`,
  };
}

/** What the machine shows, and never below what the vendor asks of everybody. */
function floorLines<Value extends number | string>(
  name: string,
  shown: Value,
  published: Value | undefined,
  from: string,
): readonly string[] {
  if (published === undefined || shown >= published) {
    return [`# From ${from}.`, `${name}: { min: ${shown} }`];
  }
  return [
    `# Published (${TDX_RECOVERIES_AS_OF}): ${published}. ${from} shows ${shown}, which is too old.`,
    `${name}: { min: ${published} }`,
  ];
}

function advisoryLines({ tcb }: TdxRuleFacts, { ruleId, nowMs }: DraftFrame): readonly string[] {
  const ids = [...new Set([...tcb.launch.advisoryIds, ...tcb.current.advisoryIds])];
  const statuses = [...new Set<string>([tcb.status, tcb.current.status])];
  const words = Object.entries(STATUS_WORDS).flatMap(([word, status]) =>
    statuses.includes(status) && word !== 'up-to-date' ? [word] : [],
  );
  return words.flatMap((word) =>
    ids.flatMap((id) => [
      '# choose: update the machine instead, or say why this is safe and who answers for it.',
      `- id: ${id}`,
      `  rules: [${ruleId}]`,
      `  admits: ${word}`,
      `  reason: ${quoted(TO_FILL_IN.reason)}`,
      `  owner: ${quoted(TO_FILL_IN.owner)}`,
      `  expires: ${instantIn(EXCEPTION_DAYS, nowMs)}`,
    ]),
  );
}
