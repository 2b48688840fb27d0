/**
 * Whether a value satisfies a JSON Schema: a small validator of its own for the keywords that the compiler honours, which
 * shares nothing with it. Spec: JSON Schema 2020-12.
 * @module
 */

type Schema = Readonly<Record<string, unknown>>;

const FORMATS: Readonly<Record<string, (text: string) => boolean>> = {
  date: isDate,
  time: isTime,
  'date-time': (text) => isDate(text.slice(0, 10)) && text[10] === 'T' && isTime(text.slice(11)),
  duration: (text) =>
    /^P(?!$)(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?$|^P\d+W$/.test(text),
  email: (text) => /^[^\s@.]+(\.[^\s@.]+)*@([A-Za-z0-9-]+\.)+[A-Za-z]{2,}$/.test(text),
  hostname: (text) =>
    text.length <= 253 &&
    text.split('.').every((label) => /^(?!-)[A-Za-z0-9-]{1,63}(?<!-)$/.test(label)),
  ipv4: (text) => /^(\d{1,3}\.){3}\d{1,3}$/.test(text) && text.split('.').every(isOctet),
  ipv6: (text) => URL.canParse(`http://[${text}]/`),
  uuid: (text) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text),
};

function isOctet(text: string): boolean {
  return Number(text) <= 255 && String(Number(text)) === text;
}

function isDate(text: string): boolean {
  const [, year, month, day] = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text) ?? [];
  if (year === undefined) return false;
  const date = new Date(Date.UTC(2000, Number(month) - 1, Number(day)));
  date.setUTCFullYear(Number(year));
  return date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day);
}

function isTime(text: string): boolean {
  const [, hour, minute, second] =
    /^(\d{2}):(\d{2}):(\d{2})(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/.exec(text) ?? [];
  return hour !== undefined && Number(hour) < 24 && Number(minute) < 60 && Number(second) < 60;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function own(schema: Schema, keyword: string): unknown {
  return Object.hasOwn(schema, keyword) ? schema[keyword] : undefined;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Every keyword it does not know is an error of the test. */
export function isValid(schema: unknown, value: unknown, root: unknown = schema): boolean {
  if (typeof schema === 'boolean') return schema;
  if (!isRecord(schema)) throw new Error('not a schema');
  if (own(schema, 'nullable') === true && value === null) return true;
  return Object.entries(schema).every(([keyword, argument]) => {
    const check = CHECKS[keyword];
    if (check === undefined) throw new Error(`the validator does not know ${keyword}`);
    return check(argument, value, schema, root);
  });
}

type Check = (argument: unknown, value: unknown, schema: Schema, root: unknown) => boolean;

const always: Check = () => true;

function compare(holds: (value: number, limit: number) => boolean): Check {
  return (limit, value) => typeof value !== 'number' || holds(value, Number(limit));
}

function sized(size: (value: unknown) => number | undefined, least: boolean): Check {
  return (limit, value) => {
    const actual = size(value);
    if (actual === undefined) return true;
    return least ? actual >= Number(limit) : actual <= Number(limit);
  };
}

const charsIn = (value: unknown): number | undefined =>
  typeof value === 'string' ? Array.from(value).length : undefined;
/** What zod counts. */
const unitsIn = (value: unknown): number | undefined =>
  typeof value === 'string' ? value.length : undefined;
const itemsIn = (value: unknown): number | undefined =>
  Array.isArray(value) ? value.length : undefined;

const CHECKS: Readonly<Record<string, Check>> = {
  $defs: always,
  definitions: always,
  title: always,
  description: always,
  nullable: always,
  propertyNames: always,
  $ref: (pointer, value, _schema, root) => isValid(pointed(root, String(pointer)), value, root),
  type: (type, value) =>
    (Array.isArray(type) ? listOf(type) : [type]).some((name) => isOfType(name, value)),
  enum: (list, value) => listOf(list).some((one) => isSame(one, value)),
  const: (one, value) => isSame(one, value),
  anyOf: (list, value, _schema, root) => listOf(list).some((one) => isValid(one, value, root)),
  oneOf: (list, value, _schema, root) =>
    listOf(list).filter((one) => isValid(one, value, root)).length === 1,
  minimum: compare((value, limit) => value >= limit),
  maximum: compare((value, limit) => value <= limit),
  exclusiveMinimum: compare((value, limit) => value > limit),
  exclusiveMaximum: compare((value, limit) => value < limit),
  minLength: sized(charsIn, true),
  maxLength: sized(unitsIn, false),
  minItems: sized(itemsIn, true),
  maxItems: sized(itemsIn, false),
  pattern: (pattern, value) =>
    typeof value !== 'string' || new RegExp(String(pattern), 'u').test(value),
  format: (name, value) => typeof value !== 'string' || FORMATS[String(name)]?.(value) === true,
  items: (items, value, _schema, root) =>
    !Array.isArray(value) || value.every((item: unknown) => isValid(items, item, root)),
  required: (names, value) =>
    !isRecord(value) || listOf(names).every((name) => Object.hasOwn(value, String(name))),
  properties: (properties, value, _schema, root) =>
    !isRecord(value) ||
    Object.entries(value).every(([name, inner]) => {
      const has = isRecord(properties) && Object.hasOwn(properties, name);
      return !has || isValid(properties[name], inner, root);
    }),
  additionalProperties: (others, value, schema, root) => {
    if (!isRecord(value)) return true;
    const named = own(schema, 'properties');
    return Object.entries(value)
      .filter(([name]) => !isRecord(named) || !Object.hasOwn(named, name))
      .every(([, inner]) => isValid(others, inner, root));
  },
};

function pointed(root: unknown, pointer: string): unknown {
  let at: unknown = root;
  for (const step of pointer.split('/').slice(1)) {
    const name = decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~');
    if (Array.isArray(at)) at = at[Number(name)];
    else at = isRecord(at) ? own(at, name) : undefined;
  }
  return at;
}

function isOfType(name: unknown, value: unknown): boolean {
  if (name === 'null') return value === null;
  if (name === 'array') return Array.isArray(value);
  if (name === 'object') return isRecord(value);
  if (name === 'integer') return Number.isInteger(value);
  return typeof value === name;
}

/** Values, not texts: the order of members does not matter. */
function isSame(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => isSame(item, b[index]));
  }
  if (!isRecord(a) || !isRecord(b)) return a === b;
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && isSame(a[name], b[name]))
  );
}
