/**
 * The conformance table: what each row checks, with which clients, and which cells cannot be. A row's file has one body per
 * client, and every body runs over every path, so a cell without a test does not compile. docs/conformance.md is made of this.
 * Spec: openai-gateway-and-engine §2.9.
 * @module
 */

import { test, type TestContext } from 'node:test';
import type { PathName, Way } from './way.ts';

export const CLIENTS = {
  O: '`openai`',
  A: '`ai` with `@ai-sdk/openai-compatible`',
  R: '`@ai-sdk/openai`, which speaks Responses unless told otherwise',
  L: '`@langchain/openai`',
  raw: 'HTTP without a library',
} as const;

export type Client = keyof typeof CLIENTS;

export const PATHS = {
  engine:
    'the worker’s own planning and answering over its engine, behind the HTTP surface; no gateway, no ledger',
  plain: 'through a gateway that reads the prompt and seals it to the worker',
  sealed: 'through the gateway, sealed by `sealedFetch` in the client',
} as const satisfies Readonly<Record<PathName, string>>;

const IN_ORDER: readonly PathName[] = ['engine', 'plain', 'sealed'];

interface Row {
  readonly check: string;
  readonly clients: readonly Client[];
  /** Why some paths have no test. */
  readonly impossible?: Partial<Readonly<Record<PathName, string>>>;
}

const SEALED_IS_BINARY = 'what goes over the wire is sealed: no HTTP client speaks it unaided';
const NO_GATEWAY = 'there is no gateway on this path';

export const ROWS = {
  C01: { check: 'chat in one piece: text, usage, request id', clients: ['O', 'A', 'L'] },
  C02: { check: 'a stream says what the whole answer says', clients: ['O', 'A', 'L'] },
  C03: { check: 'usage only when asked, and as the worker counted', clients: ['O', 'A', 'L'] },
  C04: { check: 'a minute of pings between two tokens', clients: ['O', 'A', 'L'] },
  C05: { check: 'worker killed in the middle of a stream', clients: ['O', 'A', 'L'] },
  C06: {
    check: 'gateway killed in the middle of a stream',
    clients: ['O', 'A', 'L'],
    impossible: { engine: NO_GATEWAY },
  },
  C07: { check: 'abort at a token', clients: ['O', 'A', 'L'] },
  C08: { check: 'break out of the iteration', clients: ['O'] },
  C09: {
    check: 'tools: whole, streamed, two steps, several, forced, none',
    clients: ['O', 'A', 'L', 'R'],
  },
  C10: { check: 'an answer of a schema, 100 of 100 at temperature 1', clients: ['O', 'A', 'L'] },
  C11: { check: 'a keyword that cannot be honoured is named', clients: ['O'] },
  C12: { check: 'logprobs', clients: ['O', 'L'] },
  C13: { check: 'n, stop, seed, logit_bias', clients: ['O'] },
  C14: { check: 'embeddings: base64 equals float, in order', clients: ['O', 'A', 'L'] },
  C15: { check: 'models: the list, and one with a slash in its id', clients: ['O'] },
  C16: { check: 'each failure: class, status, code, number of requests', clients: ['O', 'A', 'L'] },
  C17: { check: 'retry-after and x-should-retry are honoured', clients: ['O'] },
  C18: { check: 'responses: text, tools, failure', clients: ['O', 'R', 'L'] },
  C19: {
    check: 'bad requests get a JSON error with the right status',
    clients: ['raw'],
    impossible: { sealed: SEALED_IS_BINARY },
  },
  C20: { check: 'a page in Chromium asks, from a listed origin only', clients: ['O'] },
  C21: { check: '64 streams at once, two readers slow', clients: ['O'] },
  C22: {
    check: 'nothing of prompts or answers in logs, metrics, errors, files',
    clients: ['O', 'A', 'R', 'L'],
  },
  C23: {
    check: 'HTTP/1.1 and HTTP/2 carry the same bytes',
    clients: ['raw'],
    impossible: { engine: 'listeners are the gateway’s', sealed: SEALED_IS_BINARY },
  },
} as const satisfies Readonly<Record<string, Row>>;

export type RowId = keyof typeof ROWS;
export type ClientOf<Id extends RowId> = (typeof ROWS)[Id]['clients'][number];

export function rowOf(id: RowId): Row {
  return ROWS[id];
}

/** Paths that have a test, in order. */
export function pathsOf(id: RowId): readonly PathName[] {
  const { impossible = {} } = rowOf(id);
  return IN_ORDER.filter((path) => impossible[path] === undefined);
}

export function cellName(id: RowId, client: Client, path: PathName): string {
  return `${id} ${rowOf(id).check}: ${client} ${path}`;
}

export type Cell = (way: Way, context: TestContext) => Promise<void>;

export interface RowOptions {
  readonly skip?: string | false;
}

/** Every cell of a row as one test. `ways` is asked when the tests run. */
export function row<Id extends RowId>(
  id: Id,
  ways: (path: PathName) => Way,
  cells: Readonly<Record<ClientOf<Id>, Cell>>,
  { skip = false }: RowOptions = {},
): void {
  const bodies: Readonly<Partial<Record<Client, Cell>>> = cells;
  for (const path of pathsOf(id)) {
    for (const client of rowOf(id).clients) {
      const body = bodies[client];
      if (body === undefined) throw new Error(`${id} has no ${client}`);
      test(cellName(id, client, path), { skip }, (context) => body(ways(path), context));
    }
  }
}
