/**
 * The one name of `async-retry` that node-llama-cpp's declarations mention; that package ships no types, and we never
 * fetch a model over the network.
 * @module
 */

declare module 'async-retry' {
  namespace retry {
    interface Options {
      readonly retries?: number;
    }
  }
  const retry: unknown;
  // oxlint-disable-next-line import/no-default-export -- that is what the package exports
  export default retry;
}
