/** Starts a simulator on the folder of its first argument and prints the root's digest; run as a process. @module */

import { toHex } from '../../../core/bytes.ts';
import { createSimulator } from '../../../enclave-worker/evidence/simulator/simulator.ts';

const [pkiDir] = process.argv.slice(2);
if (pkiDir === undefined) throw new Error('usage: start-simulator.ts FOLDER');
const simulator = await createSimulator({ pkiDir });
process.stdout.write(toHex(simulator.rootSha256()));
