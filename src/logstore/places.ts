import { Problem } from "../core/problem.ts";
import type { Place } from "./merge-events.ts";

/** Tokens as CloudWatch's look (`f/…`, `b/…`): a direction and a place between two events, so that a page's end is the next one's start. */
export interface ReadToken {
  readonly forward: boolean;
  readonly timestampMs: number;
  readonly sequence: number;
}

const TIME_DIGITS = 20;
const SEQUENCE_DIGITS = 36;

export function formatReadToken(token: ReadToken): string {
  const digits = String(token.timestampMs).padStart(TIME_DIGITS, "0") + String(token.sequence).padStart(SEQUENCE_DIGITS, "0");
  return `${token.forward ? "f" : "b"}/${digits}/s`;
}

/** @throws Problem `invalid` for what `formatReadToken` never wrote. */
export function parseReadToken(text: string): ReadToken {
  const match = /^([fb])\/(\d{20})(\d{36})(?:\/s)?$/.exec(text);
  if (match === null) throw new Problem("invalid", "The specified nextToken is invalid.");
  return { forward: match[1] === "f", timestampMs: Number(match[2]), sequence: Number(match[3]) };
}

export function formatFilterToken({ timestampMs, stream, sequence }: Place): string {
  return Buffer.from(JSON.stringify([timestampMs, stream, sequence])).toString("base64url");
}

/** @throws Problem `invalid` for what `formatFilterToken` never wrote. */
export function parseFilterToken(text: string): Place {
  try {
    const [timestampMs, stream, sequence] = JSON.parse(Buffer.from(text, "base64url").toString()) as unknown[];
    if (typeof timestampMs === "number" && typeof stream === "string" && typeof sequence === "number") return { timestampMs, stream, sequence };
  } catch {
    // said below
  }
  throw new Problem("invalid", "The specified nextToken is invalid.");
}

/** 56 digits like CloudWatch's; grows within a stream, differs between streams. */
export function formatEventId(streamId: string, sequence: number): string {
  return `3${BigInt(`0x${streamId}`).toString().padStart(39, "0")}${String(sequence).padStart(16, "0")}`;
}
