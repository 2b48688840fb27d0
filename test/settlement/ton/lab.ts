/** A devnet with several providers in front of it, and the chain through them. @module */

import { systemClock, type Clock } from '../../../core/clock.ts';
import type { TonChain } from '../../../settlement/ton/chain.ts';
import { openDevnet, type Devnet, type Provider } from '../../../settlement/ton/devnet/devnet.ts';
import { DEVNET } from '../../../settlement/ton/network.ts';
import { openToncenter, type ProviderReport } from '../../../settlement/ton/toncenter.ts';

export interface Lab {
  readonly devnet: Devnet;
  /** In the order of the names a, b, c. */
  readonly fronts: readonly [Provider, Provider, Provider];
  readonly chain: TonChain;
  readonly reports: ProviderReport[];
}

export async function withLab(
  options: { readonly blockTimeMs?: number; readonly quorum?: number; readonly now?: Clock },
  work: (lab: Lab) => Promise<void>,
): Promise<void> {
  const { blockTimeMs = 0, quorum = 2, now = systemClock } = options;
  const devnet = await openDevnet({ blockTimeMs });
  const reports: ProviderReport[] = [];
  try {
    const [second, third] = [
      await devnet.openProvider({ apiKey: 'key' }),
      await devnet.openProvider(),
    ];
    const chain = openToncenter({
      network: DEVNET,
      quorum,
      now,
      providers: [
        { name: 'a', url: devnet.endpoint },
        { name: 'b', url: second.endpoint, apiKey: 'key' },
        { name: 'c', url: third.endpoint },
      ],
      onReport: (report) => reports.push(report),
    });
    try {
      await work({ devnet, fronts: [devnet, second, third], chain, reports });
    } finally {
      await chain.close();
    }
  } finally {
    await devnet.close();
  }
}
