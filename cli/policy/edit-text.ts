/** A change of a policy, for the person who is going to type it: where, what, and what it gives away. @module */

import { stringify } from 'yaml';
import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import type { PolicyEdit } from '../../attestation/policy/remedy/edit.ts';
import type { PolicyPath } from '../../attestation/policy/yaml.ts';
import type { Json } from '../../core/json.ts';
import { paint } from '../../core/node/terminal.ts';
import { labelled, paragraph, printable, type Page } from '../attest/text.ts';

/** `rules[h100-tdx].cpu.fmspc.allow`: entries by their name. */
export function pathText({ document }: CompiledPolicy, path: PolicyPath): string {
  const [list, index, ...rest] = path;
  const name = typeof index === 'number' ? entryName(document, String(list), index) : undefined;
  if (name === undefined) return path.map(String).join('.');
  return [`${String(list)}[${name}]`, ...rest.map(String)].join('.');
}

function entryName(
  { rules, images, models, advisories, hosts }: CompiledPolicy['document'],
  list: string,
  index: number,
): string | undefined {
  if (list === 'rules') return rules[index]?.id;
  if (list === 'images') return images[index]?.name;
  if (list === 'models') return models[index]?.id;
  if (list === 'advisories') return advisories[index]?.id;
  return list === 'hosts' ? hosts[index]?.host : undefined;
}

/** As it would stand in a policy. */
export function yamlLines(value: Json): readonly string[] {
  const text = stringify(value, { version: '1.2', lineWidth: 0, singleQuote: true });
  return text.trimEnd().split('\n').map(printable);
}

const INDENT = '       ';

/** One change, numbered. */
export function editLines(
  { action, path, value, weakens, checks }: PolicyEdit,
  number: number,
  { policy, page }: { readonly policy: CompiledPolicy; readonly page: Page },
): readonly string[] {
  const word = action === 'add' ? 'add to' : 'set';
  const where = `${word} ${pathText(policy, path)}   ${policy.at(...path)}   for ${checks.join(', ')}`;
  return [
    ...labelled(`  ${number}. `, where, page, 5),
    ...yamlLines(action === 'add' ? [value] : value).map((line) => `${INDENT}${line}`),
    ...(weakens === undefined
      ? []
      : paragraph(`WARNING: ${weakens}.`, page, INDENT).map((line) => paint('yellow', line))),
  ];
}
