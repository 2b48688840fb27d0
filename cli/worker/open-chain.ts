/** The chain that a channel names, through the providers of the command line. @module */

import { systemClock } from '../../core/clock.ts';
import type { ChannelTerms } from '../../settlement/channel-terms.ts';
import type { TonChain } from '../../settlement/ton/chain.ts';
import { NETWORKS } from '../../settlement/ton/network.ts';
import { openToncenter } from '../../settlement/ton/toncenter.ts';
import { cliError } from '../errors.ts';

/** A provider of another network excludes itself. Throws `cli.option`, `ton.config`, `http.origin`. */
export function openChainOf(terms: ChannelTerms, providers: readonly string[]): TonChain {
  const network = NETWORKS.find(({ globalId }) => terms.network === `tvm:${globalId}`);
  if (network === undefined) throw cliError('cli.option', `unknown network ${terms.network}`);
  return openToncenter({
    network,
    providers: providers.map((url) => ({ name: new URL(url).host, url })),
    quorum: Math.floor(providers.length / 2) + 1,
    now: systemClock,
  });
}
