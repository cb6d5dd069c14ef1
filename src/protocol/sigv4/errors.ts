import type { ProtocolName } from "../../contracts/service.ts";
import { AwsError } from "../../core/aws-error.ts";
import { styleOf } from "../errors.ts";

/** The ways in which a signature can be no good. */
export type SignatureProblem = "missing" | "incomplete" | "unknown-key" | "mismatch" | "skewed" | "expired-token" | "invalid-token";

/** Thrown while a signature is checked; the code that goes over the wire depends on the protocol. */
export class SignatureError extends Error {
  readonly problem: SignatureProblem;

  constructor(problem: SignatureProblem, message: string) {
    super(message);
    this.name = "SignatureError";
    this.problem = problem;
  }
}

type Answer = readonly [code: string, httpStatus: number];

const JSON_ANSWERS: Readonly<Record<SignatureProblem, Answer>> = {
  missing: ["MissingAuthenticationTokenException", 400],
  incomplete: ["IncompleteSignatureException", 400],
  "unknown-key": ["UnrecognizedClientException", 400],
  mismatch: ["InvalidSignatureException", 400],
  skewed: ["InvalidSignatureException", 400],
  "expired-token": ["ExpiredTokenException", 400],
  "invalid-token": ["UnrecognizedClientException", 400],
};

const QUERY_ANSWERS: Readonly<Record<SignatureProblem, Answer>> = {
  missing: ["MissingAuthenticationToken", 403],
  incomplete: ["IncompleteSignature", 400],
  "unknown-key": ["InvalidClientTokenId", 403],
  mismatch: ["SignatureDoesNotMatch", 403],
  skewed: ["SignatureDoesNotMatch", 403],
  "expired-token": ["ExpiredToken", 403],
  "invalid-token": ["InvalidClientTokenId", 403],
};

const EC2_ANSWERS: Readonly<Record<SignatureProblem, Answer>> = {
  missing: ["MissingAuthenticationToken", 403],
  incomplete: ["IncompleteSignature", 400],
  "unknown-key": ["AuthFailure", 401],
  mismatch: ["SignatureDoesNotMatch", 403],
  skewed: ["RequestExpired", 400],
  "expired-token": ["RequestExpired", 400],
  "invalid-token": ["AuthFailure", 401],
};

const ANSWERS = { json: JSON_ANSWERS, query: QUERY_ANSWERS, ec2: EC2_ANSWERS };

/** What AWS answers in a protocol. */
export function signatureAwsError(error: SignatureError, protocol: ProtocolName): AwsError {
  const style = styleOf(protocol);
  const [code, httpStatus] = ANSWERS[style][error.problem];
  const isAuthFailure = code === "AuthFailure";
  const message = isAuthFailure ? "AWS was not able to validate the provided access credentials" : error.message;
  return new AwsError(code, message, { httpStatus, cause: error });
}
