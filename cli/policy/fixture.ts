/**
 * A fixture: captured evidence, the circumstances it is judged in, and what the policy is to say of it. A folder of them is
 * a team's regression test: a change of the policy that changes who gets in shows before workers feel it.
 *
 * `failing` is the exact set of failed checks of the verdict. Skipped checks follow from failed ones and are not compared.
 * `policy.issued` counts only where a fixture names it: fixtures are older than the policies that come after them.
 * Spec: gpu-and-policy §5.5 (`test`); docs/policy-evidence.md "Fixtures".
 * @module
 */

import { z } from 'zod';
import {
  appraisalCheckIds,
  appraiseRules,
  type RulesAppraisal,
} from '../../attestation/appraise.ts';
import { attempt } from '../../attestation/attempt.ts';
import { hexField } from '../../attestation/byte-fields.ts';
import type { EvidenceBundle } from '../../attestation/evidence.ts';
import { describeIssues } from '../../attestation/issues.ts';
import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import { INSTANT, listOf, NAME, TEXT } from '../../attestation/policy/fields.ts';
import { REVOCATION_KINDS, type Revocations } from '../../attestation/policy/revocations.ts';
import { holds } from '../../attestation/policy/rule-check.ts';
import { readPolicyText } from '../../attestation/policy/yaml.ts';
import { parseStatement } from '../../attestation/statement.ts';
import { newCaches, TEES } from '../../attestation/tees.ts';
import type { AppraisalCaches } from '../../attestation/tee.ts';
import { toHex } from '../../core/bytes.ts';
import { cliError } from '../errors.ts';

const CHECK_IDS: ReadonlySet<string> = new Set(TEES.flatMap(appraisalCheckIds));
const CHECK_ID = z
  .string()
  .max(128)
  .refine((id) => CHECK_IDS.has(id), { error: 'no such check' });

/** Inside the folder, and nothing that a shell or a file system takes for something else. */
const EVIDENCE_PATH = z
  .string()
  .max(256)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*(?:\/[A-Za-z0-9][A-Za-z0-9._-]*)*$/, {
    error: 'want the path of a file inside the folder',
  });

export const FIXTURE_SCHEMA = z
  .strictObject({
    /** What it is there for. */
    note: TEXT.exactOptional(),
    evidence: EVIDENCE_PATH,
    at: INSTANT,
    /** Absent: whom the statement is made for is taken as right. */
    aud: z.string().min(1).max(256).exactOptional(),
    /** Absent: the verifier set none, and limits.challenge decides. */
    challenge: hexField(32).exactOptional(),
    /** `{kind: policy, value: tested}` is the policy that is tested. */
    revoked: listOf(
      z.strictObject({ kind: z.enum(REVOCATION_KINDS), value: z.string().min(1).max(128) }),
    ).exactOptional(),
    /** When the last word on revocations was heard; absent: just then. */
    heard: INSTANT.exactOptional(),
    expect: z.enum(['admitted', 'denied']),
    /** That admits, or the nearest. Absent: any. */
    rule: NAME.exactOptional(),
    image: NAME.exactOptional(),
    failing: listOf(CHECK_ID).refine((ids) => new Set(ids).size === ids.length, {
      error: 'a check stands twice',
    }),
  })
  .superRefine(({ expect, failing }, ctx) => {
    if ((expect === 'admitted') === (failing.length === 0)) return;
    const message =
      expect === 'admitted' ? 'nothing fails where evidence is admitted' : 'want what fails';
    ctx.addIssue({ code: 'custom', path: ['failing'], message });
  });

export type Fixture = z.output<typeof FIXTURE_SCHEMA>;

/** Throws `policy.syntax` for what is not strict YAML, `cli.file` for what is no fixture. */
export function readFixture(name: string, bytes: Uint8Array): Fixture {
  const { value } = readPolicyText(bytes, name);
  const read = FIXTURE_SCHEMA.safeParse(value);
  if (read.success) return read.data;
  throw cliError('cli.file', `${name} is no fixture: ${describeIssues(read.error)}`);
}

export interface FixtureRuling {
  readonly appraisal: RulesAppraisal;
  readonly decision: 'admitted' | 'denied';
  /** Sorted as in the verdict, without `policy.issued` unless it counts. */
  readonly failing: readonly string[];
  readonly rule?: string;
  readonly image?: string;
}

type Circumstances = Pick<Fixture, 'at' | 'aud' | 'challenge' | 'revoked' | 'heard'>;

export interface FixtureQuestion {
  readonly evidence: EvidenceBundle;
  readonly policy: CompiledPolicy;
  readonly caches?: AppraisalCaches;
  readonly countsIssued: boolean;
}

/** What the policy says now, in the fixture's circumstances. */
export function judgeFixture(
  { at, aud, challenge, revoked, heard }: Circumstances,
  { evidence, policy, caches, countsIssued }: FixtureQuestion,
): FixtureRuling {
  const statement = attempt(() => parseStatement(evidence.statement));
  const stated = statement.outcome === 'read' ? statement.value.aud : '';
  const { revocation_age: age } = policy.document.limits;
  const appraisal = appraiseRules({
    evidence,
    policy,
    nowMs: at,
    aud: aud ?? stated,
    challenge:
      challenge === undefined ? { waived: 'the fixture sets none' } : { equals: challenge },
    revocations: {
      list: listed(revoked ?? [], policy),
      freshness: { untilMs: (heard ?? at) + ('any' in age ? 0 : age.gateway) },
    },
    caches: caches ?? newCaches(),
  });
  const { checks, rule, image } = appraisal.verdict;
  const counted = checks.filter(({ id }) => countsIssued || id !== 'policy.issued');
  return {
    appraisal,
    decision: counted.every(holds) ? 'admitted' : 'denied',
    failing: counted.filter(({ outcome }) => outcome === 'fail').map(({ id }) => id),
    ...(rule === undefined ? {} : { rule }),
    ...(image === undefined ? {} : { image }),
  };
}

/** In place of a digest: the policy that is tested, whatever was edited in it since. */
const TESTED = 'tested';

function listed(revoked: NonNullable<Fixture['revoked']>, { digest }: CompiledPolicy): Revocations {
  const tested = `sha256:${toHex(digest)}`;
  return {
    find: (kind, value) => {
      const found = revoked.find(
        (entry) =>
          entry.kind === kind &&
          (entry.value === value ||
            (kind === 'policy' && entry.value === TESTED && value === tested)),
      );
      return found === undefined
        ? undefined
        : { ...found, reason: 'the fixture', by: 'the fixture' };
    },
  };
}

export interface Difference {
  readonly what: 'decision' | 'rule' | 'image' | 'failing';
  readonly want: string;
  readonly got: string;
}

/** Empty when it is as expected. */
export function differences(fixture: Fixture, ruling: FixtureRuling): readonly Difference[] {
  const found: Difference[] = [];
  const compare = (what: Difference['what'], want: string | undefined, got = 'none'): void => {
    if (want !== undefined && want !== got) found.push({ what, want, got });
  };
  compare('decision', fixture.expect, ruling.decision);
  compare('rule', fixture.rule, ruling.rule);
  compare('image', fixture.image, ruling.image);
  compare('failing', idsText(fixture.failing), idsText(ruling.failing));
  return found;
}

function idsText(ids: readonly string[]): string {
  return ids.length === 0 ? 'nothing' : ids.toSorted().join(', ');
}
