/**
 * What an operator may set, with the safe choice as default. Unknown keys refuse to start; secrets are paths.
 * Spec: STYLE §11.
 * @module
 */

import { z } from 'zod';
import { COLLATERAL_CONFIG } from '../attestation/collateral/config.ts';
import { loadConfig, type ConfigSource } from '../core/node/config.ts';
import { LEVELS } from '../core/node/log.ts';
import {
  ACCOUNT_CONCURRENCY_MAX,
  ACCOUNT_REQUESTS_PER_MINUTE,
  EXCHANGES_MAX,
  FIRST_SEALED_TIMEOUT_MS,
  IDLE_TIMEOUT_MS,
  SLOW_READER_TIMEOUT_MS,
} from './limits.ts';
import { fixed, fromHex } from '../core/bytes.ts';
import { STATEMENT_LIFETIME_MAX_S } from '../attestation/statement-checks.ts';
import { PLAIN_BODY_LIMIT_BYTES, PLAIN_BODY_MAX_BYTES } from './openai/limits.ts';
import { hasCode } from '../core/errors.ts';
import { amount, parseAmount } from '../settlement/money.ts';
import { WORKER_CHANNELS_MAX } from '../settlement/settler/policy.ts';
import { STORES } from './store/stores.ts';

const PATH_MAX = 4096;
const NAME_MAX = 256;
const LIST_MAX = 64;
const URL_MAX = 2048;

const path = z.string().min(1).max(PATH_MAX);
/** 0: any free port, for tests and one machine. */
const port = z.int().min(0).max(65_535);
const positive = (max: number) => z.int().min(1).max(max);
const duration = z.int().min(10).max(1_800_000);

const LISTEN = z.strictObject({
  host: z.string().max(NAME_MAX).default('127.0.0.1'),
  /** Clear text: for this machine, or behind a TLS proxy that the operator runs. */
  httpPort: port.nullable().default(null),
  httpsPort: port.nullable().default(8443),
  /** PEM. Without both a development certificate is made and kept. */
  certificateFile: path.nullable().default(null),
  keyFile: path.nullable().default(null),
  hostNames: z.array(z.string().max(NAME_MAX)).max(LIST_MAX).default([]),
  /** As clients reach it; empty means as it listens. */
  baseUrls: z
    .array(z.url({ protocol: /^https?$/ }).max(NAME_MAX))
    .max(LIST_MAX)
    .default([]),
});

const ADMIN = z.strictObject({
  /** `/metrics`, on loopback only. */
  port: port.nullable().default(null),
});

const FEE_BPS_MAX = 10_000;
const WORKER_CHANNELS_DEFAULT_MAX = 100;
const WITHDRAW_DELAY_MAX_S = 2_592_000;
const PROVIDERS_MAX = 8;
/** TON with at most nine digits behind the point. */
const ton = z
  .string()
  .max(NAME_MAX)
  .transform((text, ctx) => {
    try {
      return parseAmount(text, 'TON');
    } catch (error) {
      if (!hasCode(error, 'settlement.amount')) throw error;
      ctx.addIssue('want TON, such as "0.5"');
      return z.NEVER;
    }
  });

/** The chain that channels live on. Spec: docs/settlement.md. */
const TON = z.strictObject({
  network: z.enum(['mainnet', 'testnet', 'devnet']),
  /** toncenter v2, of operators that have nothing to do with each other. */
  providers: z
    .array(
      z.strictObject({
        name: z.string().min(1).max(NAME_MAX),
        /** `https://…/api/v2/jsonRPC`; clear text on this machine only. */
        url: z.url({ protocol: /^https?$/ }).max(URL_MAX),
        apiKeyFile: path.nullable().default(null),
      }),
    )
    .min(1)
    .max(PROVIDERS_MAX),
  /** How many must say the same; two where there are two. */
  quorum: positive(PROVIDERS_MAX).nullable().default(null),
  /** 32 bytes that only their owner can read. Signs charges. Made when absent on the devnet only. */
  settlementKeyFile: path,
  /** Pays workers. */
  treasuryKeyFile: path,
  depositMin: ton.default(amount(500_000_000n)),
  /** Less than a day on the devnet only. */
  withdrawDelayMinS: z.int().min(1).max(WITHDRAW_DELAY_MAX_S).nullable().default(null),
  /** The journal's head on chain, every hour. */
  anchor: z.enum(['hourly', 'off']).default('hourly'),
  /** What API keys are topped up by: a transfer to the treasury with the memo that `/v1/account` shows. */
  topUpMin: ton.default(amount(100_000_000n)),
  /** A channel of this deposit to workers with a payout address that have earned as much, in place of transfers. */
  workerChannelDeposit: ton.nullable().default(null),
  /** So many channels at once; whoever comes later is paid by transfers. */
  workerChannelsMax: positive(WORKER_CHANNELS_MAX).default(WORKER_CHANNELS_DEFAULT_MAX),
  /** A deposit to a worker's channel leaves this in the treasury, beside what is owed by transfers. */
  treasuryReserve: ton.default(amount(1_000_000_000n)),
});

/** Without any of it only workers without prices serve, and everything is counted all the same. */
const SETTLEMENT = z.strictObject({
  /** The gateway's part of what workers ask, in hundredths of a percent; never added to a price. */
  feeBps: z.int().min(0).max(FEE_BPS_MAX).default(0),
  /** Whether API keys pay from balances that this gateway keeps. Holding other people's money may be regulated. */
  custodial: z.enum(['refuse', 'operator-holds-balances']).default('refuse'),
  /** Payment channels. Absent: nobody pays by voucher, and workers are owed and not paid. */
  ton: TON.nullable().default(null),
});

const STORE_NAMES = STORES.map(({ name }) => name);

/** Signed policies and revocations, from a directory or a URL. Spec: docs/publication.md. */
const PUBLICATION = z
  .strictObject({
    /** The root to believe first, as your security team handed it over: not from where the documents come from. */
    rootFile: path,
    directory: path.nullable().default(null),
    url: z
      .url({ protocol: /^https?$/ })
      .max(URL_MAX)
      .nullable()
      .default(null),
    /** Lets a policy for simulated machines come into force. */
    allowDevelopment: z.boolean().default(false),
  })
  .refine(({ directory, url }) => (directory === null) !== (url === null), {
    error: 'want either directory or url',
  });

/** As a browser writes it: nothing behind the port, and none that is the scheme's own. */
const ORIGIN = z
  .url({ protocol: /^https?$/ })
  .max(NAME_MAX)
  .refine((text) => URL.parse(text)?.origin === text, {
    error: 'want an origin such as "https://app.example"',
  });

const HEX_DIGEST = z
  .string()
  .regex(/^[0-9a-f]{64}$/, 'want 64 lower-case hex digits')
  .transform((text) => fixed(fromHex(text), 32));
const STATEMENT_LIFETIME_MIN_S = 60;

/** This gateway runs in a TEE and proves its TLS key. Spec: docs/attested-gateway.md. */
const ATTESTED = z.strictObject({
  /** What it states about itself, as the policy lists it. */
  workload: z.strictObject({ image: HEX_DIGEST, config: HEX_DIGEST }),
  /** How its machine is asked for quotes, as in the configuration of a worker; read by whoever composes the gateway. */
  evidence: z.record(z.string().max(NAME_MAX), z.unknown()),
  lifetimeS: z
    .int()
    .min(STATEMENT_LIFETIME_MIN_S)
    .max(STATEMENT_LIFETIME_MAX_S)
    .default(STATEMENT_LIFETIME_MAX_S),
});

export const GATEWAY_CONFIG = z.strictObject({
  dataDir: path,
  publication: PUBLICATION.nullable().default(null),
  /** An unsigned policy for simulated machines, in place of `publication`. */
  policyFile: path.nullable().default(null),
  listen: LISTEN.prefault({}),
  admin: ADMIN.prefault({}),
  store: z
    .strictObject({
      kind: z.enum(STORE_NAMES).default('sqlite'),
      durability: z.enum(['full', 'normal']).default('full'),
    })
    .prefault({}),
  accounts: z
    .strictObject({
      /** `open` asks for no key. */
      mode: z.enum(['keys', 'open']).default('keys'),
      concurrencyMax: positive(65_536).default(ACCOUNT_CONCURRENCY_MAX),
      requestsPerMinute: positive(10_000_000).default(ACCOUNT_REQUESTS_PER_MINUTE),
    })
    .prefault({}),
  settlement: SETTLEMENT.prefault({}),
  /**
   * The gateway's own store of collateral. Workers bring theirs; the store remembers the newest lists it has seen and lets
   * nobody go back behind them. Offline unless the operator says otherwise; without a directory it is kept in `dataDir`.
   */
  collateral: COLLATERAL_CONFIG.prefault({ offline: true }),
  workers: z
    .strictObject({
      /** Lets endpoints in private and loopback ranges register. */
      allowPrivateEndpoints: z.boolean().default(false),
    })
    .prefault({}),
  /** Whose pages may ask this gateway. Nobody's unless listed, and there is no way to list everybody's. */
  cors: z.strictObject({ origins: z.array(ORIGIN).max(LIST_MAX).default([]) }).prefault({}),
  /** Announced models: `/readyz` asks for a worker of each. */
  models: z.array(z.string().min(1).max(NAME_MAX)).max(LIST_MAX).default([]),
  attested: ATTESTED.nullable().default(null),
  /** Whether this gateway may read prompts of apps that do not seal. `attested`: it may, its operator cannot. */
  plaintext: z.enum(['refuse', 'operator-can-read', 'attested']).default('refuse'),
  /**
   * `serve`: requests of EHBP clients at `/e/<kid>/v1/…`, to workers that have a key for them. Never read here, but sealed
   * with X25519 alone and without an authenticated end: see docs/ehbp.md.
   */
  ehbp: z.enum(['refuse', 'serve']).default('refuse'),
  limits: z
    .strictObject({
      exchangesMax: positive(65_536).default(EXCHANGES_MAX),
      firstSealedTimeoutMs: duration.default(FIRST_SEALED_TIMEOUT_MS),
      idleTimeoutMs: duration.default(IDLE_TIMEOUT_MS),
      slowReaderTimeoutMs: duration.default(SLOW_READER_TIMEOUT_MS),
      /** Of a request that this gateway seals; sealed ones are bounded by the protocol. */
      plainBodyMaxBytes: positive(PLAIN_BODY_LIMIT_BYTES).default(PLAIN_BODY_MAX_BYTES),
    })
    .prefault({}),
  closeGraceMs: duration.default(30_000),
  logLevel: z.enum(LEVELS).default('info'),
});

export type GatewayConfig = z.output<typeof GATEWAY_CONFIG>;
export type GatewayConfigInput = z.input<typeof GATEWAY_CONFIG>;

/** Throws `config.*`. */
export function loadGatewayConfig(source: Omit<ConfigSource, 'part'>): GatewayConfig {
  return loadConfig(GATEWAY_CONFIG, { ...source, part: 'gateway' });
}
