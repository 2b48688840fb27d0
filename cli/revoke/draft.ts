/** What a command says when others have to sign a list of revocations too. @module */

import type { Page } from '../attest/text.ts';
import {
  EXIT,
  jsonAnswer,
  textAnswer,
  type PolicyAnswer,
  type PolicyQuestion,
} from '../policy/answer.ts';
import { documentDigest, documentName } from '../publication/documents.ts';
import type { ListResult } from '../publication/next-list.ts';
import { facts, nextSteps } from '../publication/rows.ts';
import { standingText } from '../publication/standing.ts';

export function draftListAnswer(
  question: PolicyQuestion,
  { document, standings, path }: Extract<ListResult, { outcome: 'draft' }>,
  repo: string,
  page: Page,
): PolicyAnswer {
  if (question.json) {
    return jsonAnswer(question, EXIT.findings, {
      published: false,
      out: path,
      signatures: standings,
    });
  }
  return textAnswer(EXIT.findings, [
    'NOT published: others have to sign too',
    ...facts(
      [
        ['document', documentName(document)],
        ['digest', documentDigest(document)],
        ...standings.map((it) => ['signed', standingText(it)] as const),
        ['file', path],
      ],
      page,
    ),
    ...nextSteps([
      `veilgate policy sign ${path} --as your.key --repo ${repo}`,
      `veilgate policy publish --repo ${repo} ${path}`,
    ]),
  ]);
}
