/**
 * The policy as an app gives it: unsigned and its own (compiled, as text, or as a path), or signed, by the root of its
 * keys. Spec: docs/publication.md §4; docs/protocol.md "Policies"; policies/README.md.
 * @module
 */

import { utf8 } from '../core/bytes.ts';
import { compilePolicy, type CompiledPolicy } from '../attestation/policy/compile.ts';
import { clientError } from './errors.ts';
import type { PolicyStore } from './policy-memory.ts';

/**
 * Signed documents under a root. With `root` alone everything comes through the gateway, which can withhold it and nothing
 * else: without fresh word nobody is admitted.
 */
export interface SignedPolicy {
  /** The root document: a path, its text, or its bytes. From a channel that the app trusts, such as its own package. */
  readonly root: string | Uint8Array;
  /**
   * Documents to begin with: the bytes or the path of a bundle or of a reader's saved state, or the path of a directory in
   * the layout of docs/publication.md §2.
   */
  readonly bundle?: string | Uint8Array;
  /** A place of the app's own to look at beside the gateway: the URL under which `release.json` lies. */
  readonly publication?: string | URL;
  /**
   * What was accepted is remembered here from one start to the next, so that nobody can go back behind it: a path (readable
   * with `veilgate audit compare`; the state lies beside it, under `.state`), or a store.
   */
  readonly memory?: string | PolicyStore;
  /** The policy is what `bundle` or `memory` says; its age is not asked, and verdicts show that as waived. */
  readonly offline?: true;
}

/** A text with a line break or a brace is the policy itself; one line without is a path. */
export type PolicySource = string | CompiledPolicy | SignedPolicy;

/** For JavaScript, where types do not ask: without a policy nothing says who may read. Throws `client.option`. */
export function assertPolicyGiven(source: PolicySource | undefined): void {
  if (source === undefined || source === '') {
    throw clientError(
      'client.option',
      'policy is required: { root }, or a path, the text, or a compiled policy',
    );
  }
  if (typeof source === 'string' || !isSigned(source)) return;
  const { root, bundle, publication, memory, offline } = source;
  for (const [name, value] of Object.entries({ root, bundle, publication, memory })) {
    if (value === '') throw clientError('client.option', `policy.${name} is empty`);
  }
  if (typeof root !== 'string' && !(root instanceof Uint8Array)) {
    throw clientError('client.option', 'policy.root: want a path, the text or the bytes');
  }
  if (offline === undefined) return;
  if (publication !== undefined) {
    throw clientError('client.option', 'policy.publication is of no use with policy.offline');
  }
  if (bundle === undefined && memory === undefined) {
    throw clientError('client.option', 'policy.offline needs policy.bundle or policy.memory');
  }
}

export function isSigned(source: CompiledPolicy | SignedPolicy): source is SignedPolicy {
  return 'root' in source;
}

export function isText(source: string): boolean {
  return /[\n{]/.test(source);
}

export async function loadPolicy(source: string | CompiledPolicy): Promise<CompiledPolicy> {
  if (typeof source !== 'string') return source;
  if (isText(source)) return compilePolicy(utf8(source));
  const { readPolicyFile } = await import('./node/policy-file.ts');
  return compilePolicy(await readPolicyFile(source), { source });
}
