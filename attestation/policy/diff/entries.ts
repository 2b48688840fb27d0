/** The entries of a policy's lists compared by what they admit: images, models, exceptions, machines. @module */

import { toHex } from '../../../core/bytes.ts';
import {
  changed,
  expiryChanges,
  inside,
  keyOf,
  noteChanges,
  NOTHING,
  otherChanges,
  type Change,
  type Changes,
  type Effect,
  type Member,
  type Pair,
} from './values.ts';
import type { CompiledPolicy } from '../compile.ts';
import type { PolicyAdvisory, PolicyHost, PolicyImage, PolicyRule } from '../schema.ts';

export interface Versions {
  readonly was: CompiledPolicy;
  readonly now: CompiledPolicy;
}

interface ListOf<Entry> {
  readonly list: 'rules' | 'images' | 'models' | 'advisories' | 'hosts';
  readonly word: string;
  readonly nameOf: (entry: Entry) => string;
  readonly was: readonly Entry[];
  readonly now: readonly Entry[];
  /** What it means that there is one more, or one less. */
  readonly added: (entry: Entry) => readonly [Effect, string];
  readonly removed: (entry: Entry) => readonly [Effect, string];
  readonly compare: (member: Member, was: Entry, now: Entry) => Changes;
}

/** By name: order means nothing. */
export function entryChanges<Entry>(versions: Versions, lists: ListOf<Entry>): Changes {
  const { list, word, nameOf, was, now, compare } = lists;
  const gone = was.flatMap((entry, index): Changes => {
    if (now.some((other) => nameOf(other) === nameOf(entry))) return NOTHING;
    const [effect, text] = lists.removed(entry);
    const at = versions.was.at(list, index);
    return [{ mark: '-', effect, what: `${word} ${nameOf(entry)}`, text, was: at }];
  });
  const rest = now.flatMap((entry, index): Changes => {
    const what = `${word} ${nameOf(entry)}`;
    const before = was.findIndex((other) => nameOf(other) === nameOf(entry));
    const old = was[before];
    if (old === undefined) {
      const [effect, text] = lists.added(entry);
      return [{ mark: '+', effect, what, text, now: versions.now.at(list, index) }];
    }
    const pair: Pair = {
      what,
      was: (...path) => versions.was.at(list, before, ...path),
      now: (...path) => versions.now.at(list, index, ...path),
    };
    return compare({ pair, path: [] }, old, entry);
  });
  return [...rest, ...gone];
}

export function imageChanges(image: Member, was: PolicyImage, now: PolicyImage): Changes {
  return [
    ...noteChanges(inside(image, 'source'), was.source, now.source),
    ...expiryChanges(inside(image, 'expires'), was.expires, now.expires),
    ...otherChanges(inside(image, 'workload', 'image'), was.workload.image, now.workload.image),
    ...otherChanges(inside(image, 'workload', 'config'), was.workload.config, now.workload.config),
    ...noteChanges(inside(image, 'workload', 'engine'), was.workload.engine, now.workload.engine),
    ...tupleChanges(inside(image, 'tdx'), was.tdx ?? [], now.tdx ?? []),
    ...tupleChanges(inside(image, 'snp'), was.snp ?? [], now.snp ?? []),
    ...registerChanges(image, was, now),
  ];
}

/** They belong to each tuple; beside a list without tuples on either side they mean nothing. */
function registerChanges(image: Member, was: PolicyImage, now: PolicyImage): Changes {
  if ((was.tdx ?? []).length === 0 || (now.tdx ?? []).length === 0) return NOTHING;
  const names = ['mrconfigid', 'mrowner', 'mrownerconfig'] as const;
  return names.flatMap((name) => otherChanges(inside(image, name), was[name], now[name]));
}

interface Tuple {
  readonly shape: string;
}

/** By content: the label of a shape is for people. */
function tupleChanges(member: Member, was: readonly Tuple[], now: readonly Tuple[]): Changes {
  const contentOf = ({ shape: _shape, ...registers }: Tuple): string => keyOf(registers);
  const absentIn = (list: readonly Tuple[], tuple: Tuple): boolean =>
    !list.some((other) => contentOf(other) === contentOf(tuple));
  const { pair, path } = member;
  const added = now.flatMap((tuple, index): Changes =>
    absentIn(was, tuple)
      ? [
          {
            mark: '+',
            effect: 'widens',
            what: pair.what,
            text: `${path.join('.')}: tuple of shape ${tuple.shape} added`,
            now: pair.now(...path, index),
          },
        ]
      : NOTHING,
  );
  const removed = was.flatMap((tuple, index): Changes =>
    absentIn(now, tuple)
      ? [
          {
            mark: '-',
            effect: 'narrows',
            what: pair.what,
            text: `${path.join('.')}: tuple of shape ${tuple.shape} removed`,
            was: pair.was(...path, index),
          },
        ]
      : NOTHING,
  );
  const labels = now.flatMap((tuple, index): Changes => {
    const old = was.find((other) => contentOf(other) === contentOf(tuple));
    if (old === undefined || old.shape === tuple.shape) return NOTHING;
    const text = `from ${old.shape} to ${tuple.shape}, a label`;
    return [changed(inside(member, index, 'shape'), 'neutral', text)];
  });
  return [...added, ...removed, ...labels];
}

export function modelChanges(
  model: Member,
  was: { readonly weights: Uint8Array },
  now: { readonly weights: Uint8Array },
): Changes {
  return otherChanges(inside(model, 'weights'), was.weights, now.weights);
}

/** One exception for one rule: an entry may name several, and two entries may name one. */
export interface Exception {
  readonly id: string;
  readonly rule: string;
  readonly admits: string;
  readonly expires: number;
  readonly reason: string;
  readonly owner: string;
  readonly index: number;
}

/** Of several that say the same, the one that lasts longest counts. */
export function exceptionsOf(advisories: readonly PolicyAdvisory[]): readonly Exception[] {
  const longest = new Map<string, Exception>();
  for (const [index, { rules, ...entry }] of advisories.entries()) {
    for (const rule of rules) {
      const key = keyOf([entry.id, rule, entry.admits]);
      const known = longest.get(key);
      if (known !== undefined && known.expires >= entry.expires) continue;
      longest.set(key, { ...entry, rule, index });
    }
  }
  return [...longest.values()];
}

export function exceptionChanges({ was, now }: Versions): Changes {
  const [before, after] = [was, now].map(({ document }) => exceptionsOf(document.advisories));
  const isSame = (a: Exception, b: Exception): boolean =>
    a.id === b.id && a.rule === b.rule && a.admits === b.admits;
  const whatOf = ({ id, rule }: Exception): string => `advisory ${id} for rule ${rule}`;
  const gone = (before ?? [])
    .filter((old) => after?.some((entry) => isSame(old, entry)) !== true)
    .map((old): Change => {
      const text = `no longer admits ${old.admits}`;
      return {
        mark: '-',
        effect: 'narrows',
        what: whatOf(old),
        text,
        was: was.at('advisories', old.index),
      };
    });
  const rest = (after ?? []).flatMap((entry): Changes => {
    const old = before?.find((other) => isSame(other, entry));
    if (old === undefined) {
      const text = `admits ${entry.admits}: ${entry.reason} (${entry.owner})`;
      const at = now.at('advisories', entry.index);
      return [{ mark: '+', effect: 'widens', what: whatOf(entry), text, now: at }];
    }
    const pair: Pair = {
      what: whatOf(entry),
      was: (...path) => was.at('advisories', old.index, ...path),
      now: (...path) => now.at('advisories', entry.index, ...path),
    };
    const member: Member = { pair, path: [] };
    return [
      ...expiryChanges(inside(member, 'expires'), old.expires, entry.expires),
      ...noteChanges(inside(member, 'reason'), old.reason, entry.reason),
      ...noteChanges(inside(member, 'owner'), old.owner, entry.owner),
    ];
  });
  return [...rest, ...gone];
}

export function hostChanges(host: Member, was: PolicyHost, now: PolicyHost): Changes {
  return [
    ...otherChanges(inside(host, 'cpu'), was.cpu, now.cpu),
    // Not each of them but their set has to be that of the machine: one less admits what one more did not.
    ...otherChanges(inside(host, 'gpus'), was.gpus.toSorted(), now.gpus.toSorted()),
    ...otherChanges(inside(host, 'switches'), was.switches.toSorted(), now.switches.toSorted()),
    ...noteChanges(inside(host, 'location'), was.location, now.location),
    ...noteChanges(inside(host, 'seen'), was.seen, now.seen),
    ...noteChanges(inside(host, 'by'), [...was.by].sort(), [...now.by].sort()),
    ...expiryChanges(inside(host, 'expires'), was.expires, now.expires),
  ];
}

export function cpuText({ cpu }: PolicyHost): string {
  return 'ppid' in cpu ? `ppid ${toHex(cpu.ppid)}` : `chip_id ${toHex(cpu.chip_id).slice(0, 16)}…`;
}

export function usesRegistry({ cpu }: Pick<PolicyRule, 'cpu'>): boolean {
  return 'registry' in cpu.platforms;
}
