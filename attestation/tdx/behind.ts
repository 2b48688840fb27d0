/**
 * What keeps a TDX machine from being current, and who updates it how: per part the shortfall against Intel's best level,
 * the advisories of the level that it reaches, and the update in words.
 * Spec: Intel SGX and TDX PCS API v4, "Get TCB Info"; tdx.md §4 "Also report", §6.8.
 * @module
 */

import { datedAdvice } from '../dated-advice.ts';
import type { ComponentName, ComponentNames } from './component-names.ts';
import type { CollateralUsed } from './result.ts';
import type { Shortfall, TcbEvaluation, TcbPart, TdxTcb } from './tcb.ts';

export interface BehindComponent extends Shortfall {
  /** In Intel's words where the document has them: `BIOS, Early Microcode Update`. */
  readonly name: string;
}

export interface BehindPart {
  readonly part: 'platform' | 'TDX module' | 'quoting enclave';
  /** With the module at the TD's launch, with the one that runs now, or the same with both. */
  readonly judged: 'both' | 'launch' | 'current';
  readonly status: TcbPart['status'];
  /** Day of the level that it reaches. */
  readonly tcbDate?: string;
  /** Of the level that it reaches: what the machine is exposed to. */
  readonly advisoryIds: readonly string[];
  readonly components: readonly BehindComponent[];
  readonly remedies: readonly string[];
}

/** Empty when every part is up to date. */
export function behindParts(tcb: TdxTcb, names: ComponentNames): readonly BehindPart[] {
  const launch = partsOf(tcb.launch, names);
  const current = partsOf(tcb.current, names);
  const isSame = (a: BehindPart, b: BehindPart): boolean => textOf(a) === textOf(b);
  const both = launch.filter((part) => current.some((other) => isSame(part, other)));
  const only = (parts: readonly BehindPart[], judged: BehindPart['judged']) =>
    parts.filter((part) => !both.includes(part)).map((part) => ({ ...part, judged }));
  const later = current.filter((part) => !both.some((other) => isSame(part, other)));
  return [...both, ...only(launch, 'launch'), ...only(later, 'current')];
}

function textOf(part: BehindPart): string {
  return JSON.stringify(part);
}

/** Advice that rests on the status as a whole. */
export function relaunchAdvice({ status, launch, current }: TdxTcb): string | undefined {
  const isAdvised =
    status === 'TDRelaunchAdvised' || status === 'TDRelaunchAdvisedConfigurationNeeded';
  if (!isAdvised) return undefined;
  return `Relaunch the guest: it was launched under a TDX module that is ${launch.status}; the one that runs now is ${current.status}.`;
}

function partsOf(
  { platform, module, qe }: TcbEvaluation,
  names: ComponentNames,
): readonly BehindPart[] {
  const parts = [
    ['platform', platform],
    ['TDX module', module],
    ['quoting enclave', qe],
  ] as const;
  return parts.flatMap(([name, part]) => {
    if (part === undefined || (part.status === 'UpToDate' && part.shortfall.length === 0)) {
      return [];
    }
    const { status, tcbDate, advisoryIds, shortfall } = part;
    return [
      {
        part: name,
        judged: 'both',
        status,
        ...(tcbDate === undefined ? {} : { tcbDate }),
        advisoryIds,
        components: shortfall.map((short) => ({
          ...short,
          name: nameText(name, short.component, names),
        })),
        remedies: remediesOf(name, part, names),
      },
    ];
  });
}

function nameText(part: BehindPart['part'], component: string, names: ComponentNames): string {
  if (component === 'isvsvn') return `security version of the ${part}`;
  if (component === 'pcesvn') return 'provisioning enclave (PCE)';
  const known = names.get(component);
  if (known === undefined) return 'component that Intel does not name';
  return known.type === undefined ? known.category : `${known.category}, ${known.type}`;
}

function remediesOf(
  part: BehindPart['part'],
  { status, shortfall }: TcbPart,
  names: ComponentNames,
): readonly string[] {
  if (part === 'TDX module') {
    return ['Boot the host with a newer TDX module, then relaunch the guest.'];
  }
  if (part === 'quoting enclave') {
    return ['Update the quoting service of the host (Intel’s tdx-qgs and the enclave it loads).'];
  }
  const updates = new Set(
    shortfall.map(({ component }) => updateOf(component, names.get(component))),
  );
  return [
    ...updates,
    ...(updates.size === 0 ? [] : [NEW_CERTIFICATE]),
    ...STATUS_ADVICE.filter(({ word }) => status.includes(word)).map(({ advice }) => advice),
    ...(status === 'Revoked' ? ['Intel revoked this level: nothing but the update helps.'] : []),
  ];
}

const NEW_CERTIFICATE =
  'Restart, let the host register the new TCB and fetch its PCK certificate for it, and take a new quote: an old certificate still states the old TCB.';

const STATUS_ADVICE = [
  {
    word: 'ConfigurationNeeded',
    advice:
      'A setting of the BIOS leaves a weakness open (often hyper-threading): see the advisories.',
  },
  {
    word: 'SWHardening',
    advice: 'Software inside the guest has to be hardened: see the advisories.',
  },
] as const;

/** From whom the component comes, in Intel's words, follows what to update. */
function updateOf(component: string, name: ComponentName | undefined): string {
  if (component === 'pcesvn') {
    return 'Update Intel’s SGX platform software (the provisioning enclave) on the host.';
  }
  const type = name?.type ?? '';
  if (type.includes('Late Microcode')) {
    return 'Load newer microcode in the host’s operating system, or take the BIOS that carries it.';
  }
  if (type.includes('SEAMLDR')) return 'Update the SEAM loader (SEAMLDR) of the host.';
  if (type.includes('TDX Module')) return 'Boot the host with a newer TDX module.';
  if (type.includes('SINIT')) return 'Update the SINIT module (TXT) of the host.';
  if (type.includes('Microcode')) return 'Install a BIOS with newer microcode.';
  if (name?.category === 'BIOS') return 'Install a newer BIOS.';
  return 'Install the newest BIOS and host packages of the machine’s maker.';
}

const DOCUMENTS: Readonly<Record<CollateralUsed['kind'], string>> = {
  tcbInfo: 'TCB info',
  qeIdentity: 'QE identity',
  pckCrl: 'revocation list of the PCK CA',
  rootCrl: 'revocation list of Intel’s root',
};

/** For `*.freshness` of the documents that were read. */
export function freshnessAdvice(
  used: readonly CollateralUsed[],
  nowMs: number,
): ReadonlyMap<string, string> {
  const advice = new Map<string, string>();
  for (const { kind, issuedMs, nextUpdateMs } of used) {
    const period = { fromMs: issuedMs, untilMs: nextUpdateMs };
    const text = datedAdvice(DOCUMENTS[kind], period, nowMs);
    if (text !== undefined) advice.set(`${kind}.freshness`, text);
  }
  return advice;
}
