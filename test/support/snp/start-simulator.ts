/** Starts an SNP simulator on the folder of its first argument and prints the root's digest; run as a process. @module */

import { toHex } from '../../../core/bytes.ts';
import { createSnpSimulator } from '../../../enclave-worker/evidence/simulator/snp/simulator.ts';

const [pkiDir] = process.argv.slice(2);
if (pkiDir === undefined) throw new Error('usage: start-simulator.ts FOLDER');
const simulator = await createSnpSimulator({ pkiDir });
process.stdout.write(toHex(simulator.rootSha256()));
