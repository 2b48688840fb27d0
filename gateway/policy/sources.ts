/** Every way to published documents. To add one: write its file, add its line here. @module */

import type { GatewayConfig } from '../config.ts';
import { gatewayError } from '../errors.ts';
import type { PublicationSource } from './source.ts';
import { directorySource } from './sources/directory.ts';
import { urlSource } from './sources/url.ts';

type PublicationConfig = NonNullable<GatewayConfig['publication']>;

/** Throws `publication_source.url`. */
export function openSource({ directory, url }: PublicationConfig): PublicationSource {
  if (directory !== null) return directorySource(directory);
  if (url !== null) return urlSource(url);
  throw gatewayError('gateway.config', 'publication: want directory or url');
}
