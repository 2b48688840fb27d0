/**
 * One rule's `cpu` section against a genuine TDX quote. What no rule can allow (debug, migration, unknown attributes,
 * MRSERVICETD) is judged by the verifier itself and is not repeated here.
 * Spec: gpu-and-policy §5.2, §5.3 (4, 5); Intel TDX Module ABI Reference, "TD Attributes", "XFAM".
 * @module
 */

import { equalPublic, isZero, toHex, type Bytes } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import { passedAt } from '../shared-checks.ts';
import type { RuleFinding, RuleQuestion } from '../tee.ts';
import type { TdReport } from '../tdx/quote.ts';
import type { TdxTcb } from '../tdx/tcb.ts';
import type { TdxPlatform } from '../tdx/verify.ts';
import type { Check } from '../verdict.ts';
import { demanded, listText, skipped, waived } from './rule-check.ts';
import { STATUS_WORDS, type PolicyImage, type TdxCpuRule } from './schema.ts';

export const TDX_RULE_CHECK_IDS = [
  /** Mrtd, rtmr0..3, mrconfigid, mrowner, mrownerconfig equal one whole tuple of the image. */
  'cpu.measurements',
  'cpu.tcbStatus',
  'cpu.tcbStatus.current',
  'cpu.tcbEvalNumber',
  'cpu.tcbDate',
  'cpu.module.identity',
  'cpu.module.isvsvn',
  'cpu.mrseam',
  'cpu.attributes.perfmon',
  'cpu.attributes.protectionKeys',
  'cpu.attributes.keyLocker',
  'cpu.attributes.lass',
  'cpu.xfam',
  /** The service TDs of extended reports; MRSERVICETD is `policy.td.serviceTd`. */
  'cpu.serviceTd',
  'cpu.fmspc',
  'cpu.platforms',
] as const;

export interface TdxRuleFacts {
  readonly td: TdReport;
  readonly tcb: TdxTcb;
  readonly platform: TdxPlatform;
}

/** Where the members of this rule's `cpu` stand. */
type At = (...path: readonly PropertyKey[]) => string;

const NEVER = Number.POSITIVE_INFINITY;

export function judgeTdxRule(facts: TdxRuleFacts, question: RuleQuestion): RuleFinding {
  const { policy, rule } = question;
  const cpu = policy.document.rules[rule]?.cpu;
  if (cpu?.tee !== 'tdx') {
    return {
      checks: TDX_RULE_CHECK_IDS.map((id) => skipped(id, 'policy.rule')),
      validUntilMs: 0,
      advisories: [],
    };
  }
  const at: At = (...path) => policy.at('rules', rule, 'cpu', ...path);
  const measured = measurementCheck(facts.td, question);
  const launch = statusCheck('cpu.tcbStatus', facts.tcb.status, facts, question);
  const current = statusCheck('cpu.tcbStatus.current', facts.tcb.current.status, facts, question);
  const platform = platformCheck(cpu, facts.platform, question, at);
  return {
    checks: [
      measured.check,
      launch.check,
      current.check,
      evalNumberCheck(cpu, facts.tcb, at),
      tcbDateCheck(cpu, facts.tcb, at),
      ...moduleChecks(cpu, facts.td, at),
      mrSeamCheck(cpu, facts.td, at),
      ...attributeChecks(cpu, facts.td, at),
      xfamCheck(cpu, facts.td, at),
      serviceTdCheck(facts.td, at),
      fmspcCheck(cpu, facts.platform, at),
      platform.check,
    ],
    ...(measured.shape === undefined ? {} : { shape: measured.shape }),
    validUntilMs: Math.min(launch.validUntilMs, current.validUntilMs, platform.validUntilMs),
    advisories: [...new Set([...launch.advisories, ...current.advisories])],
  };
}

type Registers = readonly (readonly [name: string, value: Bytes<48>])[];

function reportedRegisters(td: TdReport): Registers {
  return [
    ['mrtd', td.mrTd],
    ['rtmr0', td.rtmr[0]],
    ['rtmr1', td.rtmr[1]],
    ['rtmr2', td.rtmr[2]],
    ['rtmr3', td.rtmr[3]],
    ['mrconfigid', td.mrConfigId],
    ['mrowner', td.mrOwner],
    ['mrownerconfig', td.mrOwnerConfig],
  ];
}

type TdxTuple = NonNullable<PolicyImage['tdx']>[number];

/** In the order of `reportedRegisters`. */
function listedRegisters(
  image: PolicyImage,
  tuple: TdxTuple,
): readonly (readonly [name: string, value: Bytes<48> | undefined])[] {
  return [
    ['mrtd', tuple.mrtd],
    ['rtmr0', tuple.rtmr0],
    ['rtmr1', tuple.rtmr1],
    ['rtmr2', tuple.rtmr2],
    ['rtmr3', tuple.rtmr3],
    ['mrconfigid', image.mrconfigid],
    ['mrowner', image.mrowner],
    ['mrownerconfig', image.mrownerconfig],
  ];
}

/** Tuples match whole: registers of two shapes or two images never combine. */
function measurementCheck(
  td: TdReport,
  { policy, image: index }: RuleQuestion,
): { readonly check: Check; readonly shape?: string } {
  const id = 'cpu.measurements';
  if (typeof index !== 'number') return { check: skipped(id, index.because) };
  const image = policy.document.images[index];
  if (image === undefined) return { check: skipped(id, 'workload.image') };
  const reported = reportedRegisters(td);
  let nearest: { readonly at: string; readonly want: string; readonly got: string } | undefined;
  let fewest = NEVER;
  for (const [tupleIndex, tuple] of (image.tdx ?? []).entries()) {
    const listed = listedRegisters(image, tuple);
    const differing = reported.flatMap(([name, got], i) => {
      const want = listed[i]?.[1];
      return want !== undefined && equalPublic(want, got) ? [] : [{ name, want, got }];
    });
    if (differing.length === 0) {
      const at = policy.at('images', index, 'tdx', tupleIndex);
      return { check: passedAt(id, at), shape: tuple.shape };
    }
    if (differing.length >= fewest) continue;
    fewest = differing.length;
    const wanted = differing.map(
      ({ name, want }) => `${name} ${want === undefined ? '?' : toHex(want)}`,
    );
    nearest = {
      at: policy.at('images', index, 'tdx', tupleIndex),
      want: `${image.name}/${tuple.shape}: ${wanted.join(', ')}`,
      got: differing.map(({ name, got }) => `${name} ${toHex(got)}`).join(', '),
    };
  }
  const nothing = {
    at: policy.at('images', index, 'tdx'),
    want: listText([]),
    got: `mrtd ${toHex(td.mrTd)}`,
  };
  return { check: demanded(id, false, nearest ?? nothing) };
}

interface StatusFinding {
  readonly check: Check;
  readonly validUntilMs: number;
  /** The exceptions that it needs. */
  readonly advisories: readonly string[];
}

/**
 * In the list, or excused: every advisory on the matched levels has an unexpired and unrevoked entry that admits this
 * status.
 */
function statusCheck(
  id: 'cpu.tcbStatus' | 'cpu.tcbStatus.current',
  status: string,
  { tcb }: TdxRuleFacts,
  { policy, rule: index, nowMs, revocations }: RuleQuestion,
): StatusFinding {
  const rule = policy.document.rules[index];
  const listed = rule?.cpu.tee === 'tdx' ? rule.cpu.tcb_status : [];
  const here = policy.at('rules', index, 'cpu', 'tcb_status');
  if (listed.some((word) => STATUS_WORDS[word] === status)) {
    return { check: passedAt(id, here), validUntilMs: NEVER, advisories: [] };
  }
  const onPlatform = [...new Set([...tcb.launch.advisoryIds, ...tcb.current.advisoryIds])];
  const entries = policy.document.advisories.filter(
    (entry) =>
      rule !== undefined &&
      entry.rules.includes(rule.id) &&
      STATUS_WORDS[entry.admits] === status &&
      nowMs < entry.expires &&
      revocations.find('advisory', entry.id) === undefined,
  );
  const open = onPlatform.filter((advisory) => !entries.some((entry) => entry.id === advisory));
  const used = entries.filter((entry) => onPlatform.includes(entry.id));
  if (used.length === 0 || open.length > 0) {
    const got = onPlatform.length === 0 ? status : `${status} with ${onPlatform.join(', ')}`;
    return {
      check: demanded(id, false, { at: here, want: listText(listed), got }),
      validUntilMs: NEVER,
      advisories: [],
    };
  }
  const notes = used.map((entry) => `${entry.id}: ${entry.reason} (${entry.owner})`);
  const [first] = used;
  const by = policy.at(
    'advisories',
    first === undefined ? 0 : policy.document.advisories.indexOf(first),
  );
  return {
    check: waived(id, `advisories [${by}]`, notes.join('; ')),
    validUntilMs: Math.min(...used.map((entry) => entry.expires)),
    advisories: used.map((entry) => entry.id),
  };
}

function evalNumberCheck(cpu: TdxCpuRule, tcb: TdxTcb, at: At): Check {
  const id = 'cpu.tcbEvalNumber';
  const rule = cpu.tcb_eval_number;
  const here = at('tcb_eval_number');
  if ('any' in rule) return waived(id, here, rule.note);
  return demanded(id, tcb.evaluationDataNumber >= rule.min, {
    at: here,
    want: () => `at least ${rule.min}`,
    got: () => String(tcb.evaluationDataNumber),
  });
}

/** Days as text compare like days. */
function tcbDateCheck(cpu: TdxCpuRule, tcb: TdxTcb, at: At): Check {
  const id = 'cpu.tcbDate';
  const rule = cpu.tcb_date;
  const here = at('tcb_date');
  if ('any' in rule) return waived(id, here, rule.note);
  const days = [tcb.launch.tcbDate, tcb.current.tcbDate].map((day) => day?.slice(0, 10));
  return demanded(
    id,
    days.every((day) => day !== undefined && day >= rule.min),
    {
      at: here,
      want: `${rule.min} or later`,
      got: () => [...new Set(days.map((day) => day ?? 'no date'))].join(', '),
    },
  );
}

/** The module at launch, and where the report has it the module running now. */
function moduleChecks(cpu: TdxCpuRule, td: TdReport, at: At): readonly Check[] {
  const { identities, min_isvsvn: floors } = cpu.tdx_module;
  const svns = td.v15 === undefined ? [td.teeTcbSvn] : [td.teeTcbSvn, td.v15.teeTcbSvn2];
  const modules = svns.map((svn) => ({
    name: `TDX_${(svn[1] ?? 0).toString(16).toUpperCase().padStart(2, '0')}`,
    isvsvn: svn[0] ?? 0,
  }));
  const foreign = modules.filter(({ name }) => !identities.includes(name));
  const identity = demanded('cpu.module.identity', foreign.length === 0, {
    at: at('tdx_module', 'identities'),
    want: () => listText(identities),
    got: () => foreign.map(({ name }) => name).join(', '),
  });
  if (foreign.length > 0) return [identity, skipped('cpu.module.isvsvn', identity.id)];
  const low = modules.filter(({ name, isvsvn }) => isvsvn < (floors[name] ?? NEVER));
  return [
    identity,
    demanded('cpu.module.isvsvn', low.length === 0, {
      at: at('tdx_module', 'min_isvsvn'),
      want: () => low.map(({ name }) => `${name} at least ${floors[name] ?? '?'}`).join(', '),
      got: () => low.map(({ name, isvsvn }) => `${name} ${isvsvn}`).join(', '),
    }),
  ];
}

function mrSeamCheck(cpu: TdxCpuRule, td: TdReport, at: At): Check {
  const id = 'cpu.mrseam';
  if ('any' in cpu.mrseam) return waived(id, at('mrseam'), cpu.mrseam.note);
  const { allow } = cpu.mrseam;
  return demanded(
    id,
    allow.some((value) => equalPublic(value, td.mrSeam)),
    {
      at: at('mrseam'),
      want: () => listText(allow.map(toHex)),
      got: () => toHex(td.mrSeam),
    },
  );
}

/** Bit numbers of TD ATTRIBUTES. Spec: Intel TDX Module ABI Reference, "TD Attributes". */
const FEATURE_BITS = [
  { id: 'cpu.attributes.perfmon', member: 'perfmon', bit: 63 },
  { id: 'cpu.attributes.protectionKeys', member: 'protection_keys', bit: 30 },
  { id: 'cpu.attributes.keyLocker', member: 'key_locker', bit: 31 },
  { id: 'cpu.attributes.lass', member: 'lass', bit: 27 },
] as const;

function attributeChecks(cpu: TdxCpuRule, td: TdReport, at: At): readonly Check[] {
  return FEATURE_BITS.map(({ id, member, bit }) => {
    const here = at('attributes', member);
    if (cpu.attributes[member] === 'any')
      return waived(id, here, 'any: a feature, not a matter of trust');
    const isSet = ((td.tdAttributes[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0;
    return demanded(id, !isSet, { at: here, want: `bit ${bit} clear`, got: 'set' });
  });
}

function xfamCheck(cpu: TdxCpuRule, td: TdReport, at: At): Check {
  const xfam = td.xfam.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  const { require, forbid } = cpu.xfam;
  return demanded('cpu.xfam', (xfam & require) === require && (xfam & forbid) === 0n, {
    at: at('xfam'),
    want: () => `all of ${maskText(require)}, none of ${maskText(forbid)}`,
    got: () => maskText(xfam),
  });
}

function maskText(mask: bigint): string {
  return `0x${mask.toString(16).padStart(16, '0')}`;
}

/**
 * A TD that was preserved or moved names the service TDs it had at first and has now; `forbid` refuses them like a
 * bound one. Body type 4 only. Spec: Intel TDX Module ABI Reference, "TDREPORT_STRUCT", TDINFO of TD preserving.
 */
function serviceTdCheck({ extended }: TdReport, at: At): Check {
  const named =
    extended === undefined
      ? []
      : ([
          ['initial hash', extended.initialServiceTdHash],
          ['initial attributes', extended.initialServiceTdAttributes],
          ['current hash', extended.currentServiceTdHash],
          ['current attributes', extended.currentServiceTdAttributes],
        ] as const);
  const bound = named.filter(([, value]) => !isZero(value));
  return demanded('cpu.serviceTd', bound.length === 0, {
    at: at('service_td'),
    want: 'no service TD',
    got: () => bound.map(([name, value]) => `${name} ${toHex(value)}`).join(', '),
  });
}

function fmspcCheck(cpu: TdxCpuRule, platform: TdxPlatform, at: At): Check {
  const id = 'cpu.fmspc';
  if ('any' in cpu.fmspc) return waived(id, at('fmspc'), cpu.fmspc.note);
  const allow = cpu.fmspc.allow.map(toHex);
  return demanded(id, allow.includes(platform.fmspc), {
    at: at('fmspc'),
    want: () => listText(allow),
    got: platform.fmspc,
  });
}

/** In the registry an entry counts until it expires, and no longer. */
function platformCheck(
  { platforms }: TdxCpuRule,
  { ppid }: TdxPlatform,
  { policy, nowMs }: RuleQuestion,
  at: At,
): { readonly check: Check; readonly validUntilMs: number } {
  const id = 'cpu.platforms';
  const here = at('platforms');
  const got = `ppid ${ppid}`;
  if ('any' in platforms) {
    return { check: waived(id, here, platforms.note), validUntilMs: NEVER };
  }
  if ('allow' in platforms) {
    const allow = platforms.allow.ppid.map(toHex);
    const want = (): string => `ppid ${listText(allow)}`;
    const isListed = allow.includes(ppid);
    return { check: demanded(id, isListed, { at: here, want, got }), validUntilMs: NEVER };
  }
  const { hosts } = policy.document;
  const index = hosts.findIndex(({ cpu }) => 'ppid' in cpu && toHex(cpu.ppid) === ppid);
  const host = hosts[index];
  if (host === undefined) {
    const want = `a machine of hosts (${hosts.length} there)`;
    return { check: demanded(id, false, { at: here, want, got }), validUntilMs: 0 };
  }
  const want = (): string => `the entry of ${host.host} before ${formatInstant(host.expires)}`;
  return {
    check: demanded(id, nowMs < host.expires, {
      at: policy.at('hosts', index),
      want,
      got: () => formatInstant(nowMs),
    }),
    validUntilMs: host.expires,
  };
}
