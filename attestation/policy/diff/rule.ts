/**
 * Two rules compared by what they admit. Every member of the schema has its line here; one that is forgotten would be
 * compared as a whole and count as wider.
 * @module
 */

import { compareFirmware } from '../../snp/policy-checks.ts';
import { SILICON_LINES } from '../../snp/products.ts';
import {
  bitChanges,
  byNumber,
  byText,
  changed,
  floorChanges,
  inside,
  listChanges,
  maskChanges,
  noteChanges,
  NOTHING,
  otherChanges,
  waivableChanges,
  type Changes,
  type Member,
} from './values.ts';
import type { PolicyRule, SnpCpuRule, TdxCpuRule } from '../schema.ts';

/** `id` is not compared. */
export function ruleChanges(rule: Member, was: PolicyRule, now: PolicyRule): Changes {
  return [
    ...listChanges(inside(rule, 'models'), was.models, now.models),
    ...listChanges(inside(rule, 'images'), was.images, now.images),
    ...cpuChanges(inside(rule, 'cpu'), was.cpu, now.cpu),
    ...gpuChanges(inside(rule, 'gpu'), was.gpu, now.gpu),
  ];
}

function cpuChanges(cpu: Member, was: PolicyRule['cpu'], now: PolicyRule['cpu']): Changes {
  if (was.tee === 'tdx' && now.tee === 'tdx') return tdxChanges(cpu, was, now);
  if (was.tee === 'snp' && now.tee === 'snp') return snpChanges(cpu, was, now);
  return [changed(inside(cpu, 'tee'), 'unsure', `from ${was.tee} to ${now.tee}`)];
}

/** One that demands a GPU admits nobody until GPU evidence is verified; then it will admit more than nobody. */
function gpuChanges(gpu: Member, was: PolicyRule['gpu'], now: PolicyRule['gpu']): Changes {
  if (was === 'none') {
    return now === 'none' ? NOTHING : [changed(gpu, 'narrows', 'demanded now: admits nobody yet')];
  }
  if (now === 'none') return [changed(gpu, 'widens', 'no longer demanded')];
  return otherChanges(gpu, was, now);
}

function tdxChanges(cpu: Member, was: TdxCpuRule, now: TdxCpuRule): Changes {
  return [
    ...listChanges(inside(cpu, 'tcb_status'), was.tcb_status, now.tcb_status),
    ...waivableChanges(
      inside(cpu, 'tcb_eval_number'),
      [was.tcb_eval_number, now.tcb_eval_number],
      (a, b) => floorChanges(inside(cpu, 'tcb_eval_number', 'min'), [a.min, b.min], byNumber),
    ),
    ...waivableChanges(inside(cpu, 'tcb_date'), [was.tcb_date, now.tcb_date], (a, b) =>
      floorChanges(inside(cpu, 'tcb_date', 'min'), [a.min, b.min], byText),
    ),
    ...moduleChanges(inside(cpu, 'tdx_module'), was.tdx_module, now.tdx_module),
    ...waivableChanges(inside(cpu, 'mrseam'), [was.mrseam, now.mrseam], (a, b) =>
      listChanges(inside(cpu, 'mrseam', 'allow'), a.allow, b.allow),
    ),
    ...attributeChanges(inside(cpu, 'attributes'), was.attributes, now.attributes),
    ...maskChanges(inside(cpu, 'xfam', 'require'), was.xfam.require, now.xfam.require),
    ...maskChanges(inside(cpu, 'xfam', 'forbid'), was.xfam.forbid, now.xfam.forbid),
    ...waivableChanges(inside(cpu, 'fmspc'), [was.fmspc, now.fmspc], (a, b) =>
      listChanges(inside(cpu, 'fmspc', 'allow'), a.allow, b.allow),
    ),
    ...waivableChanges(inside(cpu, 'platforms'), [was.platforms, now.platforms], (a, b) =>
      'allow' in a && 'allow' in b
        ? listChanges(inside(cpu, 'platforms', 'allow', 'ppid'), a.allow.ppid, b.allow.ppid)
        : otherChanges(inside(cpu, 'platforms'), a, b),
    ),
  ];
}

type TdxModule = TdxCpuRule['tdx_module'];

/** Each identity has its floor: the schema sees to it. */
function moduleChanges(member: Member, was: TdxModule, now: TdxModule): Changes {
  const floors = was.identities.flatMap((id) => {
    const [before, after] = [was.min_isvsvn[id], now.min_isvsvn[id]];
    if (before === undefined || after === undefined) return NOTHING;
    return floorChanges(inside(member, 'min_isvsvn', id), [before, after], byNumber);
  });
  return [...listChanges(inside(member, 'identities'), was.identities, now.identities), ...floors];
}

type TdxAttributes = TdxCpuRule['attributes'];

function attributeChanges(member: Member, was: TdxAttributes, now: TdxAttributes): Changes {
  const names = ['perfmon', 'protection_keys', 'key_locker', 'lass'] as const;
  return names.flatMap((name) => bitChanges(inside(member, name), was[name], now[name]));
}

function snpChanges(cpu: Member, was: SnpCpuRule, now: SnpCpuRule): Changes {
  return [
    ...listChanges(inside(cpu, 'products'), was.products, now.products),
    ...listChanges(inside(cpu, 'signer', 'allow'), was.signer.allow, now.signer.allow),
    ...listChanges(inside(cpu, 'signer', 'csp_ids'), was.signer.csp_ids, now.signer.csp_ids),
    ...floorChanges(
      inside(cpu, 'report_version', 'min'),
      [was.report_version.min, now.report_version.min],
      byNumber,
    ),
    ...listChanges(inside(cpu, 'vmpl'), was.vmpl, now.vmpl),
    ...waivableChanges(inside(cpu, 'guest_svn'), [was.guest_svn, now.guest_svn], (a, b) =>
      floorChanges(inside(cpu, 'guest_svn', 'min'), [a.min, b.min], byNumber),
    ),
    ...waivableChanges(inside(cpu, 'abi'), [was.abi, now.abi], (a, b) =>
      floorChanges(
        inside(cpu, 'abi', 'min'),
        [a.min, b.min],
        (x, y) => x.major - y.major || x.minor - y.minor,
      ),
    ),
    ...bitsChanges(inside(cpu, 'guest_policy'), was.guest_policy, now.guest_policy),
    ...bitsChanges(inside(cpu, 'platform_info'), was.platform_info, now.platform_info),
    ...tcbChanges(inside(cpu, 'tcb'), was.tcb, now.tcb),
    ...waivableChanges(inside(cpu, 'firmware'), [was.firmware, now.firmware], (a, b) =>
      floorChanges(inside(cpu, 'firmware', 'min'), [a.min, b.min], compareFirmware),
    ),
    ...bitChanges(
      inside(cpu, 'provisional_firmware'),
      was.provisional_firmware,
      now.provisional_firmware,
    ),
    ...waivableChanges(inside(cpu, 'mitigations'), [was.mitigations, now.mitigations], (a, b) =>
      mitigationChanges(inside(cpu, 'mitigations', 'lines'), a.lines, b.lines),
    ),
    ...waivableChanges(inside(cpu, 'author_keys'), [was.author_keys, now.author_keys], (a, b) =>
      listChanges(inside(cpu, 'author_keys', 'allow'), a.allow, b.allow),
    ),
    ...waivableChanges(inside(cpu, 'platforms'), [was.platforms, now.platforms], (a, b) =>
      'allow' in a && 'allow' in b
        ? listChanges(
            inside(cpu, 'platforms', 'allow', 'chip_id'),
            a.allow.chip_id,
            b.allow.chip_id,
          )
        : otherChanges(inside(cpu, 'platforms'), a, b),
    ),
  ];
}

/** Sections of which each member is a word about one bit. */
function bitsChanges(
  member: Member,
  was: Readonly<Record<string, string>>,
  now: Readonly<Record<string, string>>,
): Changes {
  return Object.keys(was).flatMap((name) =>
    bitChanges(inside(member, name), was[name] ?? '', now[name] ?? ''),
  );
}

const COMPONENTS = ['fmc', 'bootloader', 'tee', 'snp', 'microcode'] as const;

/** A silicon line without floors is refused. */
function tcbChanges(member: Member, was: SnpCpuRule['tcb'], now: SnpCpuRule['tcb']): Changes {
  const [before, after] = [was, now].map((tcb) =>
    SILICON_LINES.filter((line) => tcb[line] !== undefined),
  );
  const floors = SILICON_LINES.flatMap((line) => {
    const [a, b] = [was[line], now[line]];
    if (a === undefined || b === undefined) return NOTHING;
    return [
      ...COMPONENTS.flatMap((name) =>
        floorChanges(inside(member, line, name), [a[name] ?? 0, b[name] ?? 0], byNumber),
      ),
      ...noteChanges(inside(member, line, 'source'), a.source, b.source),
    ];
  });
  return [...listChanges(member, before ?? [], after ?? []), ...floors];
}

type Lines = Extract<SnpCpuRule['mitigations'], { readonly lines: unknown }>['lines'];

/** A silicon line without masks needs every bit, which no machine has. */
function mitigationChanges(member: Member, was: Lines, now: Lines): Changes {
  const [before, after] = [was, now].map((lines) =>
    SILICON_LINES.filter((line) => lines[line] !== undefined),
  );
  const masks = SILICON_LINES.flatMap((line) => {
    const [a, b] = [was[line], now[line]];
    if (a === undefined || b === undefined) return NOTHING;
    return [
      ...maskChanges(inside(member, line, 'launch'), a.launch, b.launch),
      ...maskChanges(inside(member, line, 'current'), a.current, b.current),
    ];
  });
  return [...listChanges(member, before ?? [], after ?? []), ...masks];
}
