/**
 * What the fake vendors have in common: a desk that answers paths, counts who asked for what, and misbehaves on demand.
 * Asked in process, or through the loopback server of server.ts. Spec: tdx §10; sev-snp §2.3.
 * @module
 */

import type {
  FetchAnswer,
  FetchBytes,
  FetchRequest,
} from '../../../attestation/collateral/ports.ts';
import { utf8 } from '../../../core/bytes.ts';
import { httpError } from '../../../core/node/http-client.ts';

export type Answer = FetchAnswer;

export type Misbehaviour =
  | { readonly kind: 'status'; readonly status: number; readonly headers?: Answer['headers'] }
  /** Never answers. */
  | { readonly kind: 'silent' }
  /** Promises more bytes than it sends, and hangs up. */
  | { readonly kind: 'truncated' }
  | { readonly kind: 'oversize' }
  | { readonly kind: 'unreachable' }
  /** Answers something else than it has. */
  | { readonly kind: 'instead'; readonly change: (answer: Answer) => Answer };

export interface Asked {
  readonly origin: string;
  readonly path: string;
}

/** Undefined: no such thing here. */
export type Shelf = (path: string) => Answer | undefined;

const ASKED_MAX = 10_000;

export class Desk {
  readonly #shelves: readonly Shelf[];
  readonly #faults: { readonly match: RegExp; readonly fault: Misbehaviour }[] = [];
  readonly asked: Asked[] = [];

  constructor(...shelves: readonly Shelf[]) {
    this.#shelves = shelves;
  }

  /** For every path that matches, until `behave`. Returns a way to take this one back. */
  misbehave(match: RegExp, fault: Misbehaviour): () => void {
    const entry = { match, fault };
    this.#faults.unshift(entry);
    return () => void this.#faults.splice(this.#faults.indexOf(entry), 1);
  }

  behave(): void {
    this.#faults.length = 0;
  }

  /** How often something that matches was asked for. */
  count(match: RegExp): number {
    return this.asked.filter(({ path }) => match.test(path)).length;
  }

  faultOf(path: string): Misbehaviour | undefined {
    return this.#faults.find(({ match }) => match.test(path))?.fault;
  }

  note(asked: Asked): void {
    if (this.asked.length >= ASKED_MAX) throw new Error('a fake vendor is asked without end');
    this.asked.push(asked);
  }

  /** The honest answer. */
  answer(path: string): Answer {
    for (const shelf of this.#shelves) {
      const found = shelf(path);
      if (found !== undefined) return found;
    }
    return { status: 404, headers: {}, body: utf8('no such thing') };
  }

  /** A network with nothing but this desk in it. */
  readonly fetch: FetchBytes = async (request) => {
    this.note(request);
    await Promise.resolve();
    return this.#reply(request);
  };

  #reply({ path }: FetchRequest): Answer {
    const fault = this.faultOf(path);
    if (fault === undefined) return this.answer(path);
    if (fault.kind === 'status') {
      return { status: fault.status, headers: fault.headers ?? {}, body: utf8('not today') };
    }
    if (fault.kind === 'instead') return fault.change(this.answer(path));
    throw httpError(FAILURES[fault.kind]);
  }
}

/** What the way out over HTTP makes of each. */
const FAILURES = {
  silent: 'http.timeout',
  oversize: 'http.size',
  truncated: 'http.broken',
  unreachable: 'http.connect',
} as const;
