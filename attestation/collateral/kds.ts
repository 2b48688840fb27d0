/**
 * AMD's Key Distribution Service, and mirrors that speak its paths. VLEK certificates are not in it: a cloud gets them
 * with its own credentials and delivers them with the evidence.
 * Spec: AMD "Versioned Chip Endorsement Key (VCEK) Certificate and KDS Interface Specification" (57230);
 * sev-snp §2.2, §2.3.
 * @module
 */

import { fromUtf8 } from '../../core/bytes.ts';
import { invalid, orInvalid } from './errors.ts';
import { isIntel, itemKey, type AmdItem, type AmdTcb, type Item } from './items.ts';
import type { RawItem } from './judge.ts';
import { KDS_SPACING_MS } from './limits.ts';
import type { FetchAnswer } from './ports.ts';
import type { ServiceUrl, Source } from './source.ts';
import { listToDer } from './text-forms.ts';

export function kdsSource(url: ServiceUrl): Source {
  return { name: 'kds', spacingMs: KDS_SPACING_MS, ...serving(url) };
}

/** A site's own copy, asked before AMD's service and at its own pace. */
export function kdsMirror(url: ServiceUrl): Source {
  return { name: 'mirror', spacingMs: 0, ...serving(url) };
}

function serving({ origin, prefix }: ServiceUrl): Pick<Source, 'request' | 'read'> {
  return {
    request: (item) => (isIntel(item) ? undefined : { origin, path: `${prefix}${pathOf(item)}` }),
    read: readAnswer,
  };
}

const PATH_NAMES = { milan: 'Milan', genoa: 'Genoa', turin: 'Turin' } as const;

function pathOf(item: AmdItem): string {
  itemKey(item); // refuses a value that has not its form
  const product = PATH_NAMES[item.product];
  if (item.kind === 'amd-chain') return `/${item.signer}/v1/${product}/cert_chain`;
  if (item.kind === 'amd-crl') return `/${item.signer}/v1/${product}/crl`;
  return `/vcek/v1/${product}/${item.hwid}?${tcbQuery(item.tcb)}`;
}

/** REPORTED_TCB. Decimal, two digits at least, as AMD's own tools ask. */
function tcbQuery({ bootloader, tee, snp, microcode, fmc }: AmdTcb): string {
  const svns: readonly (readonly [name: string, svn: number | undefined])[] = [
    ['fmcSPL', fmc],
    ['blSPL', bootloader],
    ['teeSPL', tee],
    ['snpSPL', snp],
    ['ucodeSPL', microcode],
  ];
  return svns
    .filter(([, svn]) => svn !== undefined)
    .map(([name, svn]) => `${name}=${String(svn).padStart(2, '0')}`)
    .join('&');
}

function readAnswer(item: Item, { body }: FetchAnswer): RawItem {
  const { kind } = item;
  if (isIntel(item)) throw invalid(kind, 'another vendor');
  if (kind === 'amd-crl') return { body: listToDer(kind, body), chain: '' };
  if (kind === 'amd-chain') {
    return { body: new Uint8Array(), chain: orInvalid(kind, () => fromUtf8(body)) };
  }
  return { body, chain: '' };
}
