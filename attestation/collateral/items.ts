/**
 * Everything that can be fetched, kept and bundled, each under one key. A key is a safe file name and says completely
 * what was asked for, so that what is under it can be judged again wherever it comes from. Evidence contributes the
 * values of an item and nothing else, and only in the forms that stand here.
 * Spec: tdx §10 (PCS); sev-snp §2.3 (KDS).
 * @module
 */

import { collateralError } from './errors.ts';
import {
  CHAIN_MAX_BYTES,
  DOCUMENT_MAX_BYTES,
  EVALUATION_NUMBER_MAX,
  LEAF_MAX_BYTES,
  LIST_TEXT_MAX_BYTES,
} from './limits.ts';

/** Which of Intel's TCB recoveries a document belongs to: the mandatory, the newest, or one by its number. */
export type Edition = 'standard' | 'early' | number;

export type PckCa = 'platform' | 'processor';

export const AMD_PRODUCTS = ['milan', 'genoa', 'turin'] as const;
export type AmdProduct = (typeof AMD_PRODUCTS)[number];
export type AmdSigner = 'vcek' | 'vlek';

/** REPORTED_TCB, one SVN each. */
export interface AmdTcb {
  readonly bootloader: number;
  readonly tee: number;
  readonly snp: number;
  readonly microcode: number;
  /** Turin only. */
  readonly fmc?: number;
}

export type IntelItem =
  | { readonly kind: 'tdx-tcb-info'; readonly fmspc: string; readonly edition: Edition }
  | { readonly kind: 'tdx-qe-identity'; readonly edition: Edition }
  | { readonly kind: 'tdx-evaluation-numbers' }
  | { readonly kind: 'sgx-pck-crl'; readonly ca: PckCa }
  | { readonly kind: 'sgx-root-crl' };

export type AmdItem =
  | { readonly kind: 'amd-chain'; readonly product: AmdProduct; readonly signer: AmdSigner }
  | { readonly kind: 'amd-crl'; readonly product: AmdProduct; readonly signer: AmdSigner }
  | {
      readonly kind: 'amd-vcek';
      readonly product: AmdProduct;
      /** Lower-case hex: 64 bytes, or 8 on Turin. */
      readonly hwid: string;
      readonly tcb: AmdTcb;
    };

export type Item = IntelItem | AmdItem;
export type ItemKind = Item['kind'];

export function isIntel(item: Item): item is IntelItem {
  return !item.kind.startsWith('amd-');
}

const NUMBER = '(?:0|[1-9][0-9]{0,9})';
const PRODUCT = '(milan|genoa|turin)';
const SVN = '(0|[1-9][0-9]{0,2})';
const FORMS: Readonly<Record<ItemKind, RegExp>> = {
  'tdx-tcb-info': new RegExp(`^tdx\\.tcb-info\\.(standard|early|n${NUMBER})\\.([0-9a-f]{12})$`),
  'tdx-qe-identity': new RegExp(`^tdx\\.qe-identity\\.(standard|early|n${NUMBER})$`),
  'tdx-evaluation-numbers': /^tdx\.evaluation-numbers$/,
  'sgx-pck-crl': /^sgx\.pck-crl\.(platform|processor)$/,
  'sgx-root-crl': /^sgx\.root-crl$/,
  'amd-chain': new RegExp(`^amd\\.chain\\.${PRODUCT}\\.(vcek|vlek)$`),
  'amd-crl': new RegExp(`^amd\\.crl\\.${PRODUCT}\\.(vcek|vlek)$`),
  'amd-vcek': new RegExp(
    `^amd\\.vcek\\.${PRODUCT}\\.([0-9a-f]{16}|[0-9a-f]{128})\\.${SVN}-${SVN}-${SVN}-${SVN}(?:-${SVN})?$`,
  ),
};

/** Throws `collateral.evidence` when a value has not its form: nothing is asked for or kept then. */
export function itemKey(item: Item): string {
  const key = unchecked(item);
  if (!FORMS[item.kind].test(key) || !isInRange(item)) {
    throw collateralError('collateral.evidence', item.kind, { facts: { kind: item.kind } });
  }
  return key;
}

function unchecked(item: Item): string {
  if (item.kind === 'amd-vcek') return vcekKey(item);
  switch (item.kind) {
    case 'tdx-tcb-info':
      return `tdx.tcb-info.${editionText(item.edition)}.${item.fmspc}`;
    case 'tdx-qe-identity':
      return `tdx.qe-identity.${editionText(item.edition)}`;
    case 'sgx-pck-crl':
      return `sgx.pck-crl.${item.ca}`;
    case 'amd-chain':
    case 'amd-crl':
      return `${item.kind.replace('-', '.')}.${item.product}.${item.signer}`;
    case 'tdx-evaluation-numbers':
    case 'sgx-root-crl':
  }
  return item.kind.replace('-', '.');
}

function vcekKey({ product, hwid, tcb }: Extract<Item, { kind: 'amd-vcek' }>): string {
  const { bootloader, tee, snp, microcode, fmc } = tcb;
  const svns = [bootloader, tee, snp, microcode, ...(fmc === undefined ? [] : [fmc])];
  return `amd.vcek.${product}.${hwid}.${svns.join('-')}`;
}

function editionText(edition: Edition): string {
  return typeof edition === 'number' ? `n${edition}` : edition;
}

const SVN_MAX = 255;
const HWID_CHARS = { milan: 128, genoa: 128, turin: 16 } as const;

/** What a pattern over the key does not see. */
function isInRange(item: Item): boolean {
  if (item.kind === 'tdx-tcb-info' || item.kind === 'tdx-qe-identity') {
    return typeof item.edition !== 'number' || item.edition <= EVALUATION_NUMBER_MAX;
  }
  if (item.kind !== 'amd-vcek') return true;
  const { fmc, ...always } = item.tcb;
  return (
    Object.values(always).every((svn) => svn <= SVN_MAX) &&
    (fmc ?? 0) <= SVN_MAX &&
    (fmc !== undefined) === (item.product === 'turin') &&
    item.hwid.length === HWID_CHARS[item.product]
  );
}

/** The item of a key; undefined for any text that `itemKey` does not make. */
export function itemOfKey(key: string): Item | undefined {
  for (const read of READERS) {
    const item = read(key);
    if (item !== undefined) return isInRange(item) && unchecked(item) === key ? item : undefined;
  }
  return undefined;
}

type KeyReader = (key: string) => Item | undefined;

const READERS: readonly KeyReader[] = [
  (key) => {
    const [, edition, fmspc] = FORMS['tdx-tcb-info'].exec(key) ?? [];
    if (edition === undefined || fmspc === undefined) return undefined;
    return { kind: 'tdx-tcb-info', fmspc, edition: editionOf(edition) };
  },
  (key) => {
    const [, edition] = FORMS['tdx-qe-identity'].exec(key) ?? [];
    if (edition === undefined) return undefined;
    return { kind: 'tdx-qe-identity', edition: editionOf(edition) };
  },
  (key) => {
    return FORMS['tdx-evaluation-numbers'].test(key)
      ? { kind: 'tdx-evaluation-numbers' }
      : undefined;
  },
  (key) => {
    const [, ca] = FORMS['sgx-pck-crl'].exec(key) ?? [];
    return ca === 'platform' || ca === 'processor' ? { kind: 'sgx-pck-crl', ca } : undefined;
  },
  (key) => (FORMS['sgx-root-crl'].test(key) ? { kind: 'sgx-root-crl' } : undefined),
  (key) => readAmdShared('amd-chain', key),
  (key) => readAmdShared('amd-crl', key),
  readVcek,
];

function readAmdShared(kind: 'amd-chain' | 'amd-crl', key: string): Item | undefined {
  const [, name, signer] = FORMS[kind].exec(key) ?? [];
  const product = productOf(name);
  if (product === undefined || (signer !== 'vcek' && signer !== 'vlek')) return undefined;
  return { kind, product, signer };
}

function readVcek(key: string): Item | undefined {
  const [, name, hwid, ...texts] = FORMS['amd-vcek'].exec(key) ?? [];
  const product = productOf(name);
  const [bootloader, tee, snp, microcode, fmc] = texts.map((text: string | undefined) =>
    text === undefined ? undefined : Number(text),
  );
  if (product === undefined || hwid === undefined || bootloader === undefined) return undefined;
  if (tee === undefined || snp === undefined || microcode === undefined) return undefined;
  const tcb = { bootloader, tee, snp, microcode, ...(fmc === undefined ? {} : { fmc }) };
  return { kind: 'amd-vcek', product, hwid, tcb };
}

function productOf(name: string | undefined): AmdProduct | undefined {
  return AMD_PRODUCTS.find((product) => product === name);
}

function editionOf(text: string): Edition {
  return text === 'standard' || text === 'early' ? text : Number(text.slice(1));
}

/** What an item is judged with: these are obtained first. */
export function supportsOf(item: Item): readonly Item[] {
  if (item.kind === 'amd-vcek') {
    return [{ kind: 'amd-chain', product: item.product, signer: 'vcek' }];
  }
  return isIntel(item) && item.kind !== 'sgx-root-crl' ? [{ kind: 'sgx-root-crl' }] : [];
}

/** Of the body as it is sent. */
export const BODY_MAX_BYTES: Readonly<Record<ItemKind, number>> = {
  'tdx-tcb-info': DOCUMENT_MAX_BYTES,
  'tdx-qe-identity': DOCUMENT_MAX_BYTES,
  'tdx-evaluation-numbers': DOCUMENT_MAX_BYTES,
  'sgx-pck-crl': LIST_TEXT_MAX_BYTES,
  'sgx-root-crl': LIST_TEXT_MAX_BYTES,
  'amd-chain': CHAIN_MAX_BYTES,
  'amd-crl': LIST_TEXT_MAX_BYTES,
  'amd-vcek': LEAF_MAX_BYTES,
};

/** Of one machine rather than of all of a kind: as many as machines, and asked for by whoever shows up. */
export function isLeaf(item: Item): boolean {
  return item.kind === 'amd-vcek';
}

/** Certificates under a key never change their meaning; documents and lists get newer. */
export function isCertificate(item: Item): boolean {
  return item.kind === 'amd-vcek' || item.kind === 'amd-chain';
}
