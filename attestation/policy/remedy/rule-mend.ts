/**
 * What a policy would have to say so that one rule admits: about the policy as a whole, the workload and the machine.
 * Suggestions only: remedy.ts tries them. Spec: gpu-and-policy §5.3, §5.5.
 * @module
 */

import { equalPublic, toHex } from '../../../core/bytes.ts';
import { formatInstant } from '../../../core/clock.ts';
import type { Json } from '../../../core/json.ts';
import type { AppraiseInput, RulesAppraisal } from '../../appraise.ts';
import type { Card } from '../../card.ts';
import { STATEMENT_LIFETIME_MAX_S } from '../../statement-checks.ts';
import type { Statement } from '../../statement.ts';
import type { RuleQuestion, TeeFacts } from '../../tee.ts';
import { edit, GRANT_DAYS, hopeless, instantIn, mendedBy, TO_FILL_IN, type Mend } from './edit.ts';
import { listOf as listOfRevocations } from '../revocation-checks.ts';
import { POLICY_LIFETIME_MAX_DAYS, type PolicyDocument } from '../schema.ts';
import { snpMend, snpTuple } from './snp-mend.ts';
import { tdxImageRegisters, tdxMend, tdxTuple } from './tdx-mend.ts';

interface Context {
  readonly input: AppraiseInput;
  readonly document: PolicyDocument;
  readonly facts: TeeFacts;
  readonly statement: Statement;
  readonly card: Card;
  readonly rule: number;
}

type Mender = (context: Context, check: string) => Mend;

const DAY_MS = 86_400_000;

const MENDERS: Readonly<Record<string, Mender>> = {
  'policy.issued': ({ document }, check) =>
    hopeless(
      check,
      `the policy begins at ${formatInstant(document.issued)}: wait, or look at the clock`,
    ),
  'policy.expires': mendPolicyExpiry,
  'policy.evidenceAge': (_, check) =>
    mendedBy(
      check,
      edit(
        'set',
        ['limits', 'evidence_age'],
        `${STATEMENT_LIFETIME_MAX_S / 60}m`,
        'older evidence would count from every worker; new evidence costs one request',
      ),
    ),
  'policy.rule': (_, check) =>
    hopeless(check, 'there is no rule to change: veilgate policy init writes one from evidence'),
  'statement.nonce': ({ input }, check) =>
    'equals' in input.challenge
      ? hopeless(check, 'it answers another challenge: ask for new evidence')
      : mendedBy(
          check,
          edit(
            'set',
            ['limits', 'challenge'],
            'gateway',
            'no verifier would have to set a challenge of its own; rather give it (--challenge)',
          ),
        ),
  'cpu.tee': (_, check) =>
    hopeless(check, 'the rule is about another kind of machine: veilgate policy init writes one'),
  'workload.model': mendModel,
  'workload.weights': ({ document, card, statement }, check) => {
    const at = document.models.findIndex(({ id }) => id === card.model.id);
    const weights = `sha256:${toHex(statement.workload.model)}`;
    const weakens = 'workers that serve the weights so far would be denied';
    return mendedBy(check, edit('set', ['models', at, 'weights'], weights, weakens));
  },
  'workload.image': mendImage,
  'workload.imageExpires': ({ document, input, statement }, check) => {
    const at = imageOf(document, statement);
    const expires = instantIn(GRANT_DAYS, input.nowMs);
    const weakens = 'a release that was to leave would stay';
    return mendedBy(check, edit('set', ['images', at, 'expires'], expires, weakens));
  },
  'gpu.evidence': (_, check) =>
    hopeless(check, 'the rule demands a GPU, and GPU evidence is not verified yet'),
};

/** For one failed check of the policy, of one rule or of the statement. */
export function mendCheck(
  input: AppraiseInput,
  appraisal: RulesAppraisal,
  { rule, check }: { readonly rule: number; readonly check: string },
): Mend {
  const { facts, statement, card } = appraisal;
  if (check === 'revocation.fresh') {
    return hopeless(check, 'nobody knows whether it was taken back: look at the timestamp service');
  }
  if (check.startsWith('revocation.')) return hopeless(check, 'it was taken back');
  if (facts === undefined || statement === undefined || card === undefined) {
    return hopeless(check, NO_POLICY_DECIDES);
  }
  const { document } = input.policy;
  const mender = MENDERS[check];
  if (mender !== undefined) {
    return mender({ input, document, facts, statement, card, rule }, check);
  }
  if (!check.startsWith('cpu.')) return hopeless(check, NO_POLICY_DECIDES);
  const image = imageOf(document, statement);
  const question: RuleQuestion = {
    policy: input.policy,
    rule,
    image: image < 0 ? { because: 'workload.image' } : image,
    nowMs: input.nowMs,
    revocations: listOfRevocations(input.revocations),
  };
  return facts.tee === 'tdx'
    ? tdxMend(facts.tdx, question, check)
    : snpMend(facts.snp, question, check);
}

export const NO_POLICY_DECIDES = 'the evidence itself does not hold: no edit of a policy admits it';

/** By the pair that is unique in a policy; -1 when no image has it. */
function imageOf({ images }: PolicyDocument, { workload }: Statement): number {
  return images.findIndex(
    (image) =>
      equalPublic(image.workload.image, workload.image) &&
      equalPublic(image.workload.config, workload.config),
  );
}

function mendPolicyExpiry({ document, input }: Context, check: string): Mend {
  const { issued } = document;
  const last = issued + POLICY_LIFETIME_MAX_DAYS * DAY_MS;
  const weakens = 'the whole policy would be in force again, unreviewed';
  const expires = instantIn(GRANT_DAYS, input.nowMs);
  if (input.nowMs + GRANT_DAYS * DAY_MS <= last) {
    return mendedBy(check, edit('set', ['expires'], expires, weakens));
  }
  return mendedBy(
    check,
    edit('set', ['issued'], instantIn(0, input.nowMs)),
    edit('set', ['expires'], expires, weakens),
  );
}

function mendModel({ document, card, statement, rule }: Context, check: string): Mend {
  const { id } = card.model;
  const isKnown = document.models.some((model) => model.id === id);
  const weights = `sha256:${toHex(statement.workload.model)}`;
  return mendedBy(
    check,
    ...(isKnown ? [] : [edit('add', ['models'], { id, weights })]),
    edit('add', ['rules', rule, 'models'], id),
  );
}

/** A known release is listed; an unknown one is described as far as the evidence goes. */
function mendImage(context: Context, check: string): Mend {
  const { document, statement, rule } = context;
  const known = document.images[imageOf(document, statement)];
  if (known !== undefined) {
    return mendedBy(check, edit('add', ['rules', rule, 'images'], known.name));
  }
  const name = newImageName(document, toHex(statement.workload.image));
  const weakens = 'software that this policy knows nothing of would read prompts';
  return mendedBy(
    check,
    edit('add', ['images'], newImage(context, name), weakens),
    edit('add', ['rules', rule, 'images'], name),
  );
}

const DIGEST_SHOWN_CHARS = 12;

function newImageName({ images }: PolicyDocument, digest: string): string {
  const name = `image-${digest.slice(0, DIGEST_SHOWN_CHARS)}`;
  return images.some((image) => image.name === name) ? `${name}-${images.length}` : name;
}

function newImage({ facts, statement, input }: Context, name: string): Json {
  const { workload } = statement;
  return {
    name,
    source: { repo: TO_FILL_IN.repo, commit: '0'.repeat(40) },
    expires: instantIn(GRANT_DAYS, input.nowMs),
    workload: {
      image: `sha256:${toHex(workload.image)}`,
      config: `sha256:${toHex(workload.config)}`,
      engine: 'unknown',
    },
    ...(facts.tee === 'tdx'
      ? { tdx: [tdxTuple(facts.tdx, 'new-shape')], ...tdxImageRegisters(facts.tdx) }
      : { snp: [snpTuple(facts.snp, 'new-shape')] }),
  };
}
