/** What a policy changes against another, as lines for whoever signs: what admits more comes first and says so. @module */

import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import { diffPolicies, widthOf, type Change, type Width } from '../../attestation/policy/diff.ts';

const WORDS: Readonly<Record<Width, string>> = {
  widens: 'WIDER',
  narrows: 'narrower',
  neutral: 'same',
};
/** Every new version changes these; they stand beside the change already. */
const ITS_OWN: readonly string[] = ['serial', 'issued'];

export function changeLines(before: CompiledPolicy, next: CompiledPolicy): readonly string[] {
  const changes = diffPolicies(before, next).filter((change) => !isItsOwn(change));
  if (changes.length === 0) return ['nothing but serial and dates'];
  return changes.map((change) => {
    const { mark, what, text } = change;
    return `${mark} ${WORDS[widthOf(change)].padEnd(8)}  ${what}: ${text}`;
  });
}

function isItsOwn({ what, text }: Change): boolean {
  return what === 'policy' && ITS_OWN.some((member) => text.startsWith(`${member}: `));
}
