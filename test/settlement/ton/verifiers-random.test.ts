/**
 * System property S2 over random signatures, honest, spoilt and made to divide verifiers: what is accepted off chain, by
 * either side of `#primitives`, the contract pays. Spec: ton-settlement §3.4, §7 S2.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { verifyEd25519 } from '#primitives';
import * as portable from '../../../core/primitives.ts';
import { concat, fixed, type Bytes } from '../../../core/bytes.ts';
import { amount } from '../../../settlement/money.ts';
import { appraisePayerKey } from '../../../settlement/payer-key.ts';
import { CHANNEL_EXIT } from '../../../settlement/ton/contracts/exit-codes.ts';
import { claimBody } from '../../../settlement/ton/contracts/pay-channel.ts';
import { encodeVoucherTerms } from '../../../settlement/voucher.ts';
import { littleEndian } from '../../support/payer-keys.ts';
import { ChannelLab, STRANGER, TON } from '../../support/ton/channel-lab.ts';
import { torsionSigner } from '../../support/torsion.ts';

const SLOW = process.env['SLOW'] === '1';
const RUNS = SLOW ? 3000 : 120;
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

const scalar = fc.bigInt({ min: 1n, max: ORDER - 1n });
const signer = fc.record({
  secret: scalar,
  nonce: scalar,
  inKey: fc.constantFrom(0, 0, 0, 4, 2, 1),
  inR: fc.constantFrom(0, 0, 0, 4, 2, 1),
});

type Spoil =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'bit'; readonly at: number; readonly bit: number }
  | { readonly kind: 'other ceiling' }
  | { readonly kind: 'order added'; readonly times: number }
  | { readonly kind: 'negated' }
  | { readonly kind: 'random'; readonly bytes: Uint8Array };

const spoil: fc.Arbitrary<Spoil> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('nothing' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('bit' as const), at: fc.nat(63), bit: fc.nat(7) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('other ceiling' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('order added' as const), times: fc.nat(14) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('negated' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('random' as const),
      bytes: fc.uint8Array({ minLength: 64, maxLength: 64 }),
    }),
  },
);

function spoilt(signature: Bytes<64>, how: Spoil): Bytes<64> {
  const r = signature.slice(0, 32);
  const s = signature.slice(32).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  switch (how.kind) {
    case 'bit': {
      const changed = Uint8Array.from(signature);
      changed[how.at] = (changed[how.at] ?? 0) ^ (1 << how.bit);
      return fixed(changed, 64);
    }
    case 'order added':
      return fixed(concat(r, littleEndian(s + BigInt(how.times + 1) * ORDER)), 64);
    case 'negated':
      return fixed(concat(r, littleEndian((ORDER - s) % ORDER)), 64);
    case 'random':
      return fixed(how.bytes, 64);
    case 'nothing':
    case 'other ceiling':
      return signature;
    default:
      return how satisfies never;
  }
}

test('whatever signs, what is accepted off chain is paid on chain', async () => {
  const { chain } = await ChannelLab.create();
  const seen = { both: 0, neither: 0, chainOnly: 0 };
  const cofactor = { divided: 0 };
  let salt = 0n;
  await fc.assert(
    fc.asyncProperty(signer, spoil, async (input, how) => {
      const { publicKey: payerKey, sign } = torsionSigner(input);
      salt += 1n;
      const lab = await ChannelLab.create({ payerKey, payeeKey: 'single-lock', salt }, chain);
      await lab.deposit(2n * TON);
      const messageFor = (ceiling: bigint) =>
        encodeVoucherTerms({ channel: lab.id, epoch: 0, ceiling: amount(ceiling) });
      const message = messageFor(TON);
      const signature = spoilt(
        sign(how.kind === 'other ceiling' ? messageFor(TON + 1n) : message),
        how,
      );
      const claim = { ...lab.signed({ charged: TON }), voucherSignature: signature };
      const { exitCode } = await lab.send(claimBody(claim, 1n), STRANGER);
      assert.ok(exitCode === 0 || exitCode === CHANNEL_EXIT.payerSignature, `${exitCode}`);
      const isSound = appraisePayerKey(payerKey) === 'sound';
      const accepted = [verifyEd25519, portable.verifyEd25519].map(
        (verify) => isSound && verify(payerKey, signature, message),
      );
      const onChain = exitCode === 0;
      for (const offChain of accepted) assert.ok(onChain || !offChain, 'accepted off chain only');
      const isHonest = how.kind === 'nothing' && input.inKey === 0 && input.inR === 0;
      if (isHonest) assert.deepEqual([onChain, ...accepted], [true, true, true]);
      if (how.kind === 'nothing' && !isHonest && !onChain) cofactor.divided += 1;
      seen[onChain ? (accepted[0] === true ? 'both' : 'chainOnly') : 'neither'] += 1;
    }),
    { numRuns: RUNS },
  );
  assert.ok(seen.both > 0 && seen.neither > 0);
  assert.equal(seen.chainOnly, 0, 'node:crypto and TVM agree under every sound key');
  assert.ok(cofactor.divided > 0, 'the signatures that only a cofactor makes hold were among them');
});

test('what only a cofactor makes hold is refused by both sides of #primitives, and by the chain', async () => {
  for (const [inKey, inR] of [
    [0, 1],
    [0, 4],
    [1, 0],
    [4, 0],
  ] as const) {
    // A part of small order in the key can cancel by chance: not in these.
    for (let nonce = 1n; ; nonce++) {
      const { publicKey, sign } = torsionSigner({ secret: 12345n, nonce, inKey, inR });
      const lab = await ChannelLab.open(2n * TON, { payerKey: publicKey, payeeKey: 'single-lock' });
      const message = encodeVoucherTerms({ channel: lab.id, epoch: 0, ceiling: amount(TON) });
      const signature = sign(message);
      if (verifyEd25519(publicKey, signature, message)) continue;
      assert.equal(portable.verifyEd25519(publicKey, signature, message), false);
      const claim = { ...lab.signed({ charged: TON }), voucherSignature: signature };
      const { exitCode } = await lab.send(claimBody(claim, 1n), STRANGER);
      assert.equal(exitCode, CHANNEL_EXIT.payerSignature);
      break;
    }
  }
});
