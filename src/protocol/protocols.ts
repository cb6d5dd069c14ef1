import type { ProtocolName } from "../contracts/service.ts";
import { Problem } from "../core/problem.ts";
import { awsJson1_0, awsJson1_1 } from "./json/protocol.ts";
import type { Protocol } from "./protocol.ts";
import { awsQuery, ec2Query } from "./query/protocol.ts";
import { restJson1 } from "./rest/protocol.ts";

const PROTOCOLS: Partial<Record<ProtocolName, Protocol>> = { awsJson1_0, awsJson1_1, awsQuery, ec2Query, restJson1 };

/** @throws Problem `unsupported` for the protocols that are not built: rpcv2Cbor. */
export function protocolNamed(name: ProtocolName): Protocol {
  const protocol = PROTOCOLS[name];
  if (protocol === undefined) throw new Problem("unsupported", `the wire protocol ${name} is not built in Tidegate yet`);
  return protocol;
}
