/** Floors against what the vendors have published. Their documents decide; the tables here are dated. @module */

import { ADVISORIES_CAVEAT, SNP_ADVISORIES } from '../../snp/advisories.ts';
import { SILICON_LINES } from '../../snp/products.ts';
import { finding, ruleAt, type LintFinding, type LintSubject } from './finding.ts';
import type { SnpCpuRule, TdxCpuRule } from '../schema.ts';
import { standardRecovery, TDX_RECOVERIES_AS_OF } from './tdx-recoveries.ts';

/** Floors of the simulator are the simulator's. */
export function lintFloors(subject: LintSubject, index: number): readonly LintFinding[] {
  const { document } = subject.policy;
  const rule = document.rules[index];
  if (rule === undefined || document.development === true) return [];
  const { id, cpu } = rule;
  return cpu.tee === 'tdx'
    ? tdxFloors(subject, index, id, cpu)
    : snpFloors(subject, index, id, cpu);
}

function tdxFloors(
  subject: LintSubject,
  index: number,
  id: string,
  { tcb_eval_number: number, tcb_date: date }: TdxCpuRule,
): readonly LintFinding[] {
  const standard = standardRecovery(subject.nowMs);
  if (standard === undefined) return [];
  const at = ruleAt(subject, index);
  const known = `Intel serves ${standard.number} (${standard.day}) since ${standard.standardSince}`;
  const hint = `as observed, ${TDX_RECOVERIES_AS_OF}; Intel’s service decides`;
  const isLowNumber = 'min' in number && number.min < standard.number;
  const isEarly = 'min' in date && date.min < standard.day;
  return [
    ...(isLowNumber
      ? [
          finding('floor.tdx', {
            at: at('cpu', 'tcb_eval_number'),
            message: `rule ${id} is content with TCB recovery ${number.min}; ${known}`,
            hint,
          }),
        ]
      : []),
    ...(isEarly
      ? [
          finding('floor.tdx', {
            at: at('cpu', 'tcb_date'),
            message: `rule ${id} is content with TCB levels of ${date.min}; ${known}`,
            hint,
          }),
        ]
      : []),
  ];
}

function snpFloors(
  subject: LintSubject,
  index: number,
  id: string,
  cpu: SnpCpuRule,
): readonly LintFinding[] {
  const at = ruleAt(subject, index);
  const milan = SNP_ADVISORIES.find(({ demands }) =>
    demands.some(({ kind }) => kind === 'not-milan'),
  );
  const low = SILICON_LINES.flatMap((line) =>
    shortfalls(cpu, line).map(({ component, have, need, advisory }) =>
      finding('floor.snp', {
        at: at('cpu', 'tcb', line, component),
        message: `rule ${id} is content with ${component} ${have} on ${line}; ${advisory} asks for ${need}`,
        hint: ADVISORIES_CAVEAT,
      }),
    ),
  );
  if (!cpu.products.includes('milan')) return low;
  const message = `rule ${id} admits Milan: ${milan?.about ?? 'its root keys were extracted'}`;
  return [
    finding('floor.milan', {
      at: at('cpu', 'products'),
      message,
      hint: `${milan?.id ?? ''}: no floor helps against that`,
    }),
    ...low,
  ];
}

interface Shortfall {
  readonly component: 'snp' | 'microcode';
  readonly have: number;
  readonly need: number;
  readonly advisory: string;
}

/** The highest demand of each component: the lower ones are met with it. */
function shortfalls(
  { tcb }: SnpCpuRule,
  line: (typeof SILICON_LINES)[number],
): readonly Shortfall[] {
  const floor = tcb[line];
  if (floor === undefined) return [];
  const highest = new Map<Shortfall['component'], Shortfall>();
  for (const { id, name, demands } of SNP_ADVISORIES) {
    for (const demand of demands) {
      if (demand.kind !== 'tcb') continue;
      const { component } = demand;
      const need = demand.floors[line];
      const have = floor[component];
      if (need === undefined || have >= need) continue;
      if ((highest.get(component)?.need ?? 0) >= need) continue;
      highest.set(component, { component, have, need, advisory: `${id} (${name})` });
    }
  }
  return [...highest.values()];
}
