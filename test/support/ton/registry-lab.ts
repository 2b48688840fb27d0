/** A registry with its roles. @module */

import assert from 'node:assert/strict';
import { Cell, type Address } from '@ton/core';
import {
  activateBody,
  decodePending,
  decodeRegistryPolicy,
  proposeBody,
  REGISTRY_MIN_DELAY_S,
  REGISTRY_MIN_VALUE,
  registryAddress,
  registryId,
  registryInit,
  type Proposal,
} from '../../../settlement/ton/contracts/policy-registry.ts';
import { Chain, type Outcome } from './chain.ts';
import { party, seed, STRANGER } from './channel-lab.ts';

export const OWNER = party(0x11);
export const GUARDIAN = party(0x22);
export const NEXT = party(0x33);
export const POLICY = { kind: 'policy', digest: seed(9), version: 1 } as const satisfies Proposal;

export class RegistryLab {
  readonly chain: Chain;
  readonly address: Address;

  private constructor(chain: Chain, address: Address) {
    this.chain = chain;
    this.address = address;
  }

  static async create(delayS = 0): Promise<RegistryLab> {
    const terms = {
      owner: OWNER,
      guardian: GUARDIAN,
      policyDigest: seed(1),
      priceDigest: seed(2),
      delayS,
    };
    const chain = await Chain.create();
    const to = registryAddress(terms);
    const message = { from: STRANGER, to, value: 1_000_000_000n, body: Cell.EMPTY };
    await chain.send({ ...message, init: registryInit(terms) });
    return new RegistryLab(chain, to);
  }

  async send(from: Address, body: Cell, value = 5n * REGISTRY_MIN_VALUE): Promise<Outcome> {
    return await this.chain.send({ from, to: this.address, value, body });
  }

  async code(from: Address, body: Cell, value?: bigint): Promise<number> {
    return (await this.send(from, body, value)).exitCode;
  }

  async policy() {
    return decodeRegistryPolicy(await this.chain.get(this.address, 'policy'));
  }

  async pending() {
    return decodePending(await this.chain.get(this.address, 'pending'));
  }

  async asks(method: 'is_revoked' | 'code_hash_ok', id: ReturnType<typeof seed>): Promise<boolean> {
    const args = [{ type: 'int' as const, value: registryId(id) }];
    return (await this.chain.get(this.address, method, args)).readBoolean();
  }

  async roles(): Promise<readonly string[]> {
    const stack = await this.chain.get(this.address, 'roles');
    return [stack.readAddress().toString(), stack.readAddress().toString()];
  }

  /** Proposes as the owner, waits, and lets a stranger activate. */
  async enact(proposal: Proposal, by = STRANGER): Promise<number> {
    assert.equal(await this.code(OWNER, proposeBody(proposal, 1n)), 0);
    this.chain.pass(REGISTRY_MIN_DELAY_S);
    return await this.code(by, activateBody(1n));
  }
}
