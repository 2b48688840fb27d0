/**
 * What a rule would have to want so that a genuine TDX machine passes each check that it failed. Suggestions only:
 * remedy.ts tries them. Spec: gpu-and-policy §5.2, §5.5 ("smallest change that would admit").
 * @module
 */

import { equalPublic, isZero, toHex, type Bytes } from '../../../core/bytes.ts';
import { formatInstant } from '../../../core/clock.ts';
import type { Json, JsonObject } from '../../../core/json.ts';
import type { RuleQuestion } from '../../tee.ts';
import {
  edit,
  EXCEPTION_DAYS,
  hopeless,
  instantIn,
  mendedBy,
  TO_FILL_IN,
  type Mend,
} from './edit.ts';
import { hostMend } from './host-mend.ts';
import { STATUS_WORDS, type PolicyImage, type TdxCpuRule } from '../schema.ts';
import type { TdxRuleFacts } from '../tdx-rule.ts';

interface Context {
  readonly facts: TdxRuleFacts;
  readonly question: RuleQuestion;
  readonly cpu: TdxCpuRule;
  /** Where a member of this rule's `cpu` stands. */
  readonly path: (...names: readonly string[]) => readonly (string | number)[];
}

type Mender = (context: Context, check: string) => Mend;

const MENDERS: Readonly<Record<string, Mender>> = {
  'cpu.measurements': mendMeasurements,
  'cpu.tcbStatus': (context, check) => mendStatus(context, check, context.facts.tcb.status),
  'cpu.tcbStatus.current': (context, check) =>
    mendStatus(context, check, context.facts.tcb.current.status),
  'cpu.tcbEvalNumber': ({ facts, path }, check) =>
    mendedBy(
      check,
      edit(
        'set',
        path('tcb_eval_number', 'min'),
        facts.tcb.evaluationDataNumber,
        'collateral that does not know the latest weaknesses would count for every worker',
      ),
    ),
  'cpu.tcbDate': mendTcbDate,
  'cpu.module.identity': mendModule,
  'cpu.module.isvsvn': mendModuleFloor,
  'cpu.mrseam': ({ facts, path }, check) =>
    mendedBy(check, edit('add', path('mrseam', 'allow'), toHex(facts.td.mrSeam))),
  'cpu.attributes.perfmon': (context, check) =>
    mendAttribute(context, check, 'perfmon', 'performance counters are usable as a side channel'),
  'cpu.attributes.protectionKeys': (context, check) =>
    mendAttribute(context, check, 'protection_keys'),
  'cpu.attributes.keyLocker': (context, check) => mendAttribute(context, check, 'key_locker'),
  'cpu.attributes.lass': (context, check) => mendAttribute(context, check, 'lass'),
  'cpu.xfam': mendXfam,
  'cpu.serviceTd': (_, check) =>
    hopeless(check, 'a service TD could move this machine’s state; no policy can allow it'),
  'cpu.fmspc': ({ facts, path }, check) =>
    mendedBy(check, edit('add', path('fmspc', 'allow'), facts.platform.fmspc)),
  'cpu.platforms': ({ facts, question }, check) =>
    hostMend(check, question, { ppid: facts.platform.ppid }),
};

export function tdxMend(facts: TdxRuleFacts, question: RuleQuestion, check: string): Mend {
  const cpu = question.policy.document.rules[question.rule]?.cpu;
  const mender = MENDERS[check];
  if (cpu?.tee !== 'tdx' || mender === undefined) return hopeless(check, 'no policy decides it');
  const path: Context['path'] = (...names) => ['rules', question.rule, 'cpu', ...names];
  return mender({ facts, question, cpu, path }, check);
}

/** As policies write 48 bytes. */
export function registerText(register: Bytes<48>): string {
  return isZero(register) ? 'zero' : toHex(register);
}

/** The tuple that a quote would match. */
export function tdxTuple({ td }: Pick<TdxRuleFacts, 'td'>, shape: string): JsonObject {
  return {
    shape,
    mrtd: registerText(td.mrTd),
    rtmr0: registerText(td.rtmr[0]),
    rtmr1: registerText(td.rtmr[1]),
    rtmr2: registerText(td.rtmr[2]),
    rtmr3: registerText(td.rtmr[3]),
  };
}

/** The registers that an image has once for all its tuples. */
export function tdxImageRegisters({ td }: Pick<TdxRuleFacts, 'td'>) {
  return {
    mrconfigid: registerText(td.mrConfigId),
    mrowner: registerText(td.mrOwner),
    mrownerconfig: registerText(td.mrOwnerConfig),
  };
}

/** A label that the image does not have yet. */
export function newShape(shapes: readonly string[]): string {
  const taken = new Set(shapes);
  for (let count = 1; ; count++) {
    const name = count === 1 ? 'new-shape' : `new-shape-${count}`;
    if (!taken.has(name)) return name;
  }
}

const SHARED_REGISTERS = [
  ['mrconfigid', 'mrConfigId'],
  ['mrowner', 'mrOwner'],
  ['mrownerconfig', 'mrOwnerConfig'],
] as const;

function mendMeasurements({ facts, question }: Context, check: string): Mend {
  const { policy, image: index } = question;
  const image = typeof index === 'number' ? policy.document.images[index] : undefined;
  if (typeof index !== 'number' || image === undefined) return hopeless(check, 'no image is known');
  const { td } = facts;
  const tuples = image.tdx ?? [];
  const isListed = tuples.some(
    (tuple) =>
      equalPublic(tuple.mrtd, td.mrTd) &&
      [tuple.rtmr0, tuple.rtmr1, tuple.rtmr2, tuple.rtmr3].every((want, at) => {
        const got = td.rtmr[at];
        return got !== undefined && equalPublic(want, got);
      }),
  );
  const shared = SHARED_REGISTERS.filter(([name, member]) => {
    const want = image[name];
    return want === undefined || !equalPublic(want, td[member]);
  }).map(([name, member]) =>
    edit('set', ['images', index, name], registerText(td[member]), sharedWarning(image, name)),
  );
  const shape = newShape(tuples.map((tuple) => tuple.shape));
  const tuple = isListed ? [] : [edit('add', ['images', index, 'tdx'], tdxTuple(facts, shape))];
  return mendedBy(check, ...tuple, ...shared);
}

/** One register for all tuples: whoever changes it changes them all. */
function sharedWarning(image: PolicyImage, name: (typeof SHARED_REGISTERS)[number][0]) {
  if (image[name] === undefined) return undefined;
  return `${name} counts for every tuple of ${image.name}: machines that have the value so far would be denied`;
}

/** An exception for each advisory of the machine; one that is there and has ended or names other rules is completed. */
function mendStatus({ facts, question, path, cpu }: Context, check: string, status: string): Mend {
  const { policy, rule: index, nowMs, revocations } = question;
  const entry = Object.entries(STATUS_WORDS).find(([, known]) => known === status);
  if (entry === undefined) {
    return hopeless(check, `${status}: no policy has a word for that; take the machine out`);
  }
  const [word] = entry;
  if (word === 'up-to-date') {
    return mendedBy(check, edit('add', path('tcb_status'), word));
  }
  const onPlatform = [
    ...new Set([...facts.tcb.launch.advisoryIds, ...facts.tcb.current.advisoryIds]),
  ];
  if (onPlatform.length === 0) {
    return hopeless(check, `${status} without any advisory cannot be excused: update the machine`);
  }
  const revoked = onPlatform.find((id) => revocations.find('advisory', id) !== undefined);
  if (revoked !== undefined) return hopeless(check, `the exception for ${revoked} was revoked`);
  const rule = policy.document.rules[index]?.id ?? '';
  const expires = instantIn(EXCEPTION_DAYS, nowMs);
  const edits = onPlatform.flatMap((id) => {
    const warning = `a machine with ${id} open would read prompts until ${expires}`;
    const { advisories } = policy.document;
    const at = advisories.findIndex((each) => each.id === id && each.admits === word);
    const known = advisories[at];
    if (known === undefined) {
      const { reason, owner } = TO_FILL_IN;
      const value = { id, rules: [rule], admits: word, reason, owner, expires };
      return [edit('add', ['advisories'], value, warning)];
    }
    return [
      ...(known.rules.includes(rule)
        ? []
        : [edit('add', ['advisories', at, 'rules'], rule, warning)]),
      ...(nowMs < known.expires
        ? []
        : [edit('set', ['advisories', at, 'expires'], expires, warning)]),
    ];
  });
  if (edits.length > 0) return mendedBy(check, ...edits);
  return hopeless(check, `${status} is excused and refused all the same (${cpu.tee})`);
}

function mendTcbDate({ facts, path }: Context, check: string): Mend {
  const days = [facts.tcb.launch.tcbDate, facts.tcb.current.tcbDate].map((day) =>
    day?.slice(0, 10),
  );
  const [first = '', second = ''] = days;
  if (days.some((day) => day === undefined)) {
    return hopeless(check, 'no level of the vendor’s matches this machine, so it has no date');
  }
  return mendedBy(
    check,
    edit(
      'set',
      path('tcb_date', 'min'),
      first < second ? first : second,
      'every machine back to this day would count, with what was found in it since',
    ),
  );
}

/** The module at launch, and where the report has it the module running now. */
function modulesOf({ facts: { td } }: Context) {
  const svns = td.v15 === undefined ? [td.teeTcbSvn] : [td.teeTcbSvn, td.v15.teeTcbSvn2];
  return svns.map((svn) => ({
    name: `TDX_${(svn[1] ?? 0).toString(16).toUpperCase().padStart(2, '0')}`,
    isvsvn: svn[0] ?? 0,
  }));
}

function mendModule(context: Context, check: string): Mend {
  const { identities, min_isvsvn: floors } = context.cpu.tdx_module;
  const foreign = modulesOf(context).filter(({ name }) => !identities.includes(name));
  const names = [...new Set(foreign.map(({ name }) => name))];
  const value: JsonObject = {
    identities: [...identities, ...names],
    min_isvsvn: {
      ...floors,
      ...Object.fromEntries(
        names.map((name): readonly [string, Json] => [
          name,
          Math.min(...foreign.filter((each) => each.name === name).map(({ isvsvn }) => isvsvn)),
        ]),
      ),
    },
    mrsigner: 'intel',
  };
  return mendedBy(check, edit('set', context.path('tdx_module'), value));
}

function mendModuleFloor(context: Context, check: string): Mend {
  const floors = context.cpu.tdx_module.min_isvsvn;
  const low = modulesOf(context).filter(({ name, isvsvn }) => isvsvn < (floors[name] ?? 0));
  const names = [...new Set(low.map(({ name }) => name))];
  return mendedBy(
    check,
    ...names.map((name) =>
      edit(
        'set',
        context.path('tdx_module', 'min_isvsvn', name),
        Math.min(...low.filter((each) => each.name === name).map(({ isvsvn }) => isvsvn)),
        'every machine with this older TDX module would count',
      ),
    ),
  );
}

function mendAttribute(
  { path }: Context,
  check: string,
  member: keyof TdxCpuRule['attributes'],
  weakens?: string,
): Mend {
  return mendedBy(check, edit('set', path('attributes', member), 'any', weakens));
}

function mendXfam({ facts, cpu, path }: Context, check: string): Mend {
  const xfam = facts.td.xfam.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  const value = {
    require: maskText(cpu.xfam.require & xfam),
    forbid: maskText(cpu.xfam.forbid & ~xfam),
  };
  return mendedBy(
    check,
    edit('set', path('xfam'), value, 'CPU features that were refused on purpose would be allowed'),
  );
}

export function maskText(mask: bigint): string {
  return `0x${mask.toString(16).padStart(16, '0')}`;
}

/** Day of the calendar. */
export function dayOf(nowMs: number): string {
  return formatInstant(nowMs).slice(0, 10);
}
