/** What every operation of EC2 shares: DryRun, and Problems of the network turned into EC2's errors. */
import type { Members, Operation, RequestContext } from "../../contracts/service.ts";
import { AwsError } from "../../core/aws-error.ts";
import type { ProblemKind } from "../../core/problem.ts";
import { isProblem } from "../../core/problem.ts";
import type { Ec2Network } from "./ports.ts";

export interface Ec2Room {
  readonly network: Ec2Network;
  /** A new rule's id. */
  readonly newRuleId: () => string;
}

export type ErrorCodes = Partial<Record<ProblemKind, string>>;

export interface Ec2Operation<Input, Output> {
  readonly name: string;
  readonly members: Members;
  readonly handle: (input: Input, context: RequestContext) => Promise<Output>;
  /** How EC2 names this operation's failures. */
  readonly errors?: ErrorCodes;
}

/** Adds the DryRun member, which every operation of EC2 has. */
export function ec2Operation<Input extends { readonly DryRun?: boolean | undefined }, Output>(
  parts: Ec2Operation<Input, Output>,
): Operation<Input, Output> {
  return {
    name: parts.name,
    members: { ...parts.members, DryRun: "used" },
    async handle(input, context) {
      if (input.DryRun === true) {
        throw new AwsError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", { httpStatus: 412 });
      }
      try {
        return await parts.handle(input, context);
      } catch (error) {
        const code = isProblem(error) ? parts.errors?.[error.kind] : undefined;
        if (code === undefined || !isProblem(error)) throw error;
        throw new AwsError(code, error.message, { cause: error });
      }
    },
  };
}
