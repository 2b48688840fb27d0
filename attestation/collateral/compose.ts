/**
 * A store as an operator configured it. What does I/O is handed in: the way out over HTTP, the folder on disk, the reader
 * of the one file that is named (a CA). Nothing runs by itself: the caller runs `store.run`.
 * @module
 */

import { randomBytes } from '#primitives';
import { fixed, fromHex, type Bytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { createAmdAuthority } from './amd-judge.ts';
import type { AmdAuthority } from './amd-authority.ts';
import { CollateralStore } from './collateral-store.ts';
import { configuredSources, type CollateralConfig, type OriginTrust } from './config.ts';
import type { OnCollateralEvent } from './events.ts';
import { createIntelAuthority, type IntelAuthority } from './intel-judge.ts';
import { FLOORS_KEY } from './item-store.ts';
import {
  BLOBS_MAX,
  CONNECT_TIMEOUT_MS,
  ENTRY_MAX_BYTES,
  SOURCE_CONCURRENCY_MAX,
} from './limits.ts';
import type { BlobStore, FetchBytes, Pause } from './ports.ts';

/** As the HTTP client takes it. */
export type ConnectionTrust =
  | { readonly kind: 'webpki' }
  | { readonly kind: 'loopback' }
  | { readonly kind: 'spki'; readonly sha256: readonly Bytes<32>[] }
  | { readonly kind: 'ca'; readonly certificatesPem: string };

export interface CollateralParts {
  readonly now: Clock;
  readonly pause: Pause;
  /** May ask these origins and no others. */
  readonly createFetcher: (
    origins: readonly { readonly origin: string; readonly trust: ConnectionTrust }[],
    limits: { readonly connectTimeoutMs: number; readonly connectionsMax: number },
  ) => { readonly fetch: FetchBytes; readonly destroy: () => Promise<void> };
  readonly openBlobs: (
    options: {
      readonly folder: string;
      readonly blobMaxBytes: number;
      readonly totalMaxBytes: number;
      readonly blobsMax: number;
      readonly keep: readonly string[];
    },
    nowMs: number,
  ) => Promise<BlobStore>;
  readonly readText: (path: string) => Promise<string>;
  readonly onEvent: OnCollateralEvent;
  /** Absent: the vendors' own roots. */
  readonly roots?: { readonly intel: IntelAuthority; readonly amd: AmdAuthority };
}

export interface ConfiguredStore {
  readonly store: CollateralStore;
  /** Cuts what is under way. */
  readonly close: () => Promise<void>;
}

const BYTES_PER_MIB = 1024 * 1024;

export async function openConfiguredStore(
  config: CollateralConfig,
  parts: CollateralParts,
): Promise<ConfiguredStore> {
  const { now, pause, onEvent } = parts;
  const { sources, origins } = configuredSources(config);
  const trusted = await Promise.all(
    origins.map(async ({ origin, trust }) => ({
      origin,
      trust: await connectionTrust(trust, parts),
    })),
  );
  const fetcher = config.offline
    ? undefined
    : parts.createFetcher(trusted, {
        connectTimeoutMs: CONNECT_TIMEOUT_MS,
        connectionsMax: SOURCE_CONCURRENCY_MAX,
      });
  const blobs = await openDirectory(config, parts);
  const store = await CollateralStore.open({
    ports: {
      now,
      pause,
      random,
      ...(blobs === undefined ? {} : { blobs }),
      ...(fetcher === undefined ? {} : { fetch: fetcher.fetch }),
    },
    intel: parts.roots?.intel ?? createIntelAuthority(),
    amd: parts.roots?.amd ?? createAmdAuthority(),
    sources,
    edition: config.intel.edition,
    amdList: config.amd.revocationList,
    onEvent,
  });
  return { store, close: async () => await fetcher?.destroy() };
}

async function openDirectory(
  { directory, directoryMaxMib }: CollateralConfig,
  { openBlobs, now }: CollateralParts,
): Promise<BlobStore | undefined> {
  if (directory === null) return undefined;
  const options = {
    folder: directory,
    blobMaxBytes: ENTRY_MAX_BYTES,
    totalMaxBytes: directoryMaxMib * BYTES_PER_MIB,
    blobsMax: BLOBS_MAX,
    keep: [FLOORS_KEY],
  };
  return await openBlobs(options, now());
}

async function connectionTrust(
  trust: OriginTrust,
  { readText }: CollateralParts,
): Promise<ConnectionTrust> {
  if (trust.kind === 'ca') {
    return { kind: 'ca', certificatesPem: await readText(trust.caFile) };
  }
  if (trust.kind === 'spki') {
    return { kind: 'spki', sha256: [fixed(fromHex(trust.sha256Hex), 32)] };
  }
  return trust;
}

const U32_VALUES = 2 ** 32;

/** Below 1. */
function random(): number {
  const [a = 0, b = 0, c = 0, d = 0] = randomBytes(4);
  return (a * 2 ** 24 + b * 2 ** 16 + c * 2 ** 8 + d) / U32_VALUES;
}
