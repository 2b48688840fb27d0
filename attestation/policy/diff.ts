/**
 * What changes between two versions of a policy, for whoever approves it: which grants are new, gone, narrower or wider.
 * Order, comments and layout never show. `narrows` and `neutral` are promises: such a change admits no evidence that was
 * denied before. What is not proven is `unsure` and counts as wider.
 * Spec: gpu-and-policy §5.5 ("diff").
 * @module
 */

import { formatInstant } from '../../core/clock.ts';
import type { CompiledPolicy } from './compile.ts';
import {
  cpuText,
  entryChanges,
  exceptionChanges,
  hostChanges,
  imageChanges,
  modelChanges,
  usesRegistry,
  type Versions,
} from './diff/entries.ts';
import { ruleChanges } from './diff/rule.ts';
import {
  changed,
  expiryChanges,
  inside,
  keyOf,
  longerChanges,
  noteChanges,
  NOTHING,
  secondsText,
  waivableChanges,
  type Change,
  type Changes,
  type Member,
} from './diff/values.ts';
import { gatewayRole } from './gateway-role.ts';
import type { PolicyDocument, PolicyGateways } from './schema.ts';

export type { Change } from './diff/values.ts';

/** What a reader acts on. */
export type Width = 'widens' | 'narrows' | 'neutral';

export function widthOf({ effect }: Change): Width {
  return effect === 'unsure' ? 'widens' : effect;
}

const WIDTHS: readonly Width[] = ['widens', 'narrows', 'neutral'];

/** Widening ones first, then in the order of the document. */
export function diffPolicies(was: CompiledPolicy, now: CompiledPolicy): readonly Change[] {
  const versions = { was, now };
  const changes = [
    ...headChanges(versions),
    ...limitChanges(versions),
    ...ruleListChanges(versions),
    ...imageListChanges(versions),
    ...modelListChanges(versions),
    ...exceptionChanges(versions),
    ...hostListChanges(versions),
    ...gatewayChanges(versions),
  ];
  return WIDTHS.flatMap((width) => changes.filter((change) => widthOf(change) === width));
}

function top({ was, now }: Versions): Member {
  return { pair: { what: 'policy', was: was.at, now: now.at }, path: [] };
}

function headChanges(versions: Versions): Changes {
  const [was, now] = [versions.was.document, versions.now.document];
  const policy = top(versions);
  return [
    ...noteChanges(inside(policy, 'name'), was.name, now.name),
    ...noteChanges(inside(policy, 'serial'), was.serial, now.serial),
    ...issuedChanges(inside(policy, 'issued'), was.issued, now.issued),
    ...expiryChanges(inside(policy, 'expires'), was.expires, now.expires),
    ...noteChanges(inside(policy, 'contact'), was.contact, now.contact),
    ...noteChanges(inside(policy, 'note'), was.note, now.note),
    ...developmentChanges(versions),
  ];
}

/** Before it, the policy admits nobody. */
function issuedChanges(member: Member, was: number, now: number): Changes {
  if (was === now) return NOTHING;
  const [effect, word] =
    now > was ? (['narrows', 'later'] as const) : (['widens', 'earlier'] as const);
  return [changed(member, effect, `${word}, from ${formatInstant(was)} to ${formatInstant(now)}`)];
}

function developmentChanges(versions: Versions): Changes {
  const policy = top(versions);
  const [before, after] = [versions.was, versions.now].map(({ document }) => [
    ...(document.development === true ? ['development: true'] : []),
    ...(document.roots ?? []).map(({ simulated }) => `simulated root ${keyOf(simulated)}`),
  ]);
  const added = (after ?? []).filter((one) => before?.includes(one) !== true);
  const removed = (before ?? []).filter((one) => after?.includes(one) !== true);
  const [here] = [inside(policy, 'development')];
  return [
    ...added.map((one): Change => ({ ...changed(here, 'widens', `${one} added`), mark: '+' })),
    ...removed.map((one): Change => ({ ...changed(here, 'narrows', `${one} removed`), mark: '-' })),
  ];
}

function limitChanges(versions: Versions): Changes {
  const [was, now] = [versions.was.document.limits, versions.now.document.limits];
  const limits = inside(top(versions), 'limits');
  const duration = (name: 'evidence_age' | 'reattest_every'): Changes =>
    longerChanges(inside(limits, name), was[name], now[name], secondsText);
  const age = inside(limits, 'revocation_age');
  return [
    ...duration('evidence_age'),
    ...duration('reattest_every'),
    ...waivableChanges(age, [was.revocation_age, now.revocation_age], (a, b) => [
      ...longerChanges(inside(age, 'gateway'), a.gateway, b.gateway, secondsText),
      ...longerChanges(inside(age, 'client'), a.client, b.client, secondsText),
    ]),
    ...challengeChanges(inside(limits, 'challenge'), was.challenge, now.challenge),
  ];
}

type Challenge = PolicyDocument['limits']['challenge'];

function challengeChanges(member: Member, was: Challenge, now: Challenge): Changes {
  if (was === now) return NOTHING;
  const [effect, text] =
    now === 'gateway'
      ? (['widens', 'that of a gateway is enough for a client now'] as const)
      : (['narrows', 'every verifier sets its own now'] as const);
  return [changed(member, effect, text)];
}

function ruleListChanges(versions: Versions): Changes {
  return entryChanges(versions, {
    list: 'rules',
    word: 'rule',
    nameOf: ({ id }) => id,
    was: versions.was.document.rules,
    now: versions.now.document.rules,
    added: ({ cpu, models, images }) => [
      'widens',
      `new, for ${cpu.tee}, models ${listed(models)}, images ${listed(images)}`,
    ],
    removed: ({ models, images }) => [
      'narrows',
      `gone, with models ${listed(models)}, images ${listed(images)}`,
    ],
    compare: ruleChanges,
  });
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.join(', ');
}

/** Lists of the other role, under words of their own; what one role gains the other cannot use. */
function gatewayChanges(versions: Versions): Changes {
  const [was, now] = [versions.was.document.gateways, versions.now.document.gateways];
  const roles = { was: gatewayRole(versions.was), now: gatewayRole(versions.now) };
  const challenge = inside(inside(top(versions), 'gateways'), 'challenge');
  return [
    ...(was === undefined || now === undefined
      ? NOTHING
      : waivableChanges(
          challenge,
          [waivable(was.challenge), waivable(now.challenge)],
          () => NOTHING,
        )),
    ...entryChanges(roles, {
      list: 'rules',
      word: 'gateway rule',
      nameOf: ({ id }) => id,
      was: roles.was.document.rules,
      now: roles.now.document.rules,
      added: ({ cpu, images }) => [
        'widens',
        `new, for gateways that may hold plaintext on ${cpu.tee}, images ${listed(images)}`,
      ],
      removed: ({ images }) => ['narrows', `gone, with images ${listed(images)}`],
      compare: ruleChanges,
    }),
    ...imageListChanges(roles, 'gateway image'),
  ];
}

/** A demand without members is one all the same. */
function waivable(challenge: PolicyGateways['challenge']): object {
  return challenge === 'required' ? { challenge } : challenge;
}

/** What no rule names admits nobody, in whatever state it is. */
function imageListChanges(versions: Versions, word = 'image'): Changes {
  const isUsed = ({ document }: CompiledPolicy, name: string): boolean =>
    document.rules.some(({ images }) => images.includes(name));
  return entryChanges(versions, {
    list: 'images',
    word,
    nameOf: ({ name }) => name,
    was: versions.was.document.images,
    now: versions.now.document.images,
    added: ({ name, expires }) =>
      isUsed(versions.now, name)
        ? ['widens', `new, until ${formatInstant(expires)}`]
        : ['neutral', 'new, and no rule names it'],
    removed: ({ name }) =>
      isUsed(versions.was, name) ? ['narrows', 'gone'] : ['neutral', 'gone; no rule named it'],
    compare: imageChanges,
  });
}

function modelListChanges(versions: Versions): Changes {
  const isUsed = ({ document }: CompiledPolicy, id: string): boolean =>
    document.rules.some(({ models }) => models.includes(id));
  return entryChanges(versions, {
    list: 'models',
    word: 'model',
    nameOf: ({ id }) => id,
    was: versions.was.document.models,
    now: versions.now.document.models,
    added: ({ id }) =>
      isUsed(versions.now, id) ? ['widens', 'new'] : ['neutral', 'new, and no rule names it'],
    removed: ({ id }) =>
      isUsed(versions.was, id) ? ['narrows', 'gone'] : ['neutral', 'gone; no rule named it'],
    compare: modelChanges,
  });
}

function hostListChanges(versions: Versions): Changes {
  const isUsed = ({ document }: CompiledPolicy): boolean =>
    [...document.rules, ...(document.gateways?.rules ?? [])].some(usesRegistry);
  return entryChanges(versions, {
    list: 'hosts',
    word: 'host',
    nameOf: ({ host }) => host,
    was: versions.was.document.hosts,
    now: versions.now.document.hosts,
    added: (host) =>
      isUsed(versions.now)
        ? ['widens', `new, ${cpuText(host)}`]
        : ['neutral', `new, ${cpuText(host)}; no rule asks for hosts`],
    removed: (host) => [isUsed(versions.was) ? 'narrows' : 'neutral', `gone, ${cpuText(host)}`],
    compare: hostChanges,
  });
}
