/**
 * What a worker has to be told. Comes as a file (`--config`), from the environment (`VEILGATE_WORKER_<KEY>`), or as one
 * IPC message from the process that started it. It holds no secret: keys are made inside, the owner's stays outside.
 * Spec: STYLE §11.
 * @module
 */

import { z } from 'zod';
import { fixed, fromBase64Url, fromHex, type Bytes } from '../core/bytes.ts';
import { CARD_MAX_BYTES } from '../attestation/card.ts';
import { COLLATERAL_CONFIG } from '../attestation/collateral/config.ts';
import { PATH } from './config-fields.ts';
import { ENGINES, type EngineName } from './engines.ts';
import { UPSTREAM_CONFIG } from './engines/openai-upstream/config.ts';
import { EVIDENCE_CONFIG } from './evidence/providers.ts';
import { STATEMENT_LIFETIME_MAX_S } from './limits.ts';

const VARIABLE_MAX_CHARS = 4096;
const URL_MAX_CHARS = 512;
const AMOUNT_MAX_CHARS = 32;
const ORIGIN = z
  .url({ protocol: /^https?$/ })
  .max(URL_MAX_CHARS)
  .refine(
    (text) => new URL(text).href === `${new URL(text).origin}/`,
    'an origin has no path, query or credentials',
  );

const DIGEST_HEX = z
  .string()
  .regex(/^[0-9a-f]{64}$/, 'want 64 lower-case hex digits')
  .transform((text): Bytes<32> => fixed(fromHex(text), 32));
const DIGEST_BASE64URL = z
  .string()
  .regex(/^[A-Za-z0-9_-]{43}$/, 'want 43 base64url characters')
  .transform((text): Bytes<32> => fixed(fromBase64Url(text), 32));

const ENGINE_NAMES = ENGINES.map((engine): EngineName => engine.name);

/** The only variables an engine process can be given: those that GPU libraries read. */
const ENGINE_VARIABLE = z.enum([
  'CUDA_VISIBLE_DEVICES',
  'LD_LIBRARY_PATH',
  'NVIDIA_VISIBLE_DEVICES',
]);

export const WORKER_CONFIG = z.strictObject({
  gateway: z.strictObject({
    /** `https://host[:port]`, or `http://` on this machine. */
    url: ORIGIN,
    /** `gw1.…`: the identity that statements are made for and that exchanges are accepted from. */
    aud: z.string().regex(/^gw1\.[A-Za-z0-9_-]{43}$/, 'want gw1. and 43 base64url characters'),
    /** TLS keys of the gateway. Absent: the public certificate authorities decide. */
    tlsSpkiSha256: z.array(DIGEST_BASE64URL).min(1).max(16).exactOptional(),
  }),
  /**
   * Where the owner signs (`veilgate owner serve`), for a worker that nobody started over IPC. The owner's key itself never
   * comes here.
   */
  owner: z
    .strictObject({
      /** `https://host[:port]`, or `http://` on this machine. */
      url: ORIGIN,
      tokenFile: PATH,
      /** The TLS key of the signing service; needed for `https`. */
      tlsSpkiSha256: DIGEST_BASE64URL.exactOptional(),
    })
    .exactOptional(),
  listen: z
    .strictObject({
      host: z.string().min(1).max(255).default('127.0.0.1'),
      /** 0: any free port. */
      port: z.int().min(0).max(65_535).default(0),
      /** How the gateway reaches this listener. Absent: `https://host:port` of the listener itself. */
      endpoint: ORIGIN.exactOptional(),
    })
    .prefault({}),
  /** The worker card: exact text, signed into every statement. One of the two. */
  card: z.string().max(CARD_MAX_BYTES).exactOptional(),
  cardFile: PATH.exactOptional(),
  /** Digests that the policy lists for the image this process runs in. */
  workload: z.strictObject({ image: DIGEST_HEX, config: DIGEST_HEX }),
  kem: z.enum(['X-Wing', 'X25519']).default('X-Wing'),
  /**
   * `offer`: a second key in the statement for clients that speak EHBP. They seal with X25519 alone, to one worker, and
   * their answers have no authenticated end: see docs/ehbp.md.
   */
  ehbp: z.enum(['off', 'offer']).default('off'),
  /** New keys and a new quote at half of it. */
  statementLifetimeS: z
    .int()
    .min(60)
    .max(STATEMENT_LIFETIME_MAX_S)
    .default(STATEMENT_LIFETIME_MAX_S),
  engine: z.strictObject({
    name: z.enum(ENGINE_NAMES).default('llama-cpp'),
    /**
     * llama-cpp: its SHA-256 must be `model.weights` of the card. openai-upstream: the file or folder that the upstream loads;
     * what is measured of it stands there. See docs/engines.md.
     */
    modelPath: PATH.exactOptional(),
    /** Of openai-upstream: the server that runs beside the worker. */
    upstream: UPSTREAM_CONFIG.exactOptional(),
    /** More than the physical cores left to it makes llama.cpp many times slower. */
    threads: z.int().min(1).max(1024).default(1),
    gpu: z.union([z.literal('auto'), z.literal(false), z.literal('cuda')]).default(false),
    environment: z.partialRecord(ENGINE_VARIABLE, z.string().max(VARIABLE_MAX_CHARS)).default({}),
    /** Where the verified private copy of the model is made. Absent: /dev/shm, or where there is none the temporary directory. */
    copyRoot: PATH.exactOptional(),
  }),
  /** Where quotes come from. Absent: whatever real machine this turns out to be, or no start. */
  evidence: EVIDENCE_CONFIG.prefault({ provider: 'auto' }),
  /** Where the vendors' collateral comes from that this machine's evidence needs. Unused by simulators. */
  collateral: COLLATERAL_CONFIG.prefault({}),
  /** What the owner lets the gateway owe. See docs/worker-earnings.md. */
  settlement: z
    .strictObject({
      /** In whole units of the card's asset, such as `0.5`. Earned and neither paid nor vouchered; 0: free work only. */
      creditMax: z
        .string()
        .max(AMOUNT_MAX_CHARS)
        .regex(/^(0|[1-9]\d*)(\.\d+)?$/, 'want digits, such as 0.25')
        .default('1'),
      /** A gateway whose document says more is not worked for. */
      feeMaxBps: z.int().min(0).max(10_000).default(3000),
      /** `on-word`: what the gateway says it has transferred counts as paid. `never`: vouchers alone count. */
      paidCounts: z.enum(['on-word', 'never']).default('on-word'),
      /** On which channels may pay. */
      network: z.enum(['mainnet', 'testnet', 'devnet']).default('mainnet'),
      /** Of channels: how long a payer has to wait for what it takes back. */
      withdrawDelayMinS: z.int().min(0).max(0xffff_ffff).default(86_400),
      /** Who is asked what a channel holds. Absent: a voucher counts for what it says. */
      chain: z
        .strictObject({
          providers: z
            .array(
              z.strictObject({
                name: z.string().min(1).max(64),
                url: z.url({ protocol: /^https?$/ }).max(URL_MAX_CHARS),
              }),
            )
            .min(1)
            .max(8),
          quorum: z.int().min(1).max(8).default(1),
        })
        .exactOptional(),
    })
    .prefault({}),
  /** Where earnings are kept. Without a directory they are in memory, and a restart forgets them. */
  earnings: z.strictObject({ dir: PATH.exactOptional() }).prefault({}),
  /** How long running exchanges may go on after the worker was asked to end. */
  drainMs: z.int().min(0).max(1_800_000).default(30_000),
});

export type WorkerConfig = z.output<typeof WORKER_CONFIG>;
export type WorkerConfigInput = z.input<typeof WORKER_CONFIG>;
