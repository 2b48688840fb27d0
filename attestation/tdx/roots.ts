/**
 * Which certificate a PCK chain may end in. Production knows exactly one; a development policy may add roots by
 * digest, and whatever rests on one of those says `simulated`.
 * Spec: Intel SGX PCK Certificate and CRL Profile Specification 1.5, §1.2 "Intel SGX Root CA".
 * @module
 */

import { sha256 } from '#primitives';
import { equalPublic, fixed, fromBase64, fromHex, type Bytes } from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';

/** A root is accepted when the SHA-256 of its complete DER is this one. */
export interface TrustRoot {
  readonly sha256: Bytes<32>;
  readonly simulated: boolean;
}

/** CN=Intel SGX Root CA, serial 22650CD65A9D3489F383B49552BF501B392706AC, 2018-05-21 to 2049-12-31. */
export const INTEL_SGX_ROOT_CA_DER: Uint8Array = fromBase64(
  [
    'MIICjzCCAjSgAwIBAgIUImUM1lqdNInzg7SVUr9QGzknBqwwCgYIKoZIzj0EAwIwaDEaMBgGA1UEAwwRSW50ZWwg',
    'U0dYIFJvb3QgQ0ExGjAYBgNVBAoMEUludGVsIENvcnBvcmF0aW9uMRQwEgYDVQQHDAtTYW50YSBDbGFyYTELMAkG',
    'A1UECAwCQ0ExCzAJBgNVBAYTAlVTMB4XDTE4MDUyMTEwNDUxMFoXDTQ5MTIzMTIzNTk1OVowaDEaMBgGA1UEAwwR',
    'SW50ZWwgU0dYIFJvb3QgQ0ExGjAYBgNVBAoMEUludGVsIENvcnBvcmF0aW9uMRQwEgYDVQQHDAtTYW50YSBDbGFy',
    'YTELMAkGA1UECAwCQ0ExCzAJBgNVBAYTAlVTMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEC6nEwMDIYZOj/iPW',
    'sCzaEKi71OiOSLRFhWGjbnBVJfVnkY4u3IjkDYYL0MxO4mqsyYjlBalTVYxFP2sJBK5zlKOBuzCBuDAfBgNVHSME',
    'GDAWgBQiZQzWWp00ifODtJVSv1AbOScGrDBSBgNVHR8ESzBJMEegRaBDhkFodHRwczovL2NlcnRpZmljYXRlcy50',
    'cnVzdGVkc2VydmljZXMuaW50ZWwuY29tL0ludGVsU0dYUm9vdENBLmRlcjAdBgNVHQ4EFgQUImUM1lqdNInzg7SV',
    'Ur9QGzknBqwwDgYDVR0PAQH/BAQDAgEGMBIGA1UdEwEB/wQIMAYBAf8CAQEwCgYIKoZIzj0EAwIDSQAwRgIhAOW/',
    '5QkR+S9CiSDcNoowLuPRLsWGf/Yi7GSX94BgwTwgAiEA4J0lrHoMs+Xo5o/sX6O9QWxHRAvZUGOdRQ7cvqRXaqI=',
  ].join(''),
);

const INTEL_SGX_ROOT_CA_SHA256 = fixed(
  fromHex('44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3'),
  32,
);

assert(
  equalPublic(sha256(INTEL_SGX_ROOT_CA_DER), INTEL_SGX_ROOT_CA_SHA256),
  'the embedded Intel root is not the pinned one',
);

export const INTEL_ROOT: TrustRoot = { sha256: INTEL_SGX_ROOT_CA_SHA256, simulated: false };

/** What `verifyTdx` trusts when the caller names nothing else. */
export const DEFAULT_ROOTS: readonly TrustRoot[] = [INTEL_ROOT];

/** The entry for this certificate, or undefined. The digest covers the whole DER, not only the key or signature. */
export function findRoot(
  roots: readonly TrustRoot[],
  certificateSha256: Bytes<32>,
): TrustRoot | undefined {
  return roots.find((root) => equalPublic(root.sha256, certificateSha256));
}
