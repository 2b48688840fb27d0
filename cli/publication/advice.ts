/** What helps against each refusal of a reader. @module */

import type { Refusal } from '../../attestation/publication/step.ts';

const ADVICE: Readonly<Record<string, string>> = {
  'publication.signature':
    'somebody changed the file after it was signed: get it anew from its signers',
  'publication.threshold':
    'collect the missing signatures with "veilgate policy sign FILE --as your.key --repo DIR"',
  'publication.other_policy': 'it belongs to the repository of another policy',
  'publication.root_chain': 'publish the roots one version after the other, without a gap',
  'publication.root_expired':
    'make the next root with "veilgate policy root rotate", have it signed, and publish it first',
  'publication.rollback':
    'somebody published meanwhile: see "veilgate policy status", then make it anew',
  'publication.equivocation':
    'two contents were signed under one number: find out who signed the other one before you publish a higher number',
  'publication.future': 'set the clock of the machine that made it, or of this one',
  'publication.expired':
    'renew issued and expires of the policy under a higher serial, and have it signed',
  'publication.missing_bundle': 'name the bundle with --bundle',
  'publication.bundle_mismatch':
    'the bundle is not the policy that the release names: make the release anew',
  'publication.revocation_withdrawn':
    'giving back needs the role policy as well: "veilgate revoke remove" collects its signatures',
  'publication.clock': 'set the clock of this machine',
};

export function adviceFor(
  { code, document }: Pick<Refusal, 'code'> & Partial<Refusal>,
  directory: string,
): string {
  if (code === 'publication.threshold' && document === 'root') {
    return 'collect the missing signatures with "veilgate policy root sign FILE --as your.key"';
  }
  return ADVICE[code] ?? `look at the file, and at "veilgate policy status --repo ${directory}"`;
}
