/** Rules that admit nobody, or nobody new. A mistake there locks a fleet out in silence. @module */

import { formatInstant } from '../../../core/clock.ts';
import { ruleChanges } from '../diff/rule.ts';
import { finding, ruleAt, type LintFinding, type LintSubject } from './finding.ts';
import type { PolicyRule, SnpCpuRule, TdxCpuRule } from '../schema.ts';
import type { PolicyPath } from '../yaml.ts';

/** Of one rule. */
export function lintRule(subject: LintSubject, index: number): readonly LintFinding[] {
  const rule = subject.policy.document.rules[index];
  if (rule === undefined) return [];
  return [
    ...emptyLists(subject, index, rule),
    ...imageFindings(subject, index, rule),
    ...gpuFindings(subject, index, rule),
    ...hostFindings(subject, index, rule),
    ...impossible(subject, index, rule),
    ...covered(subject, index, rule),
  ];
}

function emptyLists(subject: LintSubject, index: number, rule: PolicyRule): readonly LintFinding[] {
  const { cpu } = rule;
  const lists: readonly (readonly [path: PolicyPath, list: readonly unknown[]])[] = [
    [['models'], rule.models],
    [['images'], rule.images],
    ...(cpu.tee === 'tdx' ? tdxLists(cpu) : snpLists(cpu)),
  ];
  return lists
    .filter(([, list]) => list.length === 0)
    .map(([path]) =>
      finding('rule.empty', {
        at: ruleAt(subject, index)(...path),
        message: `rule ${rule.id} admits nobody: ${path.join('.')} is empty`,
        hint: 'list what it admits, or remove the rule',
      }),
    );
}

type Lists = readonly (readonly [path: PolicyPath, list: readonly unknown[]])[];

/** Without a status in the list, exceptions still admit. */
function tdxLists(cpu: TdxCpuRule): Lists {
  return [
    [['cpu', 'tdx_module', 'identities'], cpu.tdx_module.identities],
    ...('any' in cpu.mrseam ? [] : ([[['cpu', 'mrseam', 'allow'], cpu.mrseam.allow]] as const)),
    ...('any' in cpu.fmspc ? [] : ([[['cpu', 'fmspc', 'allow'], cpu.fmspc.allow]] as const)),
    ...('allow' in cpu.platforms
      ? ([[['cpu', 'platforms', 'allow', 'ppid'], cpu.platforms.allow.ppid]] as const)
      : []),
  ];
}

function snpLists(cpu: SnpCpuRule): Lists {
  const { allow } = cpu.signer;
  const needsCloud = allow.length > 0 && allow.every((signer) => signer === 'vlek');
  return [
    [['cpu', 'products'], cpu.products],
    [['cpu', 'signer', 'allow'], allow],
    ...(needsCloud ? ([[['cpu', 'signer', 'csp_ids'], cpu.signer.csp_ids]] as const) : []),
    [['cpu', 'vmpl'], cpu.vmpl],
    [['cpu', 'tcb'], Object.keys(cpu.tcb)],
    ...('any' in cpu.author_keys
      ? []
      : ([[['cpu', 'author_keys', 'allow'], cpu.author_keys.allow]] as const)),
    ...('allow' in cpu.platforms
      ? ([[['cpu', 'platforms', 'allow', 'chip_id'], cpu.platforms.allow.chip_id]] as const)
      : []),
  ];
}

function imageFindings(
  subject: LintSubject,
  index: number,
  rule: PolicyRule,
): readonly LintFinding[] {
  const { policy, nowMs } = subject;
  const listed = policy.document.images.filter(({ name }) => rule.images.includes(name));
  if (listed.length === 0) return [];
  const at = ruleAt(subject, index)('images');
  const built = listed.filter((image) => (image[rule.cpu.tee] ?? []).length > 0);
  if (built.length === 0) {
    const message = `rule ${rule.id} admits nobody: none of its images has tuples for ${rule.cpu.tee}`;
    return [finding('rule.no-tuples', { at, message, hint: `veilgate measure ${rule.cpu.tee}` })];
  }
  const newest = Math.max(...built.map(({ expires }) => expires));
  if (nowMs < newest) return [];
  const message = `rule ${rule.id} admits nobody: its last image expired ${formatInstant(newest)}`;
  return [finding('rule.images-expired', { at, message, hint: 'list a newer release' })];
}

function gpuFindings(
  subject: LintSubject,
  index: number,
  { id, gpu }: PolicyRule,
): readonly LintFinding[] {
  if (gpu === 'none') return [];
  return [
    finding('rule.gpu', {
      at: ruleAt(subject, index)('gpu'),
      message: `rule ${id} admits nobody: it demands a GPU, and GPU evidence is not verified yet`,
    }),
  ];
}

function hostFindings(
  subject: LintSubject,
  index: number,
  { id, cpu }: PolicyRule,
): readonly LintFinding[] {
  if (!('registry' in cpu.platforms)) return [];
  const name = cpu.tee === 'tdx' ? 'ppid' : 'chip_id';
  const hosts = subject.policy.document.hosts.filter((host) => name in host.cpu);
  if (hosts.some(({ expires }) => subject.nowMs < expires)) return [];
  const what =
    hosts.length === 0
      ? `hosts has no machine with a ${name}`
      : `every ${name} in hosts has expired`;
  return [
    finding('rule.no-hosts', {
      at: ruleAt(subject, index)('cpu', 'platforms'),
      message: `rule ${id} admits nobody: ${what}`,
    }),
  ];
}

function impossible(
  subject: LintSubject,
  index: number,
  { id, cpu }: PolicyRule,
): readonly LintFinding[] {
  if (cpu.tee !== 'tdx') return noFloors(subject, index, id, cpu);
  const both = cpu.xfam.require & cpu.xfam.forbid;
  if (both === 0n) return [];
  const message = `rule ${id} admits nobody: xfam requires and forbids 0x${both.toString(16)}`;
  return [finding('rule.impossible', { at: ruleAt(subject, index)('cpu', 'xfam'), message })];
}

const LINES_OF = {
  milan: ['milan', 'milan-x'],
  genoa: ['genoa', 'genoa-x', 'bergamo-siena'],
  turin: ['turin', 'turin-dense'],
} as const;

function noFloors(
  subject: LintSubject,
  index: number,
  id: string,
  { products, tcb }: SnpCpuRule,
): readonly LintFinding[] {
  const at = ruleAt(subject, index);
  const without = products.filter((product) =>
    LINES_OF[product].every((line) => tcb[line] === undefined),
  );
  const needless = (['milan', 'genoa', 'turin'] as const)
    .filter((product) => !products.includes(product))
    .flatMap((product) => LINES_OF[product].filter((line) => tcb[line] !== undefined));
  return [
    ...without.map((product) =>
      finding('rule.no-floor', {
        at: at('cpu', 'products'),
        message: `rule ${id} refuses every ${product}: tcb has no floor for ${LINES_OF[product].join(', ')}`,
      }),
    ),
    ...needless.map((line) =>
      finding('unused.floor', {
        at: at('cpu', 'tcb', line),
        message: `rule ${id} has a floor for ${line} and does not list its product`,
      }),
    ),
  ];
}

/** What the diff from this rule to an earlier one shows: nothing that is narrower or in doubt. */
function covered(subject: LintSubject, index: number, rule: PolicyRule): readonly LintFinding[] {
  const { rules, advisories } = subject.policy.document;
  const pair = { what: '', was: () => '', now: () => '' };
  const earlier = rules.slice(0, index).find((other) => {
    const changes = ruleChanges({ pair, path: [] }, rule, other);
    const isWider = changes.every(({ effect }) => effect === 'widens' || effect === 'neutral');
    const excused = advisories.filter((entry) => entry.rules.includes(rule.id));
    return isWider && excused.every((entry) => entry.rules.includes(other.id));
  });
  if (earlier === undefined) return [];
  return [
    finding('rule.covered', {
      at: ruleAt(subject, index)('id'),
      message: `rule ${rule.id} changes nothing: ${earlier.id} before it admits all that it admits`,
      hint: 'remove one of them',
    }),
  ];
}
