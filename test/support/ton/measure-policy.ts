/** Operations of the registry and the anchor once each, with gas and fees. @module */

import {
  activateBody,
  proposeBody,
  REGISTRY_MIN_DELAY_S,
  revokeBody,
} from '../../../settlement/ton/contracts/policy-registry.ts';
import { AnchorLab } from './anchor-lab.ts';
import { seed, STRANGER } from './channel-lab.ts';
import type { Measured } from './measure-channel.ts';
import { GUARDIAN, OWNER, POLICY, RegistryLab } from './registry-lab.ts';

export async function measurePolicy(): Promise<readonly Measured[]> {
  const registry = await RegistryLab.create();
  const propose = await registry.send(OWNER, proposeBody(POLICY, 1n));
  registry.chain.pass(REGISTRY_MIN_DELAY_S);
  const activate = await registry.send(STRANGER, activateBody(1n));
  const revoke = await registry.send(GUARDIAN, revokeBody(seed(5), 1n));
  const lab = await AnchorLab.create();
  const head = { seq: 1n, head: seed(5), previous: lab.terms.genesis };
  const anchor = await lab.chain.external(lab.address, lab.signed(head));
  return [
    { operation: 'registry: propose', gas: propose.gas, fees: propose.fees },
    { operation: 'registry: activate', gas: activate.gas, fees: activate.fees },
    { operation: 'registry: revoke', gas: revoke.gas, fees: revoke.fees },
    { operation: 'anchor', constant: 'GAS_ANCHOR', gas: anchor.gas, fees: anchor.fees },
  ];
}
