// Which calls are made again when they fail, and when: as the service config says that the Python client reads, too.
//
// https://github.com/grpc/proposal/blob/master/A6-client-retries.md

import type { ConnectError, Interceptor, UnaryRequest } from "@connectrpc/connect";
import serviceConfig from "../service_config.json" with { type: "json" };
import { codeName, errorOf } from "./status.ts";

// One entry: all that is made again is made again in one way.
const [{ name: methods, retryPolicy: policy }] = serviceConfig.methodConfig as [(typeof serviceConfig.methodConfig)[0]];

export const ATTEMPTS = policy.maxAttempts;

/** Returns whether a call that failed so may do better in another attempt. */
export function isRetryable(error: ConnectError): boolean {
  return policy.retryableStatusCodes.includes(codeName(error.code));
}

/** Waits as long as gRPC does after so many attempts in vain, with jitter; or until the signal. */
export async function backoff(attempts: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) {
    return;
  }
  const [first, longest] = [policy.initialBackoff, policy.maxBackoff].map(Number.parseFloat) as [number, number];
  const seconds = Math.min(first * policy.backoffMultiplier ** (attempts - 1), longest);
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, seconds * 1000 * (0.8 + Math.random() * 0.4));
  signal?.addEventListener("abort", () => resolve(), { once: true });
  await promise.finally(() => clearTimeout(timer));
}

/** Makes calls again that may be made twice without harm: those of one request, until an answer begins, or the deadline. */
export const retrying: Interceptor = (next) => async (request) => {
  const { name, parent } = request.method;
  if (!methods.some(({ method, service }) => method === name && service === parent.typeName)) {
    return next(request);
  }
  const message = request.stream ? await Array.fromAsync(request.message) : request.message;
  for (let attempt = 1; ; attempt++) {
    try {
      return await next({ ...request, message: request.stream ? replay(message) : message } as UnaryRequest);
    } catch (error) {
      const failure = errorOf(error);
      if (attempt === ATTEMPTS || !isRetryable(failure)) {
        throw failure;
      }
      await backoff(attempt, request.signal);
      if (request.signal.aborted) {
        throw failure;
      }
    }
  }
};

async function* replay<T>(messages: unknown): AsyncIterable<T> {
  yield* messages as T[];
}
