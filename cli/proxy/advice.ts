/** What to do about it, in one sentence each. Fixed words: nothing of a request or an answer can be in them. @module */

import { hasCode, type VeilError } from '../../core/errors.ts';

const TOP_UP =
  '"veilgate channel status" shows what is left, "veilgate channel deposit" adds to it.';
const LOOK_THEN_RESUME =
  'Look at the saved bill with "veilgate receipt verify", then "veilgate channel resume" if you still trust the gateway.';

const ADVICE: Readonly<Record<string, string>> = {
  'client.unreachable':
    'The gateway does not answer: see that the address is right and that it runs. It is asked again by itself.',
  'client.none_admitted':
    'Every worker was refused under your policy; GET /v1/verification says why, check by check. Another policy is a decision of yours, there is no option to go on without.',
  'client.none_usable':
    'Workers proved themselves, and none has an allowed key agreement at an allowed price: see --max-price.',
  'client.no_worker': 'The gateway has no worker for this model now; it is a matter of time.',
  'client.model': 'The gateway does not serve this model; GET /v1/models lists what is verified.',
  'client.policy_stale':
    'Nobody showed a fresh word about revocations: the gateway may withhold it. --publication names a second place to look.',
  'client.policy_none':
    'What the gateway shows does not verify under your root: see that --policy-root is the one of this gateway’s security team.',
  'client.policy_equivocation':
    'Two contents were signed under one number. People have to look; nothing is sent until then.',
  'client.policy_root': 'Have the root file from the security team, by a way that you trust.',
  'client.gateway_changed':
    'Another gateway answers at this address than the one that was pinned or seen first. If that was meant, start again.',
  'client.insecure_url': 'Only https, or http to this machine: the key would travel in clear.',
  'client.gateway_refused':
    'The gateway refused: see that the API key is its own, and how many requests it allows.',
  'client.pay_insufficient_deposit': TOP_UP,
  'client.pay_limit':
    'It could cost more than --spend-max leaves. Raise it, or ask for fewer tokens.',
  'client.pay_halted': LOOK_THEN_RESUME,
  'client.pay_foreign':
    'This channel was opened with another gateway: see "veilgate channel list".',
  'client.pay_channel_closing': 'The channel is being withdrawn. Open another one.',
  'client.pay_epoch_mismatch':
    'The channel was closed and opened anew: "veilgate channel status" reads it from the chain.',
  'sx.price': 'Every worker asks more than was offered; prices may have changed, ask again.',
  'sx.refused': 'See that the clock of this machine is right.',
};

/** Undefined where the message says all there is. */
export function adviceOn(code: string | undefined): string | undefined {
  return code === undefined ? undefined : ADVICE[code];
}

/** For what ends the start. */
export function adviceOnStart(error: VeilError): string | undefined {
  const { cause } = error;
  if (error.code === 'client.channel_file' && hasCode(cause, 'writer_lock.held')) {
    return 'Another program pays from this channel. End it, or use its proxy: a channel has one payer at a time.';
  }
  return adviceOn(error.code);
}
