/**
 * Names of the WebCrypto standard that @peculiar/x509 mentions in its declarations. We compile without the DOM
 * library, where they usually live; the meanings come from the runtime's own `crypto`.
 * @module
 */

type Crypto = typeof globalThis.crypto;
type CryptoKey = Awaited<ReturnType<Crypto['subtle']['importKey']>>;
interface CryptoKeyPair {
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
}
type KeyUsage = CryptoKey['usages'][number];
type BufferSource = ArrayBufferView<ArrayBuffer> | ArrayBuffer;
interface Algorithm {
  name: string;
}
type AlgorithmIdentifier = Algorithm | string;
interface EcdsaParams extends Algorithm {
  hash: AlgorithmIdentifier;
}
interface EcKeyGenParams extends Algorithm {
  namedCurve: string;
}
type EcKeyImportParams = EcKeyGenParams;
interface RsaHashedImportParams extends Algorithm {
  hash: AlgorithmIdentifier;
}
