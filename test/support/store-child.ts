/** Reserves until it is killed, and says which reservations were promised. @module */

import { randomBytes } from '#primitives';
import { toHex } from '../../core/bytes.ts';
import { STORES } from '../../gateway/store/stores.ts';

const [name, dir = ''] = process.argv.slice(2);
const store = STORES.find((known) => known.name === name)?.open(dir, 'full');
for (;;) {
  const msgId = randomBytes(16);
  const reservation = { msgId, keyId: 'k', maxAmount: 0n, reservedMs: 1000, expiresMs: 2000 };
  if ((await store?.reserve(reservation)) === true) process.stdout.write(`${toHex(msgId)}\n`);
}
