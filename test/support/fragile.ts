/** Something that dies at a chosen call, so that a test can put a crash between any two steps. @module */

class Crash extends Error {}

/** Lets so many calls through, then dies before the next; or after it, when what it did is done and nobody knows. */
export function fragile<Target extends object>(
  target: Target,
  left: { calls: number },
  moment: 'before' | 'after',
): Target {
  return new Proxy(target, {
    get: (of, name) => {
      const member: unknown = Reflect.get(of, name);
      if (typeof member !== 'function') return member;
      return (...parameters: unknown[]): unknown => {
        if (name === 'health' || name === 'providers') return Reflect.apply(member, of, parameters);
        left.calls--;
        if (left.calls < 0) return Promise.reject(new Crash('dead'));
        const done: unknown = Reflect.apply(member, of, parameters);
        if (moment === 'before' || left.calls > 0) return done;
        return Promise.resolve(done).then(() => Promise.reject(new Crash('dead')));
      };
    },
  });
}
