/** Everything that a policy does not check, line by line: a reviewer sees what is there, and seldom what is not. @module */

import { finding, type LintFinding, type LintSubject } from './finding.ts';
import type { SnpCpuRule, TdxCpuRule } from '../schema.ts';
import type { PolicyPath } from '../yaml.ts';

/** Where nearly every policy checks. */
const USUAL: Readonly<Record<string, string>> = {
  'limits.revocation_age':
    'without it, what was revoked is still admitted: {gateway: 60s, client: 5m}',
  'cpu.tcb_eval_number': 'old collateral does not know today’s weaknesses: {min: 19}',
  'cpu.tcb_date': 'the floor as a date: {min: 2025-05-14}',
  'cpu.attributes.perfmon': 'a side channel: forbid',
  'cpu.firmware': 'the floor of the SNP firmware: {min: "1.55.40"}',
  'cpu.platform_info.alias_check_complete': 'BadRAM (AMD-SB-3015): require',
};
const DEPTH_MAX = 8;

/** Of the section about gateways, beside those of its rules. */
export function lintChallenge({ policy }: LintSubject): readonly LintFinding[] {
  const path = ['gateways', 'challenge'];
  return waivers(policy.document.gateways?.challenge, path).map((waiver) =>
    said(policy.at(...path), '', waiver),
  );
}

export function lintWaivers({ policy }: LintSubject): readonly LintFinding[] {
  const { limits, rules } = policy.document;
  return [
    ...waivers(limits, ['limits']).map((waiver) => said(policy.at(...waiver.path), '', waiver)),
    ...rules.flatMap((rule, index) => {
      const { id, cpu, gpu } = rule;
      return [...waivers(cpu, ['cpu']), ...waivers(gpu, ['gpu'])].map((waiver) =>
        said(policy.at('rules', index, ...waiver.path), `rule ${id}: `, waiver),
      );
    }),
    ...rules.flatMap(({ id, cpu }, index) =>
      (cpu.tee === 'tdx' ? silentInTdx(cpu) : silentInSnp(cpu)).map((path) =>
        finding('waived.silent', {
          at: policy.at('rules', index, ...path),
          message: `rule ${id}: everything meets ${path.map(String).join('.')}: nothing is checked`,
          hint: 'raise it, or say {any: true, note: …} where that is possible',
        }),
      ),
    ),
  ];
}

/** What reads like a demand and refuses nobody. A component of a TCB may be zero: the vendor's numbers begin there. */
function silentInTdx({ xfam, tdx_module: { min_isvsvn: floors } }: TdxCpuRule): Paths {
  const modules = Object.entries(floors).filter(([, min]) => min === 0);
  return [
    ...(xfam.forbid === 0n ? [['cpu', 'xfam', 'forbid']] : []),
    ...modules.map(([name]) => ['cpu', 'tdx_module', 'min_isvsvn', name]),
  ];
}

function silentInSnp({ guest_svn: svn, abi, firmware, mitigations }: SnpCpuRule): Paths {
  const isZero = (parts: Readonly<Record<string, number>>): boolean =>
    Object.values(parts).every((part) => part === 0);
  const lines = 'any' in mitigations ? {} : mitigations.lines;
  const masks = Object.entries(lines).filter(([, { launch, current }]) => launch + current === 0n);
  return [
    ...('min' in svn && svn.min === 0 ? [['cpu', 'guest_svn', 'min']] : []),
    ...('min' in abi && isZero(abi.min) ? [['cpu', 'abi', 'min']] : []),
    ...('min' in firmware && isZero(firmware.min) ? [['cpu', 'firmware', 'min']] : []),
    ...masks.map(([line]) => ['cpu', 'mitigations', 'lines', line]),
  ];
}

type Paths = readonly PolicyPath[];

interface Waiver {
  readonly path: PolicyPath;
  /** The reason, where one is asked for. */
  readonly note?: string;
}

function said(at: string, prefix: string, { path, note }: Waiver): LintFinding {
  const member = path.map(String).join('.');
  const usual = USUAL[member];
  const message = `${prefix}${member} is not checked${note === undefined ? '' : `: ${note}`}`;
  if (usual === undefined) return finding('waived.check', { at, message });
  return finding('waived.strict', { at, message, hint: usual });
}

function waivers(value: unknown, path: PolicyPath): readonly Waiver[] {
  if (value === 'any') return [{ path }];
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [];
  if (path.length > DEPTH_MAX) return [];
  if ('any' in value) return [{ path, note: 'note' in value ? String(value.note) : '' }];
  return Object.entries(value).flatMap(([name, member]) => waivers(member, [...path, name]));
}
