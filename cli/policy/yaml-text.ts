/** YAML as people get it to read: scalars that mean what they say, and entries of lists with their comments. @module */

/**
 * JSON is YAML. Whatever could move a cursor or turn the reading direction is escaped; the word for zero bytes stays a word.
 */
export function quoted(text: string): string {
  if (text === 'zero') return text;
  return JSON.stringify(text).replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) =>
    [...Array(character.length).keys()]
      .map((at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}

export function indented(lines: readonly string[], columns: number): readonly string[] {
  return lines.map((line) => (line === '' ? '' : `${' '.repeat(columns)}${line}`));
}

/** The members of a mapping as an entry of a list; comments before the first member stay before it. */
export function asEntry(members: readonly string[]): readonly string[] {
  const first = members.findIndex((line) => !line.startsWith('#'));
  return members.map((line, at) => {
    if (at < first || line === '') return line;
    return `${at === first ? '- ' : '  '}${line}`;
  });
}

/** Members that are texts. */
export function memberLines(members: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.entries(members).map(([name, value]) => `${name}: ${quoted(String(value))}`);
}

/** For comments: nothing in a name ends the line it stands in. */
export function commentText(text: string): string {
  return text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '?');
}
