/**
 * Where a worker may say it lives. The gateway connects there with its own identity, so a stranger's endpoint must not
 * point it at this machine, this network or a cloud's metadata. The name is resolved once, here, and the address kept.
 * Spec: gateways-and-e2ee §8.2 E1; IANA special-purpose address registries (RFC 6890).
 * @module
 */

import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';
import { registrationError } from '../errors.ts';

export interface ResolvedEndpoint {
  /** `https://host:port`. */
  readonly origin: string;
  readonly address: string;
}

export type Resolve = (host: string) => Promise<readonly string[]>;

export interface EndpointRules {
  /** For one machine and closed networks: private and loopback ranges are let through, the rest still holds. */
  readonly allowPrivate: boolean;
  readonly resolve?: Resolve;
}

const RESOLVED_MAX = 16;

const systemResolve: Resolve = async (host) => {
  const found = await lookup(host, { all: true, order: 'ipv4first' });
  return found.slice(0, RESOLVED_MAX).map(({ address }) => address);
};

/** Reachable from here but not the internet's. */
const PRIVATE: readonly (readonly [address: string, bits: number])[] = [
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['::1', 128],
  ['fc00::', 7],
];

/** Never a worker: metadata services live in the link-local range. */
const FORBIDDEN: readonly (readonly [address: string, bits: number])[] = [
  ['0.0.0.0', 8],
  ['169.254.0.0', 16],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  ['::', 128],
  ['::ffff:0:0:0', 96],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
  ['5f00::', 16],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
];
const METADATA_V6 = 'fd00:ec2::254';
/** Services of the host at addresses outside the link-local range: Azure's platform, Alibaba's metadata. */
const METADATA_V4 = ['168.63.129.16', '100.100.100.200'] as const;

function listOf(ranges: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList();
  for (const [address, bits] of ranges) {
    list.addSubnet(address, bits, address.includes(':') ? 'ipv6' : 'ipv4');
  }
  return list;
}

const PRIVATE_LIST = listOf(PRIVATE);
const FORBIDDEN_LIST = listOf(FORBIDDEN);
FORBIDDEN_LIST.addAddress(METADATA_V6, 'ipv6');
for (const address of METADATA_V4) FORBIDDEN_LIST.addAddress(address, 'ipv4');

/** The IPv4 address inside `::ffff:0:0/96` and the deprecated `::/96`, as dotted text. */
function embeddedV4(address: string): string | undefined {
  const { hostname } = new URL(`http://[${address}]/`);
  const match = /^\[::(?:ffff:)?([0-9a-f]{1,4}):([0-9a-f]{1,4})\]$/.exec(hostname);
  if (match === null) return undefined;
  const [high = 0, low = 0] = match.slice(1).map((group) => Number.parseInt(group, 16));
  return `${high >>> 8}.${high & 0xff}.${low >>> 8}.${low & 0xff}`;
}

export function addressIsAllowed(address: string, allowPrivate: boolean): boolean {
  const family = isIP(address);
  if (family === 0 || address.includes('%')) return false;
  if (family === 6) {
    const inner = embeddedV4(address);
    if (inner !== undefined) return addressIsAllowed(inner, allowPrivate);
  }
  const type = family === 6 ? 'ipv6' : 'ipv4';
  if (FORBIDDEN_LIST.check(address, type)) return false;
  return allowPrivate || !PRIVATE_LIST.check(address, type);
}

const PORT_MIN = 1024;
const HTTPS_PORT = 443;

/** Throws `registration.endpoint`. Every address of a name must be allowed: which one is used is not up to the worker. */
export async function resolveEndpoint(
  text: string,
  rules: EndpointRules,
): Promise<ResolvedEndpoint> {
  if (!URL.canParse(text)) throw refusedEndpoint('url');
  const url = new URL(text);
  const bare =
    url.pathname === '/' &&
    url.search === '' &&
    url.hash === '' &&
    url.username === '' &&
    url.password === '';
  if (url.protocol !== 'https:' || !bare) throw refusedEndpoint('form');
  const port = url.port === '' ? HTTPS_PORT : Number(url.port);
  // The privileged services of other people's machines are not ours to knock at.
  if (port !== HTTPS_PORT && port < PORT_MIN) throw refusedEndpoint('port');
  const host = url.hostname.replaceAll(/^\[|\]$/g, '');
  const addresses = isIP(host) === 0 ? await resolved(host, rules) : [host];
  const [address] = addresses;
  if (address === undefined) throw refusedEndpoint('name');
  if (!addresses.every((found) => addressIsAllowed(found, rules.allowPrivate))) {
    throw refusedEndpoint('range');
  }
  return { origin: `https://${url.hostname}:${port}`, address };
}

async function resolved(host: string, rules: EndpointRules): Promise<readonly string[]> {
  try {
    return await (rules.resolve ?? systemResolve)(host);
  } catch {
    // The resolver's message repeats the name; ours does not.
    throw refusedEndpoint('name');
  }
}

function refusedEndpoint(reason: string): Error {
  return registrationError('registration.endpoint', reason, { facts: { reason } });
}
