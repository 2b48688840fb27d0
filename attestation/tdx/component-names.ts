/**
 * What the numbered components of a TCB level are, in Intel's own words: the TCB info names a category and a type beside
 * each number. For people only; nothing is decided by them.
 * Spec: Intel SGX and TDX PCS API v4, "Get TCB Info", TCB info V3 structure (`category`, `type`).
 * @module
 */

import type { Json, JsonObject } from '../../core/json.ts';
import { attempt } from '../attempt.ts';
import { asObject, parseSignedBody, readList } from './signed-json.ts';
import { TCB_COMPONENTS } from './pck-extension.ts';
import { TCB_LEVELS_MAX } from './limits.ts';

export interface ComponentName {
  /** Who delivers it: `BIOS`, `OS/VMM`. */
  readonly category: string;
  /** Such as `Early Microcode Update`. */
  readonly type?: string;
}

/** By `sgx[0]`, `tdx[2]`; without those that the document leaves unnamed. */
export type ComponentNames = ReadonlyMap<string, ComponentName>;

const NAME_FORM = /^[A-Za-z0-9][A-Za-z0-9 /._-]{0,47}$/;

/** Empty for a document that cannot be read. Whether it is genuine is for the caller to know. */
export function componentNames(tcbInfoBody: Uint8Array): ComponentNames {
  const read = attempt(() => {
    const { inner } = parseSignedBody(tcbInfoBody, 'tcbInfo');
    const [level] = readList(inner, 'tcbLevels', TCB_LEVELS_MAX);
    const tcb = asObject(asObject(level, 'level')['tcb'], 'tcb');
    return [...namesIn(tcb, 'sgx'), ...namesIn(tcb, 'tdx')];
  });
  return new Map(read.outcome === 'read' ? read.value : []);
}

function namesIn(tcb: JsonObject, kind: 'sgx' | 'tdx'): readonly [string, ComponentName][] {
  return readList(tcb, `${kind}tcbcomponents`, TCB_COMPONENTS).flatMap((entry, at) => {
    const component = asObject(entry, 'component');
    const category = nameOf(component['category']);
    if (category === undefined) return [];
    const type = nameOf(component['type']);
    const name = { category, ...(type === undefined ? {} : { type }) };
    return [[`${kind}[${at}]`, name] satisfies [string, ComponentName]];
  });
}

function nameOf(value: Json | undefined): string | undefined {
  return typeof value === 'string' && NAME_FORM.test(value) ? value : undefined;
}
