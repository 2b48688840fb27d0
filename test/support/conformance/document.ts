/** docs/conformance.md, made from the rows. @module */

import { CLIENTS, PATHS, ROWS, rowOf, type RowId } from './rows.ts';

const IDS = Object.keys(ROWS).filter((id): id is RowId => id in ROWS);

export function conformanceDocument(): string {
  return [
    '# Conformance',
    '',
    'What real clients must find, whichever way they come in. Each cell is one test with the name of its row, its client and its path,',
    'such as `C05 worker killed in the middle of a stream: A sealed`; run one with',
    '`npm test -- test/conformance` and `--test-name-pattern`. Generated from `test/support/conformance/rows.ts` by `npm run generate`:',
    'a row’s file does not compile while a client of the row has no test, and `test/conformance/table.test.ts` finds a row without a file.',
    '',
    ...Object.entries(CLIENTS).map(([client, about]) => `- **${client}**: ${about}`),
    '',
    ...Object.entries(PATHS).map(([path, about]) => `- **${path}**: ${about}`),
    '',
    `| row | check | ${Object.keys(PATHS).join(' | ')} |`,
    `|---|---|${Object.keys(PATHS)
      .map(() => '---|')
      .join('')}`,
    ...IDS.map(tableRow),
    '',
    '## Cells that cannot be',
    '',
    ...IDS.flatMap(impossible),
    '',
    '## What stands behind some rows',
    '',
    '- C02 and the other rows on text: the demo model at temperature 0. C09, C10, C18: a model of random weights under the grammar of',
    '  the tool or schema; where a trained model would decide, its words are dictated and read by the product like any other.',
    '- C04: intervals are simulated, sixty seconds before the first token and sixty after it.',
    '- C05: the worker’s process is killed; on the path without a gateway, the engine’s. C06: the gateway’s.',
    '- C16: every failure of `protocol/openai/errors.ts`, said inside the seal by a worker, or by the HTTP surface where there is no gateway.',
    '  LangChain asks again after 415, 422 and every 5xx; the AI SDK after every 5xx; `openai` hears `x-should-retry`.',
    '- C17: that a client does not come back too early. How late it comes is the machine’s.',
    '- C21: 400 MB for a reader that does not read; what has been made for it stops within 16 MB.',
    '',
  ].join('\n');
}

function tableRow(id: RowId): string {
  const { check, clients, impossible: why = {} } = rowOf(id);
  const cells = Object.entries(PATHS).map(([path]) => (path in why ? '–' : clients.join(' ')));
  return `| ${id} | ${check} | ${cells.join(' | ')} |`;
}

function impossible(id: RowId): readonly string[] {
  const { impossible: why = {} } = rowOf(id);
  return Object.entries(why).map(([path, because]) => `- ${id}, ${path}: ${because}.`);
}
