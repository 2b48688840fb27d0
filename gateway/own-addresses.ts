/** Under what certificate and which addresses a gateway is reached, by its configuration. @module */

import type { Clock } from '../core/clock.ts';
import type { GatewayConfig } from './config.ts';
import { gatewayError } from './errors.ts';
import { loadDevelopmentTls } from './identity.ts';
import { readCertificate, type TlsIdentity } from './tls-identity.ts';

/** Throws `gateway.config`. */
export async function tlsIdentity(config: GatewayConfig, clock: Clock): Promise<TlsIdentity> {
  const { certificateFile, keyFile, hostNames } = config.listen;
  if (certificateFile === null && keyFile === null) {
    return loadDevelopmentTls({ dataDir: config.dataDir, hostNames, clock });
  }
  const own =
    certificateFile === null || keyFile === null
      ? undefined
      : readCertificate(certificateFile, keyFile);
  // Half a configuration must not turn into a self-signed certificate.
  if (own === undefined) throw gatewayError('gateway.config', 'TLS certificate and key');
  return own;
}

/** As clients reach it, or as it listens. */
export function baseUrls(
  { listen: where }: GatewayConfig,
  open: { readonly httpPort: number | undefined; readonly httpsPort: number | undefined },
): readonly string[] {
  if (where.baseUrls.length > 0) return where.baseUrls;
  const host = where.host.includes(':') ? `[${where.host}]` : where.host;
  return [
    ...(open.httpsPort === undefined ? [] : [`https://${host}:${open.httpsPort}`]),
    ...(open.httpPort === undefined ? [] : [`http://${host}:${open.httpPort}`]),
  ];
}
