/**
 * Where an operator lets collateral come from. The defaults ask the vendors; a site with its own caches puts them in
 * front, a site without a way out says `offline`. Hosts stand here and nowhere else.
 * Spec: STYLE §11; docs/collateral.md.
 * @module
 */

import { z } from 'zod';
import { assert } from '../../core/errors.ts';
import { kdsMirror, kdsSource } from './kds.ts';
import { EVALUATION_NUMBER_MAX, SOURCES_MAX } from './limits.ts';
import { pccsSource, pcsSource } from './pcs.ts';
import type { ServiceUrl, Source } from './source.ts';

const PATH_MAX_CHARS = 4096;
const URL_MAX_CHARS = 512;
/** In front of a service's own paths: plain segments, no dots that could climb. */
const PREFIX_FORM = /^(?:\/[A-Za-z0-9_~-]+(?:\.[A-Za-z0-9_~-]+)*)*$/;
/** People paste the address that Intel's own tools are configured with. */
const PCCS_SUFFIX = /\/sgx\/certification\/v4\/?$/;
const LOOPBACK_HOSTS: readonly string[] = ['127.0.0.1', '[::1]', 'localhost'];

const path = z.string().min(1).max(PATH_MAX_CHARS);
const SERVICE_URL = z
  .string()
  .max(URL_MAX_CHARS)
  .refine((text) => serviceUrlOf(text) !== undefined, {
    error: 'want https://host[:port][/path], or http:// on this machine; no credentials or query',
    abort: true,
  });

/** At most one: a key, or the issuers of a site's own PKI. Absent: the public ones. */
const TRUST = {
  /** SHA-256 of the server's SubjectPublicKeyInfo, lower-case hex. */
  spkiSha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable()
    .default(null),
  /** PEM. */
  caFile: path.nullable().default(null),
};

const PCS = z.strictObject({
  kind: z.literal('pcs'),
  url: SERVICE_URL.default('https://api.trustedservices.intel.com'),
  /** Has the revocation list of Intel's root. */
  certificatesUrl: SERVICE_URL.default('https://certificates.trustedservices.intel.com'),
  ...TRUST,
});
const PCCS = z.strictObject({ kind: z.literal('pccs'), url: SERVICE_URL, ...TRUST });

const INTEL = z.strictObject({
  /** Asked in this order. */
  sources: z
    .array(z.discriminatedUnion('kind', [PCS, PCCS]))
    .min(1)
    .max(SOURCES_MAX)
    .prefault([{ kind: 'pcs' }]),
  /** Intel's mandatory TCB documents, its newest, or those of one evaluation data number. */
  edition: z
    .union([z.enum(['standard', 'early']), z.int().min(0).max(EVALUATION_NUMBER_MAX)])
    .default('standard'),
});

const AMD = z.strictObject({
  /** Asked first, when there is one. */
  mirror: z
    .strictObject({ url: SERVICE_URL, ...TRUST })
    .nullable()
    .default(null),
  /** Null: nothing but the mirror is asked. */
  kdsUrl: SERVICE_URL.nullable().default('https://kdsintf.amd.com'),
  revocationList: z.enum(['required', 'if-available']).default('required'),
});

const DIRECTORY_MAX_MIB = 65_536;

const CONFIG = z.strictObject({
  /** Asks no network at all: what is needed comes with evidence or in bundles. */
  offline: z.boolean().default(false),
  /** Folder for what outlives the process; null keeps everything in memory. */
  directory: path.nullable().default(null),
  directoryMaxMib: z.int().min(1).max(DIRECTORY_MAX_MIB).default(256),
  intel: INTEL.prefault({}),
  amd: AMD.prefault({}),
});

export type CollateralConfig = z.output<typeof CONFIG>;

export const COLLATERAL_CONFIG = CONFIG.refine((config) => sourcesOf(config) !== undefined, {
  error: 'one origin with two kinds of trust, or a pin and a CA file for one source',
});

/** How to believe an origin. */
export type OriginTrust =
  | { readonly kind: 'webpki' }
  | { readonly kind: 'loopback' }
  | { readonly kind: 'spki'; readonly sha256Hex: string }
  | { readonly kind: 'ca'; readonly caFile: string };

export interface ConfiguredOrigin {
  readonly origin: string;
  readonly trust: OriginTrust;
}

export interface ConfiguredSources {
  readonly sources: readonly Source[];
  /** Each once: the complete list of hosts that are ever contacted. */
  readonly origins: readonly ConfiguredOrigin[];
}

/** Of a configuration that the schema has let through. */
export function configuredSources(config: CollateralConfig): ConfiguredSources {
  const found = sourcesOf(config);
  assert(found !== undefined, 'sources that the schema refuses');
  return found;
}

/** Undefined when an origin stands twice with different trust, or trust is given twice for one. */
function sourcesOf(config: CollateralConfig): ConfiguredSources | undefined {
  const origins = new Map<string, OriginTrust>();
  let isConsistent = true;
  const believe = (url: ServiceUrl, own: OwnTrust): ServiceUrl => {
    const trust = trustOf(url.origin, own);
    const known = origins.get(url.origin);
    if (trust === undefined || (known !== undefined && !isSameTrust(known, trust))) {
      isConsistent = false;
    } else {
      origins.set(url.origin, trust);
    }
    return url;
  };
  const sources = config.offline
    ? []
    : [...intelSources(config, believe), ...amdSources(config, believe)];
  if (!isConsistent) return undefined;
  return { sources, origins: [...origins].map(([origin, trust]) => ({ origin, trust })) };
}

interface OwnTrust {
  readonly spkiSha256: string | null;
  readonly caFile: string | null;
}

type Believe = (url: ServiceUrl, own: OwnTrust) => ServiceUrl;

const PUBLIC_TRUST: OwnTrust = { spkiSha256: null, caFile: null };

function intelSources({ intel }: CollateralConfig, believe: Believe): readonly Source[] {
  return intel.sources.map((source) => {
    const url = believe(requiredUrl(source.url), source);
    if (source.kind === 'pccs') return pccsSource(url);
    return pcsSource({
      api: url,
      certificates: believe(requiredUrl(source.certificatesUrl), source),
    });
  });
}

function amdSources({ amd }: CollateralConfig, believe: Believe): readonly Source[] {
  const mirror = amd.mirror;
  return [
    ...(mirror === null ? [] : [kdsMirror(believe(requiredUrl(mirror.url), mirror))]),
    ...(amd.kdsUrl === null ? [] : [kdsSource(believe(requiredUrl(amd.kdsUrl), PUBLIC_TRUST))]),
  ];
}

function trustOf(origin: string, { spkiSha256, caFile }: OwnTrust): OriginTrust | undefined {
  if (spkiSha256 !== null && caFile !== null) return undefined;
  if (origin.startsWith('http:')) {
    return spkiSha256 === null && caFile === null ? { kind: 'loopback' } : undefined;
  }
  if (spkiSha256 !== null) return { kind: 'spki', sha256Hex: spkiSha256 };
  return caFile === null ? { kind: 'webpki' } : { kind: 'ca', caFile };
}

function isSameTrust(a: OriginTrust, b: OriginTrust): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Of text that the schema has let through. */
function requiredUrl(text: string): ServiceUrl {
  const url = serviceUrlOf(text);
  assert(url !== undefined, 'a service URL that the schema refuses');
  return url;
}

/** Undefined for anything but an origin with plain path segments; clear text is for this machine only. */
export function serviceUrlOf(text: string): ServiceUrl | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  const isBare = url.search === '' && url.hash === '' && url.username === '' && url.password === '';
  const isSafe =
    url.protocol === 'https:' ||
    (url.protocol === 'http:' && LOOPBACK_HOSTS.includes(url.hostname));
  const prefix = url.pathname.replace(PCCS_SUFFIX, '').replace(/\/$/, '');
  if (!isBare || !isSafe || !PREFIX_FORM.test(prefix)) return undefined;
  return { origin: url.origin, prefix };
}
