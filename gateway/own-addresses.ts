/** Under what certificate and which addresses a gateway is reached, by its configuration. @module */

import { isIPv6 } from 'node:net';
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

const EVERY_INTERFACE: readonly string[] = ['0.0.0.0', '[::]'];

/** For which names and addresses clients ask, as `URL.hostname` writes them. Throws `gateway.config`. */
export function askedHosts({ listen: where }: GatewayConfig): readonly string[] {
  const { host, hostNames, baseUrls: urls } = where;
  const ofUrls = urls.map((url) => new URL(url).hostname);
  const named = [...hostNames.map(asAsked), ...ofUrls];
  const hosts = [...new Set(named.length === 0 ? [asAsked(host)] : named)];
  // A statement that names nobody's question would be refused by every client.
  if (hosts.every((one) => EVERY_INTERFACE.includes(one))) {
    throw gatewayError('gateway.config', 'listen.hostNames: want a name that clients ask for');
  }
  return hosts;
}

function asAsked(name: string): string {
  const url = URL.parse(`https://${isIPv6(name) ? `[${name}]` : name}`);
  if (url === null || url.host !== url.hostname || url.href !== `${url.origin}/`) {
    throw gatewayError('gateway.config', 'listen.hostNames: want host names and addresses');
  }
  return url.hostname;
}
