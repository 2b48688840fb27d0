/**
 * The policy as an app gives it: compiled, as text, or as a path. What is compiled here admits nobody that it does not
 * name. Spec: docs/protocol.md "Policies"; policies/README.md.
 * @module
 */

import { utf8 } from '../core/bytes.ts';
import { compilePolicy, type CompiledPolicy } from '../attestation/policy/compile.ts';
import { clientError } from './errors.ts';

/** A text with a line break is the policy itself; one line without a brace is a path. */
export type PolicySource = string | CompiledPolicy;

/** For JavaScript, where types do not ask: without a policy nothing says who may read. Throws `client.option`. */
export function assertPolicyGiven(source: PolicySource | undefined): void {
  if (source !== undefined && source !== '') return;
  throw clientError('client.option', 'policy is required: a path, the text, or a compiled policy');
}

export async function loadPolicy(source: PolicySource): Promise<CompiledPolicy> {
  assertPolicyGiven(source);
  if (typeof source !== 'string') return source;
  if (/[\n{]/.test(source)) return compilePolicy(utf8(source));
  const { readPolicyFile } = await import('./node/policy-file.ts');
  return compilePolicy(await readPolicyFile(source), { source });
}
