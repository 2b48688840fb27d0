/**
 * What a check means to people: what it compares, what could be going on when it fails, who can mend that and how. The
 * tables stand beside the checks; `explanationOf` in explanations.ts finds an entry.
 * @module
 */

/**
 * Who can mend a failed check. `host`: whoever runs the machine. `guest`: whoever builds the image and launches it.
 * `verifier`: whoever checks, with his clock, options and collateral. `sender`: the evidence itself is damaged or made up.
 * `policy`: whoever writes the policy.
 */
export type Mender = 'host' | 'guest' | 'verifier' | 'sender' | 'policy';

export interface Explanation {
  /** What is compared with what. */
  readonly checks: string;
  /** What could be going on when it fails. */
  readonly matters: string;
  readonly mender: Mender;
  readonly fix: string;
}

export type Explanations<Id extends string> = Readonly<Record<Id, Explanation>>;

type Explain = (checks: string, matters: string, fix: string) => Explanation;

function mendedBy(mender: Mender): Explain {
  return (checks, matters, fix) => ({ checks, matters, mender, fix });
}

export const byHost: Explain = mendedBy('host');
export const byGuest: Explain = mendedBy('guest');
export const byVerifier: Explain = mendedBy('verifier');
export const bySender: Explain = mendedBy('sender');
export const byPolicy: Explain = mendedBy('policy');
