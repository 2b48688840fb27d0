/**
 * The section about gateways, asked the same questions as the rest. What is about the policy as a whole was said already.
 * @module
 */

import { gatewayRole } from '../gateway-role.ts';
import { lintEntries } from './entries.ts';
import type { LintFinding, LintSubject } from './finding.ts';
import { lintFloors } from './floors.ts';
import { lintRule } from './rules.ts';
import { lintTimes } from './times.ts';
import { lintChallenge, lintWaivers } from './waivers.ts';

export function lintGateways(subject: LintSubject): readonly LintFinding[] {
  if (subject.policy.document.gateways === undefined) return [];
  const role: LintSubject = { ...subject, policy: gatewayRole(subject.policy) };
  const { document } = role.policy;
  const entries: LintSubject = {
    ...role,
    policy: { ...role.policy, document: { ...document, models: [], advisories: [], hosts: [] } },
  };
  const isOfSection = atSection(subject);
  return [
    ...lintChallenge(subject),
    ...document.rules.flatMap((_, index) => [...lintRule(role, index), ...lintFloors(role, index)]),
    ...[...lintTimes(entries), ...lintEntries(entries), ...lintWaivers(entries)].filter(
      isOfSection,
    ),
  ];
}

/** By the lines of its entries: findings about anything else are the whole policy's. */
function atSection({ policy }: LintSubject): (finding: LintFinding) => boolean {
  const lines = new Set(
    policy.lines.at
      .filter(([path]) => path === 'gateways' || path.startsWith('gateways/'))
      .map(([, file, line]) => `${policy.lines.files[file] ?? 'policy'}:${line}`),
  );
  return ({ at }) => lines.has(at);
}
