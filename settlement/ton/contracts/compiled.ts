/**
 * The committed code of the contracts. The compiler is not here: what runs is what was reviewed, and `npm run check`
 * rebuilds it identically. @module
 */

import { Cell } from '@ton/core';
import { assert } from '../../../core/errors.ts';
import jettonPayChannel from './build/JettonPayChannel.json' with { type: 'json' };
import ledgerAnchor from './build/LedgerAnchor.json' with { type: 'json' };
import payChannel from './build/PayChannel.json' with { type: 'json' };
import policyRegistry from './build/PolicyRegistry.json' with { type: 'json' };

export interface CompiledContract {
  readonly code: Cell;
  /** Lower-case hex; what allow lists and the registry name. */
  readonly codeHash: string;
}

export const PAY_CHANNEL: CompiledContract = load(payChannel);
export const JETTON_PAY_CHANNEL: CompiledContract = load(jettonPayChannel);
export const POLICY_REGISTRY: CompiledContract = load(policyRegistry);
export const LEDGER_ANCHOR: CompiledContract = load(ledgerAnchor);

function load(file: { readonly codeBoc64: string; readonly codeHash: string }): CompiledContract {
  const code = Cell.fromBase64(file.codeBoc64);
  assert(code.hash().toString('hex') === file.codeHash, 'committed code and its hash');
  return { code, codeHash: file.codeHash };
}
