import type { ApiException } from "@kubernetes/client-node";
import { messageOf, Problem, type ProblemKind } from "../core/problem.ts";

/** An API server's refusals as Problems: `not-found`, `already-exists`, `conflict`, `invalid`, else `unavailable`. */
export async function ask<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw problemOf(error);
  }
}

/** As `ask`; `undefined` for a refusal of this kind. */
export async function unless<T>(kind: ProblemKind, call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask(call);
  } catch (error) {
    if (error instanceof Problem && error.kind === kind) return undefined;
    throw error;
  }
}

const KINDS: Readonly<Record<number, ProblemKind>> = { 400: "invalid", 403: "invalid", 404: "not-found", 409: "conflict", 422: "invalid" };

export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  const { code } = error as Partial<ApiException<unknown>>;
  const { message, reason } = statusOf(error);
  const kind = reason === "AlreadyExists" ? "already-exists" : (KINDS[code ?? 0] ?? "unavailable");
  return new Problem(kind, message ?? messageOf(error), { cause: error });
}

/** Kubernetes' own word for what is wrong. */
export interface ApiStatus {
  readonly message?: string;
  readonly reason?: string;
  readonly details?: { readonly causes?: readonly { readonly reason?: string; readonly field?: string; readonly message?: string }[] };
}

/** Kubernetes says what is wrong in a `Status`, which comes as text or read. */
export function statusOf(error: unknown): ApiStatus {
  const { body } = error as Partial<ApiException<unknown>>;
  try {
    const read: unknown = typeof body === "string" ? JSON.parse(body) : body;
    return typeof read === "object" && read !== null ? read : {};
  } catch {
    return {};
  }
}
