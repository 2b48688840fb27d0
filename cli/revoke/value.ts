/**
 * What a revocation names, in the one form in which it is looked up. A word that is spelt wrong takes nothing away while
 * everybody believes it does: what a policy would have to know is asked of the policies that are published.
 * Spec: docs/publication.md §2 "Revocations".
 * @module
 */

import { nearestName } from '../../attestation/policy/problems/nearest-name.ts';
import type { PolicyDocument } from '../../attestation/policy/schema.ts';
import { REVOCATION_KINDS, type RevocationKind } from '../../attestation/policy/revocations.ts';
import { heldBundles } from '../../attestation/publication/find-bundles.ts';
import type { PublicationState } from '../../attestation/publication/memory.ts';
import { attempt } from '../../attestation/publication/step.ts';
import { isZero, toHex } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { cliError } from '../errors.ts';
import { policyInForce, supportedBundle } from '../publication/bundle-checks.ts';
import { policyDigestText, policyNameOf } from '../publication/documents.ts';
import { refused } from '../publication/errors.ts';
import { ownState } from '../publication/own-state.ts';
import type { RepositoryFiles } from '../publication/repository.ts';

interface KindForm {
  readonly form: RegExp;
  readonly want: string;
  /** Digits in either case, perhaps after 0x. */
  readonly hex?: true;
}

const NAME: KindForm = { form: /^[a-z0-9][a-z0-9._-]*$/, want: 'its name in the policy' };
const GPU: KindForm = {
  form: /^[\x21-\x7e]{1,128}$/,
  want: 'one word, as the GPU reports it',
};

const FORMS: Readonly<Record<RevocationKind, KindForm>> = {
  image: NAME,
  rule: { ...NAME, want: 'its id in the policy' },
  advisory: {
    form: /^[A-Z0-9][A-Z0-9-]{2,63}$/,
    want: 'its id in the policy, such as INTEL-SA-00837',
  },
  measurement: {
    form: /^[0-9a-f]{96}$/,
    want: '96 hex digits: MRTD or an RTMR of TDX, or MEASUREMENT of SEV-SNP',
    hex: true,
  },
  cpu: {
    form: /^(?:[0-9a-f]{32}|[0-9a-f]{128})$/,
    want: '32 hex digits (PPID of TDX) or 128 (CHIP_ID of SEV-SNP)',
    hex: true,
  },
  key: { form: /^[0-9a-f]{64}$/, want: '64 hex digits: the worker id of an owner', hex: true },
  kid: { form: /^[0-9a-f]{32}$/, want: '32 hex digits: one key of one statement', hex: true },
  policy: {
    form: /^sha256:[0-9a-f]{64}$/,
    want: 'sha256: and 64 hex digits, or the serial of a bundle in the repository',
  },
  ueid: GPU,
  driver: GPU,
  vbios: GPU,
  rim: GPU,
};

/** Kept in the list, and looked at once evidence of GPUs is. */
const NOT_JUDGED_YET: readonly RevocationKind[] = ['ueid', 'driver', 'vbios', 'rim'];

/** Throws `cli.option`. */
export function kindFrom(text: string): RevocationKind {
  const kind = REVOCATION_KINDS.find((name) => name === text);
  if (kind !== undefined) return kind;
  const near = nearestName(text, REVOCATION_KINDS);
  const hint = near === undefined ? '' : `; did you mean ${near}?`;
  throw cliError('cli.option', `KIND is one of ${REVOCATION_KINDS.join(', ')}${hint}`);
}

/** Throws `cli.option` for what no policy could look up. */
export function valueFrom(kind: RevocationKind, text: string, files: RepositoryFiles): string {
  const { form, want, hex } = FORMS[kind];
  const given = text.trim();
  const value = hex === true ? given.toLowerCase().replace(/^0x/, '') : given;
  if (kind === 'policy' && /^#?[1-9]\d{0,14}$/.test(value)) {
    return digestOfSerial(Number(value.replace('#', '')), files);
  }
  if (form.test(value)) return value;
  const got =
    hex === true && /^[0-9a-f]*$/.test(value)
      ? `these are ${value.length} digits`
      : `this has ${value.length} characters`;
  throw cliError('cli.option', `a revocation of ${kind} takes ${want}; ${got}`);
}

/** Of one that enough people signed: any other could be whatever somebody put under that number. */
function digestOfSerial(serial: number, files: RepositoryFiles): string {
  const { state } = ownState(files, systemClock());
  const found = attempt('bundle', () => supportedBundle(files, state, serial));
  if (found.outcome === 'done' && found.value !== undefined) return policyDigestText(found.value);
  const why =
    found.outcome === 'done'
      ? `the repository has no bundle ${serial}`
      : `bundle ${serial} of the repository is not to be believed (${found.refusal.code})`;
  throw cliError('cli.option', `${why}; name the policy by its digest, sha256:…`);
}

const NAMED_IN = {
  image: ({ images }: PolicyDocument) => images.map(({ name }) => name),
  rule: ({ rules }: PolicyDocument) => rules.map(({ id }) => id),
  advisory: ({ advisories }: PolicyDocument) => advisories.map(({ id }) => id),
} as const;

/** Throws `repository.refused` for a name that no published policy has. */
export function assertKnown(kind: RevocationKind, value: string, state: PublicationState): void {
  if (kind !== 'image' && kind !== 'rule' && kind !== 'advisory') return;
  const policies = heldBundles(state).map(({ document }) => document.payload.policy.document);
  const names = [...new Set(policies.flatMap(NAMED_IN[kind]))];
  // Nobody is stopped from taking away because there is nothing to compare with.
  if (names.includes(value) || policies.length === 0) return;
  const near = nearestName(value, names);
  throw refused(
    `no published policy has the ${kind} ${value}, so revoking it would take nothing away`,
    near === undefined
      ? `name one of ${names.join(', ') || '(none)'}; if it is about a policy to come, say --unknown`
      : `did you mean ${near}? If it is about a policy to come, say --unknown`,
  );
}

/** What somebody who revokes should know, besides that it is done. */
export function remarksOn(
  kind: RevocationKind,
  value: string,
  state: PublicationState,
): readonly string[] {
  if (NOT_JUDGED_YET.includes(kind)) {
    return [`${kind} is kept in the list but not judged yet: workers with it are still admitted`];
  }
  const policies = heldBundles(state).map(({ document }) => document.payload.policy.document);
  if (kind === 'policy') {
    const current = policyInForce(state);
    const isInForce = current !== undefined && policyDigestText(current) === value;
    return isInForce
      ? [`this is ${policyNameOf(current)}, in force: nobody is admitted any more`]
      : [];
  }
  if (policies.length === 0 && kind in NAMED_IN) {
    return ['no published policy verifies, so nobody has looked whether this name is spelt right'];
  }
  if (kind === 'measurement' && policies.length > 0) {
    const known = policies.flatMap(measurementsOf);
    if (!known.includes(value)) return ['no published policy grants this measurement'];
  }
  return [];
}

/** Those that a verdict names: registers of zeros say nothing, and an ID key is no measurement. */
function measurementsOf({ images }: PolicyDocument): readonly string[] {
  return images.flatMap(({ tdx = [], snp = [] }) => [
    ...tdx
      .flatMap(({ mrtd, rtmr0, rtmr1, rtmr2, rtmr3 }) => [mrtd, rtmr0, rtmr1, rtmr2, rtmr3])
      .filter((register) => !isZero(register))
      .map(toHex),
    ...snp.map(({ measurement }) => toHex(measurement)),
  ]);
}
