/**
 * The string formats of OpenAI's strict subset as patterns. Each is narrower than its standard where that keeps it
 * regular: what a model writes satisfies the format, not every text that does can be written (29 February, the short
 * forms of IPv6 and quoted local parts of addresses are never written).
 * Spec: JSON Schema 2020-12 validation §7.3; RFC 3339; RFC 5321 §4.1.2; RFC 1123 §2.1; RFC 9562 §4.
 * @module
 */

const DATE =
  '\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))';
const TIME =
  '(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,6})?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)';
const LABEL = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,20}[A-Za-z0-9])?';
const OCTET = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]\\d|\\d)';
const HEX = '[0-9a-f]';

export const FORMAT_PATTERNS: Readonly<Record<string, string>> = {
  date: `^${DATE}$`,
  time: `^${TIME}$`,
  'date-time': `^${DATE}T${TIME}$`,
  duration:
    '^P(?:\\d{1,4}W|\\d{1,4}Y(?:\\d{1,2}M)?(?:\\d{1,2}D)?|\\d{1,2}M(?:\\d{1,2}D)?|(?:\\d{1,4}D)?T(?:\\d{1,2}H(?:\\d{1,2}M)?(?:\\d{1,2}S)?|\\d{1,2}M(?:\\d{1,2}S)?|\\d{1,2}S)|\\d{1,4}D)$',
  email:
    '^[A-Za-z0-9_+-]+(?:\\.[A-Za-z0-9_+-]+)*@(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\\.)+[A-Za-z]{2,}$',
  hostname: `^${LABEL}(?:\\.${LABEL}){0,4}$`,
  ipv4: `^${OCTET}(?:\\.${OCTET}){3}$`,
  ipv6: `^${HEX}{1,4}(?::${HEX}{1,4}){7}$`,
  uuid: `^${HEX}{8}-${HEX}{4}-[1-8]${HEX}{3}-[89ab]${HEX}{3}-${HEX}{12}$`,
};

/**
 * Formats that JSON Schema defines and that are not written here. Any other name is no format to a validator; schema
 * libraries write such names beside the pattern that says all there is to say.
 */
export const OTHER_FORMATS: ReadonlySet<string> = new Set([
  'idn-email',
  'idn-hostname',
  'iri',
  'iri-reference',
  'json-pointer',
  'regex',
  'relative-json-pointer',
  'uri',
  'uri-reference',
  'uri-template',
  'url',
]);
