/** An entry of the registry of machines, as a policy has it. Spec: gpu-and-policy §5.2 ("Host registry entry"). @module */

import { GRANT_DAYS, instantIn } from '../../attestation/policy/remedy/edit.ts';
import { NAME, TEXT } from '../../attestation/policy/fields.ts';
import type { CpuId } from '../../attestation/policy/remedy/host-mend.ts';
import { formatInstant } from '../../core/clock.ts';
import { cliError } from '../errors.ts';
import { quoted } from '../policy/yaml-text.ts';

export interface HostFacts {
  readonly name: string;
  readonly location: string;
  /** Two people: nobody smuggles a machine in alone. */
  readonly by: readonly string[];
  readonly cpu: CpuId;
  readonly nowMs: number;
}

const BY_MIN = 2;

/** Throws `cli.option`. */
export function checkHost({ name, location, by }: Omit<HostFacts, 'cpu' | 'nowMs'>): void {
  if (!NAME.safeParse(name).success) {
    throw cliError('cli.option', '--host wants lower-case letters, digits and . _ -');
  }
  if (!TEXT.safeParse(location).success) throw cliError('cli.option', '--location wants a text');
  const people = new Set(by.map((person) => person.trim().toLowerCase()));
  if (people.size < BY_MIN || people.has('')) {
    throw cliError('cli.option', '--by is needed twice, by two different people');
  }
}

/** The members of an entry, in YAML. */
export function hostLines({ name, location, by, cpu, nowMs }: HostFacts): readonly string[] {
  const [[member, id] = ['', '']] = Object.entries(cpu);
  return [
    '# From the verified certificate.',
    `host: ${name}`,
    `cpu: { ${member}: '${id}' }`,
    'gpus: []',
    'switches: []',
    `location: ${quoted(location)}`,
    `seen: ${formatInstant(nowMs).slice(0, 10)}`,
    `by: [${by.map(quoted).join(', ')}]`,
    `expires: ${instantIn(GRANT_DAYS, nowMs)}`,
  ];
}
