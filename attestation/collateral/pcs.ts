/**
 * Intel's Provisioning Certification Service, version 4, and the caching service (PCCS) that speaks the same paths.
 * Spec: Intel SGX and TDX PCS API v4, "Get TCB Info", "Get TD QE Identity", "Get Revocation List", "Get TCB Evaluation
 * Data Numbers"; tdx §10 for how a PCCS differs.
 * @module
 */

import { invalid } from './errors.ts';
import { isIntel, itemKey, type Edition, type IntelItem, type Item } from './items.ts';
import type { RawItem } from './judge.ts';
import type { FetchAnswer } from './ports.ts';
import type { ServiceUrl, Source, VendorRequest } from './source.ts';
import { chainFromHeader, listToDer } from './text-forms.ts';

const SGX = '/sgx/certification/v4';
const TDX = '/tdx/certification/v4';
/** The distribution point that Intel's root names. */
const ROOT_LIST_PATH = '/IntelSGXRootCA.der';

export interface PcsUrls {
  readonly api: ServiceUrl;
  /** The host with the root's revocation list. */
  readonly certificates: ServiceUrl;
}

export function pcsSource({ api, certificates }: PcsUrls): Source {
  return {
    name: 'pcs',
    spacingMs: 0,
    read: readAnswer,
    request: (item) => {
      if (!isIntel(item)) return undefined;
      if (item.kind === 'sgx-root-crl') return at(certificates, ROOT_LIST_PATH);
      return at(api, pathOf(item));
    },
  };
}

export function pccsSource(url: ServiceUrl): Source {
  return {
    name: 'pccs',
    spacingMs: 0,
    read: readAnswer,
    request: (item) => {
      if (!isIntel(item) || !isServedByPccs(item)) return undefined;
      if (item.kind === 'sgx-root-crl') return at(url, `${SGX}/rootcacrl`);
      return at(url, pathOf(item));
    },
  };
}

/** It takes `update` but no evaluation number, and has no list of them. */
function isServedByPccs(item: IntelItem): boolean {
  if (item.kind === 'tdx-evaluation-numbers') return false;
  return !('edition' in item) || typeof item.edition !== 'number';
}

function at({ origin, prefix }: ServiceUrl, path: string): VendorRequest {
  return { origin, path: `${prefix}${path}` };
}

function pathOf(item: Exclude<IntelItem, { kind: 'sgx-root-crl' }>): string {
  itemKey(item); // refuses a value that has not its form
  switch (item.kind) {
    case 'tdx-tcb-info':
      return `${TDX}/tcb?${[`fmspc=${item.fmspc}`, ...editionQuery(item.edition)].join('&')}`;
    case 'tdx-qe-identity':
      return withQuery(`${TDX}/qe/identity`, editionQuery(item.edition));
    case 'sgx-pck-crl':
      return `${SGX}/pckcrl?ca=${item.ca}&encoding=der`;
    case 'tdx-evaluation-numbers':
  }
  return `${TDX}/tcbevaluationdatanumbers`;
}

function withQuery(path: string, query: readonly string[]): string {
  return query.length === 0 ? path : `${path}?${query.join('&')}`;
}

/** Never both parameters; `standard` is the default and left out, which caches of any age understand. */
function editionQuery(edition: Edition): readonly string[] {
  if (edition === 'standard') return [];
  return [edition === 'early' ? 'update=early' : `tcbEvaluationDataNumber=${edition}`];
}

/** Version 4's name first, then version 3's. */
const CHAIN_HEADERS: Readonly<Record<IntelItem['kind'], readonly string[]>> = {
  'tdx-tcb-info': ['tcb-info-issuer-chain', 'sgx-tcb-info-issuer-chain'],
  'tdx-qe-identity': ['sgx-enclave-identity-issuer-chain', 'enclave-identity-issuer-chain'],
  'tdx-evaluation-numbers': ['tcb-evaluation-data-numbers-issuer-chain'],
  'sgx-pck-crl': ['sgx-pck-crl-issuer-chain'],
  'sgx-root-crl': [],
};

function readAnswer(item: Item, { headers, body }: FetchAnswer): RawItem {
  const { kind } = item;
  if (kind === 'sgx-root-crl') return { body: listToDer(kind, body), chain: '' };
  if (!isIntel(item)) throw invalid(kind, 'another vendor');
  const name = CHAIN_HEADERS[item.kind].find((known) => headers[known] !== undefined) ?? '';
  const chain = chainFromHeader(kind, headers[name]);
  return { body: kind === 'sgx-pck-crl' ? listToDer(kind, body) : body, chain };
}
