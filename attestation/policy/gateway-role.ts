/**
 * The part of a policy that is about gateways, in the form in which the judges of machines read a policy: its rules and images
 * are the gateways', and no worker's is among them. Never handed to an appraisal of a worker.
 * Spec: docs/attested-gateway.md "Policy".
 * @module
 */

import type { CompiledPolicy } from './compile.ts';
import type { PolicyImage, PolicyRule } from './schema.ts';
import type { PolicyPath } from './yaml.ts';

const OWN_LISTS: readonly unknown[] = ['rules', 'images'];

/** Nobody asks about it: a gateway serves what its workers serve. */
const NO_MODEL = ['gateway'];

/** The same digest, lines and everything else: it is one policy. Without a section about gateways both lists are empty. */
export function gatewayRole(policy: CompiledPolicy): CompiledPolicy {
  const { gateways } = policy.document;
  const rules = (gateways?.rules ?? []).map((rule): PolicyRule => ({
    ...rule,
    models: NO_MODEL,
    gpu: 'none',
  }));
  const images = (gateways?.images ?? []).map((image): PolicyImage => ({
    ...image,
    workload: { ...image.workload, engine: 'gateway' },
  }));
  return {
    ...policy,
    document: { ...policy.document, rules, images },
    at: (...path: PolicyPath) =>
      policy.at(...(OWN_LISTS.includes(path[0]) ? ['gateways', ...path] : path)),
  };
}
