/**
 * Looks at every model that the gateway lists, at once and again from time to time, so that what can be verified is verified
 * before the first request, and what cannot is said with its reason.
 * @module
 */

import { VeilError } from '../../core/errors.ts';
import { pause } from '../../core/node/lifecycle.ts';
import { printable } from '../../core/node/terminal.ts';
import type { SealedSession } from '../../client/open-session.ts';
import type { Activity } from './activity.ts';
import { adviceOn } from './advice.ts';
import type { ModelRow } from './events.ts';
import { LOOK_AGAIN_MS, LOOK_EVERY_MS, LOOK_TIMEOUT_MS, MODELS_LOOKED_AT_MAX } from './limits.ts';
import { safe, workerRows } from './worker-rows.ts';

/** Until the signal. Never rejects for what a gateway does. */
export async function watchWorkers(
  session: SealedSession,
  activity: Activity,
  signal: AbortSignal,
): Promise<void> {
  do {
    await lookOnce(session, activity, signal);
  } while (await pause(isWell(activity) ? LOOK_EVERY_MS : LOOK_AGAIN_MS, signal));
}

function isWell({ away, models }: Activity): boolean {
  return away === undefined && models.some(({ outcome }) => outcome === 'verified');
}

export async function lookOnce(
  session: SealedSession,
  activity: Activity,
  signal: AbortSignal,
): Promise<void> {
  const late = AbortSignal.timeout(LOOK_TIMEOUT_MS);
  try {
    await look(session, activity, AbortSignal.any([signal, late]));
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof VeilError) activity.gatewayIsAway(error.code, whyOf(error));
    else if (late.aborted)
      activity.gatewayIsAway('client.unreachable', 'it did not answer in time');
    else throw error;
  }
}

async function look(
  session: SealedSession,
  activity: Activity,
  signal: AbortSignal,
): Promise<void> {
  const names = (await session.modelNames(signal)).slice(0, MODELS_LOOKED_AT_MAX);
  const rows: ModelRow[] = [];
  // One after another: a long list of names must not become as many look-ups at once.
  for (const name of names) rows.push(await lookAt(session, name, signal));
  if (rows.length === 0) activity.gatewayIsAway('client.no_worker', 'it lists no model now');
  else activity.looked(rows, workerRows(session.verdicts()));
}

async function lookAt(
  session: SealedSession,
  name: string,
  signal: AbortSignal,
): Promise<ModelRow> {
  const model = safe(name);
  try {
    const { length: workers } = await session.keys(name, signal);
    return { ...FINE, model, outcome: 'verified', workers };
  } catch (error) {
    signal.throwIfAborted();
    // That it cannot be reached is not the model's trouble.
    if (!(error instanceof VeilError) || error.code === 'client.unreachable') throw error;
    const { code } = error;
    const why = whyOf(error);
    return { model, outcome: 'refused', workers: 0, code, why, advice: adviceOn(code) };
  }
}

const FINE = { code: undefined, why: undefined, advice: undefined } as const;

/** Our own words, and where a check failed, which. */
function whyOf(error: VeilError): string {
  const detail = printable(error.message.slice(error.code.length).replace(/^: /, ''));
  return detail === '' ? error.spec.public : `${error.spec.public} (${safe(detail)})`;
}
