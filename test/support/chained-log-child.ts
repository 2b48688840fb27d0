/** Appends to a chained log until it is killed, and says which entries it was promised. @module */

import { systemClock } from '../../core/clock.ts';
import { openChainedLog } from '../../core/node/chained-log.ts';

const [folder = ''] = process.argv.slice(2);
const log = openChainedLog({ folder, name: 'test', clock: systemClock, fileMaxBytes: 16_384 });
for (let number = 1; ; number++) {
  log.append({ kind: 'hurried', number });
  const heads = await Promise.all([1, 2, 3].map((part) => log.appendDurably({ number, part })));
  for (const { seq, hash } of heads) process.stdout.write(`${seq} ${hash}\n`);
}
