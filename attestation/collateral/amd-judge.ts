/**
 * Judges AMD's certificates and lists one by one, before a report asks for them: genuine under a pinned ARK, about the
 * product, chip and TCB asked for, current. The rules for a chain are those of `verifySnp`, by the same code; whether a
 * list takes back an ASK is the verifier's to say, which gets both.
 * Spec: AMD VCEK Certificate and KDS Interface Specification (57230) §3; sev-snp §2, §8.
 * @module
 */

import { fromHex, equalPublic } from '../../core/bytes.ts';
import { attempt } from '../attempt.ts';
import { decodePemBlock, splitPemCertificates } from '../pem.ts';
import { parseCertificate, type Certificate } from '../pki/certificate.ts';
import { linkFault } from '../pki/chain.ts';
import { parseCrl } from '../pki/crl.ts';
import {
  AMD_ANCHORS,
  builtInByBytes,
  builtInByName,
  findAnchor,
  type SnpAnchor,
} from '../snp/anchors.ts';
import { judgeChain } from '../snp/chain.ts';
import { SNP_CHAIN_CHECKS, snpCheckSheet } from '../snp/check-list.ts';
import { parseLeaf } from '../snp/leaf.ts';
import { SNP_PRODUCTS } from '../snp/products.ts';
import { equalTcb } from '../snp/tcb.ts';
import type { AmdAuthority } from './amd-authority.ts';
import { questionOfSnpReport } from './amd-report.ts';
import { expired, invalid, orInvalid } from './errors.ts';
import { itemKey, type AmdItem, type AmdProduct, type AmdSigner } from './items.ts';
import {
  assertValid,
  judgedList,
  NO_RANK,
  type JudgeContext,
  type RawItem,
  type Verified,
} from './judge.ts';
import { pemOf } from './text-forms.ts';

/** `anchors` are trusted as they stand. Without a certificate in it, an anchor's lists cannot be judged. */
export function createAmdAuthority(anchors: readonly SnpAnchor[] = AMD_ANCHORS): AmdAuthority {
  return {
    question: questionOfSnpReport,
    builtIn: (item) => (item.kind === 'amd-chain' ? builtInChain(item, anchors) : undefined),
    judge: (item, given, context) => {
      // A copy: what was judged must not change afterwards.
      const raw = { body: new Uint8Array(given.body), chain: given.chain };
      const judged = orInvalid(item.kind, () => judgeItem(item, raw, { ...context, anchors }));
      if (context.nowMs > judged.expiresAtMs) throw expired(item.kind);
      return { item, key: itemKey(item), serials: [], ...judged };
    },
  };
}

interface AmdContext extends JudgeContext {
  readonly anchors: readonly SnpAnchor[];
}

type Judged = Omit<Verified, 'item' | 'key' | 'serials'>;

function judgeItem(item: AmdItem, raw: RawItem, context: AmdContext): Judged {
  if (item.kind === 'amd-chain') return judgeCas(item, raw, context);
  return item.kind === 'amd-crl' ? judgeArkList(item, raw, context) : judgeLeaf(item, raw, context);
}

/** In AMD's names. */
function amdNameOf(product: AmdProduct): string {
  return SNP_PRODUCTS.find(({ name }) => name === product)?.amdName ?? '';
}

function arkName(product: AmdProduct): string {
  return `ARK-${amdNameOf(product)}`;
}

function intermediateName(product: AmdProduct, signer: AmdSigner): string {
  return signer === 'vcek' ? `SEV-${amdNameOf(product)}` : `SEV-VLEK-${amdNameOf(product)}`;
}

interface Cas {
  readonly intermediate: Certificate;
  readonly root: Certificate;
}

function casOf(kind: AmdItem['kind'], pem: string): Cas {
  const blocks = splitPemCertificates(pem);
  const [first, second] = blocks;
  if (first === undefined || second === undefined || blocks.length !== 2) {
    throw invalid(kind, 'chain length');
  }
  return { intermediate: certificateOf(first), root: certificateOf(second) };
}

/** AMD's own are read once per process, and their signatures checked once. */
function certificateOf(block: string): Certificate {
  const der = decodePemBlock(block);
  return builtInByBytes(der) ?? parseCertificate(der);
}

type Shared = Exclude<AmdItem, { kind: 'amd-vcek' }>;

function judgeCas({ kind, product, signer }: Shared, raw: RawItem, context: AmdContext): Judged {
  const { intermediate, root } = casOf(kind, raw.chain);
  if (findAnchor(context.anchors, root.sha256) === undefined) throw invalid(kind, 'another root');
  if (root.commonName !== arkName(product)) throw invalid(kind, 'another product');
  if (intermediate.commonName !== intermediateName(product, signer)) {
    throw invalid(kind, 'another intermediate');
  }
  if (linkFault(intermediate, root, 'intermediate') !== undefined) {
    throw invalid(kind, 'not of the root');
  }
  assertValid(kind, intermediate, context.nowMs);
  assertValid(kind, root, context.nowMs);
  return {
    raw: { body: new Uint8Array(), chain: pemOf(intermediate.der, root.der) },
    rank: NO_RANK,
    expiresAtMs: Math.min(intermediate.notAfterMs, root.notAfterMs),
  };
}

function judgeArkList(
  { kind, product, signer }: Shared,
  raw: RawItem,
  context: AmdContext,
): Judged {
  const { nowMs } = context;
  const root = context.anchors
    .map(({ certificate }) => certificate)
    .find((certificate) => certificate?.commonName === arkName(product));
  if (root === undefined) throw invalid(kind, 'no root to judge it with');
  assertValid(kind, root, nowMs);
  // One issuer and two addresses: nobody has promised that the lists there share their numbers.
  const { crl, judged } = judgedList(kind, parseCrl(raw.body), {
    issuer: root,
    nowMs,
    scope: signer,
  });
  return {
    ...judged,
    raw: { body: raw.body, chain: '' },
    expiresAtMs: Math.min(crl.nextUpdateMs, root.notAfterMs),
  };
}

const WITHOUT_LIST = { crl: { unchecked: 'judged by the verifier' } } as const;

function judgeLeaf(
  item: Extract<AmdItem, { kind: 'amd-vcek' }>,
  raw: RawItem,
  { nowMs, anchors, supports }: AmdContext,
): Judged {
  const { kind, product, hwid, tcb } = item;
  const under = supports[0]?.raw.chain ?? '';
  const { intermediate, root } = casOf(kind, under);
  const leaf = parseLeaf(raw.body);
  if (nowMs > leaf.certificate.notAfterMs) throw expired(kind);
  const sheet = snpCheckSheet();
  const reading = {
    vek: attempt(() => leaf),
    intermediate: attempt(() => intermediate),
    root: attempt(() => root),
  };
  judgeChain(reading, { sheet, nowMs, anchors, policy: WITHOUT_LIST });
  const failed = sheet.firstBad(SNP_CHAIN_CHECKS);
  if (failed !== undefined) throw invalid(kind, failed);
  if (leaf.extensions.outcome === 'malformed') throw invalid(kind, 'vek.extensions');
  const { owner, product: leafProduct, tcb: leafTcb } = leaf.extensions.value;
  if (leafProduct.name !== product) throw invalid(kind, 'another product');
  if (owner.kind !== 'vcek' || !equalPublic(owner.hwid, fromHex(hwid))) {
    throw invalid(kind, 'another chip');
  }
  if (!equalTcb(leafTcb, tcb)) throw invalid(kind, 'another TCB');
  return {
    raw: { body: raw.body, chain: '' },
    rank: NO_RANK,
    under,
    expiresAtMs: Math.min(leaf.certificate.notAfterMs, intermediate.notAfterMs, root.notAfterMs),
  };
}

/** Where a caller has roots of its own, AMD's chains are of no use to it and fail to be judged. */
function builtInChain(
  { product, signer }: Shared,
  anchors: readonly SnpAnchor[],
): RawItem | undefined {
  const root = builtInByName(arkName(product));
  const intermediate = builtInByName(intermediateName(product, signer));
  if (root === undefined || intermediate === undefined) return undefined;
  if (findAnchor(anchors, root.sha256) === undefined) return undefined;
  return { body: new Uint8Array(), chain: pemOf(intermediate.der, root.der) };
}
