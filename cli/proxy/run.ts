/**
 * The proxy put together: the client with its events, the endpoint, the watch over the workers; and its end, in which
 * running answers finish and the channel is given back.
 * @module
 */

import { systemClock, type Clock } from '../../core/clock.ts';
import type { ListenerLimits } from '../../gateway/listeners.ts';
import { sealedFetch } from '../../client/sealed-fetch.ts';
import type { ClientOptions } from '../../client/open-session.ts';
import type { PayOption } from '../../client/pay/open-payer.ts';
import { Activity } from './activity.ts';
import type { Say } from './events.ts';
import { CLOSE_GRACE_MS } from './limits.ts';
import { serve, type ServeTimeouts } from './serve.ts';
import type { ProxySettings } from './settings.ts';
import { watchWorkers } from './watch-workers.ts';

export interface ProxyDeps {
  readonly clock?: Clock;
  /** The transport to the gateway. */
  readonly fetch?: ClientOptions['fetch'];
  /** In place of the channel file of the settings. */
  readonly pay?: PayOption;
  readonly deadlineMs?: number;
  readonly listenerLimits?: ListenerLimits;
  readonly timeouts?: ServeTimeouts;
  readonly onEvent?: Say;
}

export interface RunningProxy {
  readonly port: number;
  /** For programs of this machine, with `/v1`. */
  readonly baseUrl: string;
  readonly activity: Activity;
  /** Running answers finish, within `graceMs`. */
  close(graceMs?: number): Promise<void>;
}

/** Throws `client.*` and `policy.*` for what is wrong with the settings, and the system's error for a port that is taken. */
export async function runProxy(
  settings: ProxySettings,
  deps: ProxyDeps = {},
): Promise<RunningProxy> {
  const { clock = systemClock } = deps;
  const activity = new Activity(clock);
  if (deps.onEvent !== undefined) activity.onEvent(deps.onEvent);
  const sealed = sealedFetch(clientOptions(settings, deps, activity));
  const { gatewayUrl, apiKey, host, port, token, concurrency } = settings;
  try {
    const session = await sealed.session(gatewayUrl, apiKey);
    const { deadlineMs, listenerLimits, timeouts } = deps;
    const shared = { sealed, activity, clock, deadlineMs, listenerLimits, timeouts };
    const where = { host, port, token, concurrency, gatewayUrl, apiKey };
    const endpoint = await serve({ ...where, ...shared });
    const ended = new AbortController();
    const watching = watchWorkers(session, activity, ended.signal);
    return {
      port: endpoint.port,
      baseUrl: `http://${host.includes(':') ? `[${host}]` : host}:${endpoint.port}/v1`,
      activity,
      close: async (graceMs = CLOSE_GRACE_MS) => {
        activity.stopping();
        ended.abort();
        await endpoint.close(AbortSignal.timeout(graceMs));
        await watching;
        await sealed.close();
      },
    };
  } catch (error) {
    // The channel must not stay taken for a proxy that never was.
    await sealed.close().catch(() => undefined);
    throw error;
  }
}

function clientOptions(
  settings: ProxySettings,
  { clock, fetch, pay, deadlineMs }: ProxyDeps,
  activity: Activity,
): ClientOptions {
  const { policy, gatewayId, recipients, maxAmount, constantRate } = settings;
  const paying = payOption(settings, pay, activity);
  return {
    policy,
    constantRate,
    onVerdict: (verdict) => activity.verdict(verdict),
    onPolicy: (news) => activity.policy(news),
    onReceipt: (receipt) => activity.receipt(receipt),
    onSettled: (settlement) =>
      activity.settled(settlement, paying === undefined ? 'account' : 'channel'),
    ...(gatewayId !== undefined && { gateway: gatewayId }),
    ...(recipients !== undefined && { recipients }),
    ...(maxAmount !== undefined && { maxAmount }),
    ...(paying && { pay: paying }),
    ...(clock && { clock }),
    ...(fetch && { fetch }),
    ...(deadlineMs !== undefined && { deadlineMs }),
  };
}

function payOption(
  { payer, spendMax, chunkTokens }: ProxySettings,
  given: PayOption | undefined,
  activity: Activity,
): PayOption | undefined {
  const terms = {
    ...(spendMax !== undefined && { spendMax }),
    ...(chunkTokens !== undefined && { policy: { chunkTokens } }),
    onFault: activity.fault.bind(activity),
  };
  if (given !== undefined) return { ...given, ...terms };
  return payer.kind === 'channel' ? { channelFile: payer.channelFile, ...terms } : undefined;
}
