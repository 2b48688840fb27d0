/** Says what a schema refused: paths and rules, never the values. @module */

import type { z } from 'zod';

const ISSUES_SHOWN_MAX = 8;

/** Such as `keys.hpke.pk: want canonical base64url of 1216 bytes; (root): 1 unknown member`. */
export function describeIssues(error: z.ZodError): string {
  const shown = error.issues.slice(0, ISSUES_SHOWN_MAX).map((issue) => {
    const path = issue.path.length === 0 ? '(root)' : issue.path.map(String).join('.');
    return `${path}: ${describeIssue(issue)}`;
  });
  const hidden = error.issues.length - shown.length;
  return [...shown, ...(hidden > 0 ? [`and ${hidden} more`] : [])].join('; ');
}

/** The messages of zod name expectations, except that of unknown members, which repeats what the sender wrote. */
function describeIssue(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.length === 1 ? '1 unknown member' : `${issue.keys.length} unknown members`;
  }
  if (issue.code === 'invalid_type') return `want ${issue.expected}`;
  return issue.message;
}
