/** A whole lab in a process that can be killed: its answers begin and do not end. @module */

import { haltingEngine } from './halting.ts';
import { openConformanceLab } from './lab.ts';

const lab = await openConformanceLab({ engine: () => Promise.resolve(haltingEngine()) });
// Its parent kills it in the middle of answers, and may end before that.
process.once('disconnect', () => void lab.close().finally(() => process.exit(0)));
const { baseURL, apiKey } = lab.ways.plain;
const { policyPath, dataDir } = lab;
process.send?.({ baseURL, apiKey, policyPath, dataDir });
