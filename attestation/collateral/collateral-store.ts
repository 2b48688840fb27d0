/**
 * The one part around verification that asks the outside world. Hosts come from configuration; evidence contributes an
 * FMSPC, a CA, a product, a hardware id and TCB numbers in fixed forms, and what came with it as offers that are judged
 * before they are used. What it hands out is genuine and current; whether it fits a machine is the verifier's to say.
 * Spec: tdx §10, §14; sev-snp §2.3, §8; docs/collateral.md.
 * @module
 */

import { VeilError } from '../../core/errors.ts';
import { decodePemBlock, splitPemCertificates } from '../pem.ts';
import type { SnpEndorsements } from '../snp/endorsements.ts';
import type { TdxCollateral } from '../tdx/collateral.ts';
import type { AmdAuthority, SnpQuery } from './amd-authority.ts';
import { exportBundle, importBundle, type BundleReport } from './bundle.ts';
import type { EndorsableEvidence, Endorser } from './endorser.ts';
import { collateralError } from './errors.ts';
import type { OnCollateralEvent } from './events.ts';
import type { ListFloor } from './floors.ts';
import { evaluationNumbersOf, type EvaluationNumber, type IntelAuthority } from './intel-judge.ts';
import { ItemStore, type Offers, type RefreshReport } from './item-store.ts';
import { isIntel, itemKey, type Edition, type Item, type PckCa } from './items.ts';
import type { RawItem, Verified } from './judge.ts';
import { REFRESH_TICK_MAX_MS, REFRESH_TICK_MIN_MS } from './limits.ts';
import type { Ports } from './ports.ts';
import type { Source } from './source.ts';
import { questionOfTdxQuote } from './tdx-quote.ts';
import { pemOf } from './text-forms.ts';

export interface TdxQuery {
  /** Lower-case hex. */
  readonly fmspc: string;
  readonly ca: PckCa;
  readonly offered?: TdxCollateral;
}

export interface CollateralStoreOptions {
  readonly ports: Ports;
  readonly intel: IntelAuthority;
  readonly amd: AmdAuthority;
  /** In the order in which they are asked. */
  readonly sources: readonly Source[];
  readonly edition: Edition;
  /**
   * Whether a report may be judged without AMD's revocation list when none can be had. The policy has the last word: one
   * that requires a list refuses what comes without.
   */
  readonly amdList: 'required' | 'if-available';
  readonly onEvent: OnCollateralEvent;
}

const NOTHING_OFFERED: Offers = new Map();
const ROOT_LIST: Item = { kind: 'sgx-root-crl' };

export class CollateralStore implements Endorser {
  readonly #options: CollateralStoreOptions;
  readonly #items: ItemStore;
  /** Kept fresh although nobody asks. */
  readonly #wanted = new Map<string, Item>();

  private constructor(options: CollateralStoreOptions, items: ItemStore) {
    this.#options = options;
    this.#items = items;
  }

  static async open(options: CollateralStoreOptions): Promise<CollateralStore> {
    const { ports, intel, amd, sources, onEvent } = options;
    const items = await ItemStore.open({
      ports,
      sources,
      onEvent,
      judge: (item, raw, context) =>
        isIntel(item) ? intel.judge(item, raw, context) : amd.judge(item, raw, context),
      builtIn: (item) => (isIntel(item) ? undefined : amd.builtIn(item)),
    });
    return new CollateralStore(options, items);
  }

  /** Throws `collateral.*`. */
  async tdx(query: TdxQuery, signal: AbortSignal): Promise<TdxCollateral> {
    const { edition } = this.#options;
    const items = {
      tcbInfo: { kind: 'tdx-tcb-info', fmspc: query.fmspc, edition },
      qeIdentity: { kind: 'tdx-qe-identity', edition },
      pckCrl: { kind: 'sgx-pck-crl', ca: query.ca },
    } as const;
    const offers = query.offered === undefined ? NOTHING_OFFERED : tdxOffers(items, query.offered);
    const get = (item: Item): Promise<Verified> => this.#items.obtain(item, offers, signal);
    // First and alone: the others are judged with it.
    const rootList = await get(ROOT_LIST);
    const [tcbInfo, qeIdentity, pckCrl] = await Promise.all([
      get(items.tcbInfo),
      get(items.qeIdentity),
      get(items.pckCrl),
    ]);
    const { pckCertChain } = query.offered ?? {};
    return {
      tcbInfo: tcbInfo.raw.body,
      tcbInfoIssuerChain: tcbInfo.raw.chain,
      qeIdentity: qeIdentity.raw.body,
      qeIdentityIssuerChain: qeIdentity.raw.chain,
      pckCrl: pckCrl.raw.body,
      pckCrlIssuerChain: pckCrl.raw.chain,
      rootCaCrl: rootList.raw.body,
      ...(pckCertChain === undefined ? {} : { pckCertChain }),
    };
  }

  /** Throws `collateral.*`. */
  async snp(query: SnpQuery, signal: AbortSignal): Promise<SnpEndorsements> {
    const { product, signer, chip } = query;
    const chainItem: Item = { kind: 'amd-chain', product, signer };
    const listItem: Item = { kind: 'amd-crl', product, signer };
    const leafItem: Item | undefined =
      signer === 'vcek' && chip !== undefined ? { kind: 'amd-vcek', product, ...chip } : undefined;
    const offers = snpOffers({ chainItem, listItem, leafItem }, query.offered ?? {});
    const get = (item: Item): Promise<Verified> => this.#items.obtain(item, offers, signal);
    const [intermediate, root] = splitPemCertificates((await get(chainItem)).raw.chain);
    const [leaf, list] = await Promise.all([
      leafItem === undefined ? offeredLeaf(query) : get(leafItem).then(({ raw }) => raw.body),
      this.#amdList(() => get(listItem)),
    ]);
    return {
      vek: leaf,
      ...(intermediate === undefined ? {} : { intermediate: decodePemBlock(intermediate) }),
      ...(root === undefined ? {} : { root: decodePemBlock(root) }),
      ...(list === undefined ? {} : { crl: list.raw.body }),
    };
  }

  async #amdList(get: () => Promise<Verified>): Promise<Verified | undefined> {
    try {
      return await get();
    } catch (error) {
      if (!(error instanceof VeilError) || error.code === 'internal.invariant') throw error;
      if (this.#options.amdList === 'required') throw error;
      return undefined;
    }
  }

  async endorse(
    evidence: EndorsableEvidence,
    signal: AbortSignal,
  ): Promise<TdxCollateral | SnpEndorsements> {
    if (evidence.tee === 'snp') return await this.snp(this.#snpQuestion(evidence), signal);
    const endorsements = tdxEndorsementsOf(evidence);
    const { root } = this.#options.intel;
    const { fmspc, ca, caChain } = questionOfTdxQuote(evidence.quote, endorsements, root);
    if (endorsements === undefined) return await this.tdx({ fmspc, ca }, signal);
    // The quote's own CA issued the list, or nobody did: whatever chain was sent beside it decides nothing.
    const offered = { ...endorsements, pckCrlIssuerChain: caChain };
    return await this.tdx({ fmspc, ca, offered }, signal);
  }

  #snpQuestion(evidence: EndorsableEvidence): SnpQuery {
    try {
      return this.#options.amd.question(evidence);
    } catch (cause) {
      if (!(cause instanceof VeilError) || cause.code === 'internal.invariant') throw cause;
      if (cause.code.startsWith('collateral.')) throw cause;
      throw collateralError('collateral.evidence', cause.code, {
        facts: { reason: cause.code },
        cause,
      });
    }
  }

  /** Which of Intel's evaluation data numbers exist now. Throws `collateral.*`. */
  async evaluationNumbers(signal: AbortSignal): Promise<readonly EvaluationNumber[]> {
    const item: Item = { kind: 'tdx-evaluation-numbers' };
    return evaluationNumbersOf((await this.#items.obtain(item, NOTHING_OFFERED, signal)).raw);
  }

  /**
   * The newest list seen of this issuer (`listIssuerId`), for verifiers to refuse an older one that is offered to them:
   * see `isBelowFloor`.
   */
  floorOf(issuerId: string): ListFloor | undefined {
    return this.#items.listFloor(issuerId);
  }

  /** From now on kept fresh, whether or not somebody asks. Resolves with the keys that could not be had yet. */
  async prefetch(items: readonly Item[], signal: AbortSignal): Promise<readonly string[]> {
    for (const item of items) this.#wanted.set(itemKey(item), item);
    return await this.#missing(signal);
  }

  async #missing(signal: AbortSignal): Promise<readonly string[]> {
    const wanted = [...this.#wanted];
    const outcomes = await Promise.all(
      wanted.map(async ([key, item]) => {
        try {
          await this.#items.obtain(item, NOTHING_OFFERED, signal);
          return [];
        } catch (error) {
          if (!(error instanceof VeilError) || error.code === 'internal.invariant') throw error;
          return [key];
        }
      }),
    );
    return outcomes.flat();
  }

  /** Gets what is wanted and missing, and asks for a newer one of everything that is due at `nowMs`. */
  async refreshDue(nowMs: number, signal: AbortSignal): Promise<RefreshReport> {
    const report = await this.#items.refreshDue(nowMs, signal);
    const missing = await this.#missing(signal);
    return { ...report, failed: report.failed + missing.length };
  }

  /** `refreshDue` again and again, until the signal ends it. */
  async run(signal: AbortSignal): Promise<void> {
    const { now, pause } = this.#options.ports;
    for (;;) {
      if (signal.aborted) return;
      const { nextDueMs } = await this.refreshDue(now(), signal);
      const waitMs = Math.max(REFRESH_TICK_MIN_MS, nextDueMs - now());
      if (!(await pause(Math.min(waitMs, REFRESH_TICK_MAX_MS), signal))) return;
    }
  }

  async exportBundle(): Promise<Uint8Array> {
    return await exportBundle(this.#items);
  }

  async importBundle(bytes: Uint8Array): Promise<BundleReport> {
    return await importBundle(this.#items, bytes);
  }
}

function tdxEndorsementsOf({ endorsements }: EndorsableEvidence): TdxCollateral | undefined {
  if (endorsements === undefined) return undefined;
  if ('tcbInfo' in endorsements) return endorsements;
  throw collateralError('collateral.evidence', 'endorsements of another kind of machine', {
    facts: { reason: 'endorsements' },
  });
}

function tdxOffers(
  items: Readonly<Record<'tcbInfo' | 'qeIdentity' | 'pckCrl', Item>>,
  offered: TdxCollateral,
): Offers {
  return new Map<string, RawItem>([
    [itemKey(ROOT_LIST), { body: offered.rootCaCrl, chain: '' }],
    [itemKey(items.pckCrl), { body: offered.pckCrl, chain: offered.pckCrlIssuerChain }],
    [itemKey(items.tcbInfo), { body: offered.tcbInfo, chain: offered.tcbInfoIssuerChain }],
    [itemKey(items.qeIdentity), { body: offered.qeIdentity, chain: offered.qeIdentityIssuerChain }],
  ]);
}

function snpOffers(
  items: {
    readonly chainItem: Item;
    readonly listItem: Item;
    readonly leafItem?: Item | undefined;
  },
  offered: SnpEndorsements,
): Offers {
  const { intermediate, root, crl, vek } = offered;
  const offers = new Map<string, RawItem>();
  if (intermediate !== undefined && root !== undefined) {
    const chain = pemOf(intermediate, root);
    offers.set(itemKey(items.chainItem), { body: new Uint8Array(), chain });
  }
  if (crl !== undefined) offers.set(itemKey(items.listItem), { body: crl, chain: '' });
  if (vek !== undefined && items.leafItem !== undefined) {
    offers.set(itemKey(items.leafItem), { body: vek, chain: '' });
  }
  return offers;
}

/** A cloud's certificates, and those of chips that hide their names, are nowhere to be asked for. */
function offeredLeaf({ signer, offered }: SnpQuery): Uint8Array {
  if (offered?.vek !== undefined) return offered.vek;
  throw collateralError('collateral.not_found', `${signer} comes with the evidence only`, {
    facts: { kind: 'amd-vcek', signer, reason: 'with the evidence only' },
  });
}
