/** A worker that says a few words of each answer and then waits to be killed. Started with its seat as JSON. @module */

import { utf8 } from '../../../core/bytes.ts';
import { parseJson } from '../../../core/json.ts';
import { createSimulator } from '../../../enclave-worker/evidence/simulator/simulator.ts';
import { haltingEngine } from './halting.ts';
import { startLabWorker, WORKER_SEAT } from './lab-worker.ts';

const SEAT_MAX_BYTES = 65_536;

process.once('disconnect', () => process.exit(0));
const seat = WORKER_SEAT.parse(parseJson(utf8(process.argv[2] ?? ''), SEAT_MAX_BYTES));
const { engine } = haltingEngine();
const provider = await createSimulator({ pkiDir: seat.pkiDir });
await startLabWorker(seat, { engine, provider, log: () => undefined });
process.send?.('ready');
