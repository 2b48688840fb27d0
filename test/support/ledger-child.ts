/** Reserves and settles until it is killed, and says what was acknowledged: `R id`, `S id statement`. @module */

import { randomBytes } from '#primitives';
import { fixed, fromHex, toHex } from '../../core/bytes.ts';
import { LEDGERS } from '../../settlement/ledger/ledgers.ts';
import { seedSigner } from '../../settlement/ledger/seed-signer.ts';
import { amount, AMOUNT_MAX } from '../../settlement/money.ts';
import { reserveOf, settleOf, testChannel } from './ledger-lab.ts';

const CLIENTS = 8;

const [name, dataDir = '', seed = '', id = ''] = process.argv.slice(2);
const signer = seedSigner(fixed(fromHex(seed), 32));
const driver = LEDGERS.find((known) => known.name === name);
const ledger = await driver?.open({ dataDir, durability: 'full', signer });
const channel = testChannel(fixed(fromHex(id), 32));
// Blocks of a channel that nobody claims from are all alike.
await ledger?.recordChainState(channel.state({ deposited: amount(AMOUNT_MAX) }));

async function client(): Promise<void> {
  for (let cost = 1n; ; cost = (cost % 9n) + 1n) {
    const requestId = randomBytes(16);
    const reserved = await ledger?.reserve(reserveOf(channel.id, 10n, { requestId }));
    if (reserved?.outcome !== 'reserved') throw new Error('not reserved');
    process.stdout.write(`R ${toHex(requestId)}\n`);
    const settled = await ledger?.settle(settleOf(requestId, cost));
    if (settled?.outcome !== 'settled') throw new Error('not settled');
    process.stdout.write(`S ${toHex(requestId)} ${toHex(settled.statement)}\n`);
  }
}

await Promise.all(Array.from({ length: CLIENTS }, client));
