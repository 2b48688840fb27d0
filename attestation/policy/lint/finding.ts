/** What lint can say: a closed set, so that a pipeline can tell one finding from another. @module */

import type { CompiledPolicy } from '../compile.ts';
import type { PolicyPath } from '../yaml.ts';

export type LintLevel = 'error' | 'warning' | 'note';

interface LintKind {
  readonly level: LintLevel;
  /** For documents. */
  readonly about: string;
}

/** error: wrong in every case. warning: wrong in most. note: to be seen by whoever reviews. */
export const LINT_KINDS = {
  'load.size': { level: 'error', about: 'A file is too large to be a policy.' },
  'load.syntax': { level: 'error', about: 'Not YAML as policies are written.' },
  'load.schema': {
    level: 'error',
    about: 'A member is missing, unknown or has no possible value.',
  },
  'load.inconsistent': { level: 'error', about: 'Members contradict each other or name nothing.' },
  'policy.nobody': { level: 'error', about: 'No rule can admit anybody.' },
  'policy.development': {
    level: 'warning',
    about: 'Simulated machines are admitted: protects nothing.',
  },
  'time.expired-policy': { level: 'error', about: 'The policy has expired: it admits nobody.' },
  'time.not-yet': {
    level: 'warning',
    about: 'The policy is issued in the future: it admits nobody yet.',
  },
  'time.expired': { level: 'warning', about: 'An entry has expired and should go.' },
  'time.soon': { level: 'warning', about: 'Something expires within two weeks.' },
  'time.long': { level: 'warning', about: 'Something is granted for more than 90 days.' },
  'time.old-word': {
    level: 'warning',
    about: 'Word on revocations may be older than a minute at gateways, or five at clients.',
  },
  'time.outlives': { level: 'note', about: 'An entry lasts longer than its policy.' },
  'rule.empty': { level: 'warning', about: 'A list is empty, so that the rule admits nobody.' },
  'rule.no-tuples': {
    level: 'warning',
    about: 'No image of the rule is built for its kind of machine.',
  },
  'rule.images-expired': { level: 'warning', about: 'All images of the rule have expired.' },
  'rule.gpu': {
    level: 'warning',
    about: 'A GPU is demanded: admits nobody until GPU evidence is verified.',
  },
  'rule.no-hosts': {
    level: 'warning',
    about: 'Machines of hosts are demanded and there are none of this kind.',
  },
  'rule.no-floor': {
    level: 'warning',
    about: 'A product is listed and no silicon line of it has a floor.',
  },
  'rule.impossible': { level: 'warning', about: 'Two demands contradict each other.' },
  'rule.covered': {
    level: 'warning',
    about: 'An earlier rule admits everything that this one admits.',
  },
  'unused.image': { level: 'warning', about: 'No rule names the image.' },
  'unused.model': { level: 'warning', about: 'No rule names the model.' },
  'unused.advisory': { level: 'warning', about: 'The exception is for no rule that uses it.' },
  'unused.host': { level: 'note', about: 'No rule asks for this machine.' },
  'unused.floor': {
    level: 'note',
    about: 'A floor of a silicon line whose product is not listed.',
  },
  'advisory.twice': { level: 'warning', about: 'The same exception stands twice.' },
  'floor.snp': { level: 'warning', about: 'A floor is below what an AMD bulletin asks for.' },
  'floor.milan': { level: 'warning', about: 'Milan is admitted, whose root keys were extracted.' },
  'floor.tdx': { level: 'warning', about: 'A floor is below the TCB recovery that Intel serves.' },
  'measurement.twice': { level: 'warning', about: 'The same whole tuple stands twice.' },
  'measurement.shared': { level: 'note', about: 'Two images have the same MRTD or MEASUREMENT.' },
  'placeholder.digest': {
    level: 'error',
    about: 'A digest of one repeated byte in a production policy.',
  },
  'placeholder.commit': {
    level: 'warning',
    about: 'A commit of one repeated digit in a production policy.',
  },
  'waived.strict': { level: 'warning', about: 'Not checked, and checking it is usual.' },
  'waived.check': { level: 'note', about: 'Not checked.' },
  'waived.silent': {
    level: 'note',
    about: 'A demand that everything meets: in truth not checked.',
  },
} as const satisfies Readonly<Record<string, LintKind>>;

export type LintId = keyof typeof LINT_KINDS;

export interface LintFinding {
  readonly level: LintLevel;
  readonly id: LintId;
  /** `policy.yaml:31`. */
  readonly at: string;
  readonly message: string;
  readonly hint?: string;
}

export interface LintSubject {
  readonly policy: CompiledPolicy;
  readonly nowMs: number;
}

interface Said {
  readonly at: string;
  readonly message: string;
  readonly hint?: string;
}

export function finding(id: LintId, said: Said): LintFinding {
  return { level: LINT_KINDS[id].level, id, ...said };
}

/** A rule that admits nobody, whatever the rest of it says. */
export const BLOCKING: readonly LintId[] = [
  'rule.empty',
  'rule.no-tuples',
  'rule.images-expired',
  'rule.gpu',
  'rule.no-hosts',
  'rule.impossible',
];

/** Where a member of rule `index` stands. */
export function ruleAt({ policy }: LintSubject, index: number): (...path: PolicyPath) => string {
  return (...path) => policy.at('rules', index, ...path);
}
