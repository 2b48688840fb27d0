/** A promise that is settled from outside. Spec: `Promise.withResolvers`, which Node 20 lacks and apps still run. @module */

import { assert } from './errors.ts';

export interface Deferred<Value> {
  readonly promise: Promise<Value>;
  readonly resolve: (value: Value | PromiseLike<Value>) => void;
  readonly reject: (reason: unknown) => void;
}

export function deferred<Value>(): Deferred<Value> {
  const settlers: Pick<Deferred<Value>, 'resolve' | 'reject'>[] = [];
  const promise = new Promise<Value>((resolve, reject) => {
    settlers.push({ resolve, reject });
  });
  const [settler] = settlers;
  assert(settler !== undefined, 'a promise runs its executor at once');
  return { promise, ...settler };
}
