/** Waits for what another part of the program does by itself; a test that waits in vain says so. @module */

import { setTimeout as pause } from 'node:timers/promises';

const STEP_MS = 10;
const TIMEOUT_MS = 15_000;

export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let waitedMs = 0; waitedMs < TIMEOUT_MS; waitedMs += STEP_MS) {
    if (await holds()) return;
    await pause(STEP_MS);
  }
  throw new Error(`never: ${holds.toString()}`);
}
