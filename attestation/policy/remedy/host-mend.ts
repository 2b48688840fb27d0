/**
 * How one machine gets among those that a rule names: into its list, or into the registry of hosts.
 * Spec: gpu-and-policy §5.2 ("Host registry entry").
 * @module
 */

import { toHex } from '../../../core/bytes.ts';
import { formatInstant } from '../../../core/clock.ts';
import type { JsonObject } from '../../../core/json.ts';
import type { RuleQuestion } from '../../tee.ts';
import { edit, GRANT_DAYS, hopeless, instantIn, mendedBy, TO_FILL_IN, type Mend } from './edit.ts';

export type CpuId = { readonly ppid: string } | { readonly chip_id: string };

export function hostMend(check: string, question: RuleQuestion, cpu: CpuId): Mend {
  const { policy, rule, nowMs } = question;
  const { rules, hosts } = policy.document;
  const platforms = rules[rule]?.cpu.platforms;
  const [[member, id] = ['', '']] = Object.entries(cpu);
  if (platforms === undefined || 'any' in platforms) return hopeless(check, 'the rule names none');
  if ('allow' in platforms) {
    return mendedBy(check, edit('add', ['rules', rule, 'cpu', 'platforms', 'allow', member], id));
  }
  const known = hosts.findIndex((host) => hostCpuId(host) === id);
  if (known >= 0) {
    const expires = instantIn(GRANT_DAYS, nowMs);
    return mendedBy(check, edit('set', ['hosts', known, 'expires'], expires));
  }
  const name = newHostName(hosts.map(({ host }) => host));
  return mendedBy(check, edit('add', ['hosts'], hostEntry({ name, cpu, nowMs })));
}

/** Hex, of an entry of the registry. */
export function hostCpuId({
  cpu,
}: {
  readonly cpu: { readonly ppid: Uint8Array } | { readonly chip_id: Uint8Array };
}): string {
  return toHex('ppid' in cpu ? cpu.ppid : cpu.chip_id);
}

function newHostName(names: readonly string[]): string {
  for (let count = 1; ; count++) {
    const name = count === 1 ? 'new-host' : `new-host-${count}`;
    if (!names.includes(name)) return name;
  }
}

function hostEntry({ name, cpu, nowMs }: { name: string; cpu: CpuId; nowMs: number }): JsonObject {
  return {
    host: name,
    cpu: { ...cpu },
    gpus: [],
    switches: [],
    location: TO_FILL_IN.location,
    seen: formatInstant(nowMs).slice(0, 10),
    by: [...TO_FILL_IN.by],
    expires: instantIn(GRANT_DAYS, nowMs),
  };
}
