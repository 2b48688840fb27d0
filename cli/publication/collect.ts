/** An option that may stand several times, each with one value: one that takes many would swallow the file after it. @module */

export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
