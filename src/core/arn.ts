/** An Amazon Resource Name, `arn:<partition>:<service>:<region>:<account>:<resource>`. */
export interface Arn {
  readonly partition: string;
  readonly service: string;
  readonly region: string;
  readonly account: string;
  /** All after the fifth colon, e.g. `cluster/default`; may hold colons itself. */
  readonly resource: string;
}

/** Parses an ARN; `undefined` when `text` is none. */
export function parseArn(text: string): Arn | undefined {
  const [prefix, partition, service, region, account, ...rest] = text.split(":");
  if (prefix !== "arn" || !partition || !service || region === undefined || account === undefined || rest.length === 0) {
    return undefined;
  }
  return { partition, service, region, account, resource: rest.join(":") };
}

/** Writes an ARN in the partition of its region. */
export function formatArn(arn: Omit<Arn, "partition"> & { readonly partition?: string }): string {
  const partition = arn.partition ?? partitionOf(arn.region);
  return `arn:${partition}:${arn.service}:${arn.region}:${arn.account}:${arn.resource}`;
}

/** The partition of a region: `aws`, `aws-cn` or `aws-us-gov`. */
export function partitionOf(region: string): string {
  if (region.startsWith("cn-")) return "aws-cn";
  return region.startsWith("us-gov-") ? "aws-us-gov" : "aws";
}
