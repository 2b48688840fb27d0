/**
 * AMD's bulletins about SEV-SNP, and what a report must show so that its reader knows the fix is there. For people: a
 * policy's floors decide, never this table.
 *
 * The numbers are AMD's as other verifiers quote them; the bulletins themselves decide. Microcode versions are the last
 * byte of the patch level and count per silicon line, firmware versions (`snp`) per product. Where no number is known
 * the entry says so instead of guessing. Mitigation bits are left out: AMD has not published them for every product.
 * Spec: AMD product security bulletins AMD-SB-3005 to AMD-SB-3034, AMD-SB-7033; sev-snp.md §4.
 * @module
 */

import {
  GUEST_POLICY_BITS,
  hasBit,
  PLATFORM_INFO_BITS,
  type GuestPolicyBit,
  type PlatformInfoBit,
} from './bits.ts';
import type { SiliconLine } from './products.ts';
import type { SnpFacts } from './result.ts';
import type { SnpTcb } from './tcb.ts';

export const ADVISORIES_CAVEAT =
  'Numbers as other verifiers quote AMD’s bulletins; the bulletins decide. What a report shows is necessary, not always enough.';

type Demand =
  | {
      readonly kind: 'tcb';
      readonly component: 'snp' | 'microcode';
      readonly floors: Readonly<Partial<Record<SiliconLine, number>>>;
    }
  | { readonly kind: 'guest'; readonly bit: GuestPolicyBit; readonly want: 'set' | 'clear' }
  | { readonly kind: 'platform'; readonly bit: PlatformInfoBit; readonly want: 'set' | 'clear' }
  | { readonly kind: 'not-milan' };

export interface SnpAdvisory {
  /** AMD's number, or where it was published. */
  readonly id: string;
  readonly name: string;
  readonly cves: readonly string[];
  readonly about: string;
  /** Absent: every line. */
  readonly lines?: readonly SiliconLine[];
  /** All of them. Empty: a report shows nothing of it. */
  readonly demands: readonly Demand[];
  readonly note?: string;
}

const MILAN: readonly SiliconLine[] = ['milan', 'milan-x'];
const LATER: readonly SiliconLine[] = ['genoa', 'genoa-x', 'bergamo-siena', 'turin', 'turin-dense'];

export const SNP_ADVISORIES: readonly SnpAdvisory[] = [
  {
    id: 'arXiv 2605.12990',
    name: 'Milan root seed extraction',
    cves: [],
    about:
      'Software alone gets the secrets from which Milan derives its keys: forged reports verify.',
    lines: MILAN,
    demands: [{ kind: 'not-milan' }],
    note: 'No TCB floor helps: a forger derives the key of any TCB. Do not admit Milan.',
  },
  {
    id: 'AMD-SB-3030',
    name: 'BreakFAST',
    cves: ['CVE-2025-61971', 'CVE-2025-61972'],
    about: 'Rerouted accesses leak the chip key and can switch debugging on.',
    demands: [{ kind: 'tcb', component: 'snp', floors: { milan: 29, 'milan-x': 29 } }],
  },
  {
    id: 'AMD-SB-3023',
    name: 'AMD-SB-3023',
    cves: ['CVE-2025-48514'],
    about: 'A weakness of the SNP firmware.',
    demands: [{ kind: 'tcb', component: 'snp', floors: { milan: 27, 'milan-x': 27 } }],
  },
  {
    id: 'AMD-SB-3019, AMD-SB-7033',
    name: 'EntrySign',
    cves: ['CVE-2024-56161', 'CVE-2024-36347'],
    about: 'Microcode that AMD did not sign can be loaded: it can do anything to a guest.',
    demands: [
      {
        kind: 'tcb',
        component: 'microcode',
        floors: { milan: 219, 'milan-x': 68, genoa: 84, 'genoa-x': 79, 'bergamo-siena': 25 },
      },
    ],
  },
  {
    id: 'AMD-SB-3020',
    name: 'RMPocalypse',
    cves: ['CVE-2025-0033'],
    about: 'The host can corrupt the table that keeps it out of guest memory.',
    demands: [{ kind: 'tcb', component: 'snp', floors: {} }],
  },
  {
    id: 'AMD-SB-3015',
    name: 'BadRAM',
    cves: ['CVE-2024-21944'],
    about: 'A memory module that lies about its size lets the host overwrite guest memory.',
    demands: [{ kind: 'platform', bit: 'aliasCheckComplete', want: 'set' }],
    note: 'Needs firmware 1.55.22 on Milan, 1.55.38 on Genoa.',
  },
  {
    id: 'AMD-SB-3016',
    name: 'IOMMU write buffer',
    cves: ['CVE-2023-20585'],
    about: 'Late writes of devices can hit guest memory.',
    demands: [{ kind: 'platform', bit: 'iommuWriteSafe', want: 'set' }],
    note: 'Only some silicon reports this bit, and the host’s operating system needs its own fix.',
  },
  {
    id: 'AMD-SB-3021',
    name: 'Heracles, CipherLeaks',
    cves: [],
    about: 'By moving pages and watching encrypted memory the host learns what the guest does.',
    demands: [
      { kind: 'guest', bit: 'pageSwapDisable', want: 'set' },
      { kind: 'guest', bit: 'ciphertextHidingDram', want: 'set' },
      { kind: 'platform', bit: 'ciphertextHidingDramEn', want: 'set' },
    ],
    note: 'Genoa and Turin with firmware ABI 1.58; Milan has no such protection.',
  },
  {
    id: 'AMD-SB-3027',
    name: 'StackWarp',
    cves: ['CVE-2025-29943'],
    about: 'A neighbour thread on the same core can shift the guest’s stack.',
    demands: [
      { kind: 'guest', bit: 'smt', want: 'clear' },
      { kind: 'platform', bit: 'smtEn', want: 'clear' },
    ],
    note: 'Microcode repairs it too; the number stands in the bulletin.',
  },
  {
    id: 'AMD-SB-3005',
    name: 'CacheWarp',
    cves: ['CVE-2023-20592'],
    about: 'The host can undo writes of the guest.',
    lines: MILAN,
    demands: [{ kind: 'tcb', component: 'microcode', floors: {} }],
  },
  {
    id: 'PwrLeak',
    name: 'power measurement',
    cves: [],
    about: 'The host learns about data from the power it takes.',
    lines: LATER,
    demands: [
      { kind: 'guest', bit: 'raplDis', want: 'set' },
      { kind: 'platform', bit: 'raplDis', want: 'set' },
    ],
  },
  {
    id: 'CounterSEVeillance',
    name: 'performance counters',
    cves: [],
    about: 'The host learns about control flow from performance counters.',
    lines: ['milan', 'milan-x', 'genoa', 'genoa-x', 'bergamo-siena'],
    demands: [
      { kind: 'guest', bit: 'smt', want: 'clear' },
      { kind: 'platform', bit: 'smtEn', want: 'clear' },
    ],
  },
  {
    id: 'AMD-SB-3034',
    name: 'Fabricked',
    cves: ['CVE-2025-54510'],
    about: 'Misconfigured data fabric.',
    demands: [],
    note: 'Shown by a mitigation bit whose place depends on the product: ask for it in the policy.',
  },
  {
    id: 'AMD-SB-3033',
    name: 'AMD-SB-3033',
    cves: [],
    about: 'Repaired on Milan without a change of TCB.',
    lines: MILAN,
    demands: [],
  },
  {
    id: 'CVE-2024-25743, CVE-2024-25744',
    name: 'Heckler, WeSee, BadAML',
    cves: ['CVE-2024-25743', 'CVE-2024-25744'],
    about: 'Interrupts or ACPI tables from the host mislead the guest’s kernel.',
    demands: [],
    note: 'Shown by the measurement of a guest that is patched against them.',
  },
  {
    id: 'Battering RAM, DDRop, SEV-Step, Cohere+Reload, SNPeek',
    name: 'physical and side-channel attacks',
    cves: [],
    about: 'Interposers on the memory bus; watching a guest step by step.',
    demands: [],
    note: 'A matter of who hosts the machine: list chips (VCEK), choose the host.',
  },
];

export interface AdvisoryGap {
  /** `microcode of LAUNCH_TCB`. */
  readonly what: string;
  readonly have: string;
  readonly need: string;
}

/**
 * `shown`: the report shows what is demanded. `lacking`: it does not. `unnumbered`: a version is demanded, and none is
 * known for this line. `unseen`: no report shows it.
 */
export interface AdvisoryFinding {
  readonly advisory: SnpAdvisory;
  readonly outcome: 'shown' | 'lacking' | 'unnumbered' | 'unseen';
  readonly gaps: readonly AdvisoryGap[];
}

/** What the report shows about each bulletin that concerns its silicon line; empty when the line is unknown. */
export function judgeAdvisories(facts: SnpFacts): readonly AdvisoryFinding[] {
  const { siliconLine: line } = facts;
  if (line === undefined) return [];
  return SNP_ADVISORIES.filter(({ lines }) => lines === undefined || lines.includes(line)).map(
    (advisory) => judgeAdvisory(advisory, facts, line),
  );
}

function judgeAdvisory(advisory: SnpAdvisory, facts: SnpFacts, line: SiliconLine): AdvisoryFinding {
  const { demands } = advisory;
  if (demands.length === 0) return { advisory, outcome: 'unseen', gaps: [] };
  const gaps = demands.flatMap((demand) => gapsOf(demand, facts, line));
  if (gaps.length > 0) return { advisory, outcome: 'lacking', gaps };
  const isNumbered = demands.every(
    (demand) => demand.kind !== 'tcb' || demand.floors[line] !== undefined,
  );
  return { advisory, outcome: isNumbered ? 'shown' : 'unnumbered', gaps: [] };
}

function gapsOf(demand: Demand, facts: SnpFacts, line: SiliconLine): readonly AdvisoryGap[] {
  const { report } = facts;
  if (demand.kind === 'not-milan') return [{ what: 'product', have: 'Milan', need: 'another' }];
  if (demand.kind === 'tcb') return tcbGaps(demand.component, demand.floors[line], facts.tcb);
  const isSet =
    demand.kind === 'guest'
      ? hasBit(report.guestPolicy, GUEST_POLICY_BITS[demand.bit])
      : hasBit(report.platformInfo, PLATFORM_INFO_BITS[demand.bit]);
  const name = demand.kind === 'guest' ? 'guest policy' : 'platform';
  return bitGap(`${name} ${demand.bit}`, isSet, demand.want);
}

function bitGap(what: string, isSet: boolean, want: 'set' | 'clear'): readonly AdvisoryGap[] {
  if (isSet === (want === 'set')) return [];
  return [{ what, have: isSet ? 'set' : 'clear', need: want }];
}

/** The TCB at launch counts too: an update under a running guest does not repair what was possible before. */
function tcbGaps(
  component: 'snp' | 'microcode',
  floor: number | undefined,
  tcbs: SnpFacts['tcb'],
): readonly AdvisoryGap[] {
  if (floor === undefined || tcbs === undefined) return [];
  const named: readonly (readonly [string, SnpTcb])[] = [
    ['CURRENT_TCB', tcbs.current],
    ['COMMITTED_TCB', tcbs.committed],
    ['REPORTED_TCB', tcbs.reported],
    ['LAUNCH_TCB', tcbs.launch],
  ];
  const short = named.filter(([, tcb]) => tcb[component] < floor);
  const byVersion = Map.groupBy(short, ([, tcb]) => tcb[component]);
  return [...byVersion].map(([have, values]) => ({
    what: `${component} of ${values.map(([name]) => name).join(', ')}`,
    have: String(have),
    need: String(floor),
  }));
}
