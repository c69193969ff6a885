// Retries of failed calls, according to the service config, which the Python client uses too.
//
// https://github.com/grpc/proposal/blob/master/A6-client-retries.md

import type { ConnectError, Interceptor, UnaryRequest } from "@connectrpc/connect";
import serviceConfig from "../service_config.json" with { type: "json" };
import { codeName, errorOf } from "./status.ts";

// The config has one entry: all retryable methods share a policy.
const [{ name: methods, retryPolicy: policy }] = serviceConfig.methodConfig as [(typeof serviceConfig.methodConfig)[0]];

export const ATTEMPTS = policy.maxAttempts;

/**
 * Returns whether a call that failed with this error may succeed in another attempt. A server forbids it for a message that is too
 * large, for example.
 */
export function isRetryable(error: ConnectError): boolean {
  const isForbidden = error.metadata.get("grpc-retry-pushback-ms") === "-1";
  return !isForbidden && policy.retryableStatusCodes.includes(codeName(error.code));
}

/** Waits for gRPC's exponential backoff with jitter after a number of failed attempts, or until the signal aborts. */
export async function backoff(attempts: number, signal?: AbortSignal): Promise<void> {
  if (attempts === 0 || signal?.aborted) {
    return;
  }
  const [first, longest] = [policy.initialBackoff, policy.maxBackoff].map(Number.parseFloat) as [number, number];
  const seconds = Math.min(first * policy.backoffMultiplier ** (attempts - 1), longest);
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, seconds * 1000 * (0.8 + Math.random() * 0.4));
  signal?.addEventListener("abort", () => resolve(), { once: true });
  await promise.finally(() => clearTimeout(timer));
}

/** Retries calls with a single request that are safe to repeat, until an answer begins or the deadline passes. */
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
