/** What of the records may leave the machine: what is known to be harmless is kept, all else is left out. */

/** Of these not even the keys: keys, tokens, sessions. */
const SECRET_COLLECTIONS = new Set(["iam.access-key", "iam.root-key", "iam.session", "registry.secret", "ecs.run-task-token"]);

/** Members whose text is an identifier, a state, a time, or words of Tidegate's own. */
const KEPT = new Set(
  `account region name family cluster service group groupName arn owner description launchType platformVersion
   status state desired desiredStatus health phase code reason message rolloutState rolloutStateReason
   type kind policy protocol protocolVersion scheme targetType condition origin target networkMode
   cidr cidrIpv4 ip privateIpv4 publicIpv4 hostAddress vpcAddress gatewayIpv4 macAddress dnsName privateDnsName
   availabilityZone defaultForAz destinationCidr subnetCidr netnsPath sandboxName cgroupParent runtimeHandler
   image digest imageDigest mediaType tag repository cpu memory containerName path matcher`.split(/\s+/),
);
/** Identifiers that open something. */
const OPENING = new Set(["credentialsId", "accessKeyId"]);
const IDENTIFIER = /(?:Ids?|Arns?)$/;

export interface Redacted {
  /** `undefined` for a record of which nothing may be shown. */
  readonly value: unknown;
  /** The texts that were left out, to be looked for elsewhere. */
  readonly hidden: readonly string[];
}

/** A record without what it might hold of its user's own: values of environment variables, commands, tags, options, documents. Pure. */
export function redactRecord(collection: string, value: unknown): Redacted {
  const hidden: string[] = [];
  const shown = walk(value, { member: "", hidden, keepNone: SECRET_COLLECTIONS.has(collection) });
  return { value: SECRET_COLLECTIONS.has(collection) ? undefined : shown, hidden };
}

interface Place {
  /** The name under which the value stands; of a list's items, the list's. */
  readonly member: string;
  readonly hidden: string[];
  readonly keepNone: boolean;
}

function walk(value: unknown, place: Place): unknown {
  if (typeof value === "string") return text(value, place);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => walk(item, place));
  return Object.fromEntries(Object.entries(value).map(([member, each]) => [member, walk(each, { ...place, member })]));
}

function text(value: string, { member, hidden, keepNone }: Place): string {
  const kept = !keepNone && !OPENING.has(member) && (KEPT.has(member) || IDENTIFIER.test(member));
  if (kept) return value;
  hidden.push(value);
  return `(${value.length} characters left out)`;
}

/** Shorter ones are words that stand everywhere. */
const SHORTEST_SECRET = 8;

/** Takes known texts out of another text, the longest first. */
export function scrubber(hidden: Iterable<string>): (text: string) => string {
  const known = [...new Set(hidden)].filter((each) => each.length >= SHORTEST_SECRET).toSorted((a, b) => b.length - a.length);
  return (text) => known.reduce((rest, each) => (rest.includes(each) ? rest.replaceAll(each, "(left out)") : rest), text);
}
