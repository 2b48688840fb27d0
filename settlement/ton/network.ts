/**
 * The TON networks there are for us. A provider names its network by the hashes of the first masterchain state, which no
 * two networks share. Spec: ton-settlement §2 (CAIP-2 `tvm:<global id>`); `validator.zero_state` of the global config
 * files that ton.org publishes.
 * @module
 */

export interface TonNetwork {
  readonly name: 'mainnet' | 'testnet' | 'devnet';
  /** Configuration parameter 19, which wallets and channels sign over. */
  readonly globalId: number;
  /** Base64, as toncenter writes them. */
  readonly zeroState: { readonly rootHash: string; readonly fileHash: string };
}

export const MAINNET: TonNetwork = {
  name: 'mainnet',
  globalId: -239,
  zeroState: {
    rootHash: 'F6OpKZKqvqeFp6CQmFomXNMfMj2EnaUSOXN+Mh+wVWk=',
    fileHash: 'XplPz01CXAps5qeSWUtxcyBfdAo5zVb1N979KLSKD24=',
  },
};

export const TESTNET: TonNetwork = {
  name: 'testnet',
  globalId: -3,
  zeroState: {
    rootHash: 'gj+B8wb/AmlPk1z1AhVI484rhrUpgSr2oSFIh56VoSg=',
    fileHash: 'Z+IKwYS54DmmJmesw/nAD5DzWadnOCMzee+kdgSYDOg=',
  },
};

/** The one in `devnet/`: SHA-256 of "veilgate devnet root" and of "veilgate devnet file". */
export const DEVNET: TonNetwork = {
  name: 'devnet',
  globalId: -217,
  zeroState: {
    rootHash: 'xndOAXfKBYR4ZkU5/KEepryMzdei9EdDJFrEkdZ2IUc=',
    fileHash: 'XKE+Q5xiQJsVp8qDGn71qq8YA7FLHHVpdJvhS/sNH9k=',
  },
};

export const NETWORKS = [MAINNET, TESTNET, DEVNET] as const;

/** Undefined for a network nobody here knows. */
export function networkOf(zeroState: TonNetwork['zeroState']): TonNetwork | undefined {
  return NETWORKS.find(
    (network) =>
      network.zeroState.rootHash === zeroState.rootHash &&
      network.zeroState.fileHash === zeroState.fileHash,
  );
}
