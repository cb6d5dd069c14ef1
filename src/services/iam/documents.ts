import { malformedPolicy } from "./errors.ts";

/** What kind of policy a document is: who may take a role on, or what its holder may do. */
export type DocumentKind = "trust" | "identity";

/**
 * Checks a policy document's form: JSON, version, and each statement's elements.
 * @throws AwsError MalformedPolicyDocument in AWS's words.
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
 */
export function checkDocument(text: string, kind: DocumentKind): void {
  const policy = parse(text);
  if (!isObject(policy)) throw malformedPolicy("Syntax errors in policy.");
  for (const key of Object.keys(policy))
    if (!["Version", "Id", "Statement"].includes(key)) throw malformedPolicy(`Syntax errors in policy: unknown element ${key}.`);
  if (policy["Version"] !== undefined && policy["Version"] !== "2012-10-17" && policy["Version"] !== "2008-10-17") {
    throw malformedPolicy("The policy must contain a valid version string.");
  }
  const statements = Array.isArray(policy["Statement"])
    ? (policy["Statement"] as unknown[])
    : policy["Statement"] === undefined
      ? []
      : [policy["Statement"]];
  if (statements.length === 0) throw malformedPolicy("Syntax errors in policy: it has no statement.");
  const sids = new Set<unknown>();
  for (const statement of statements) {
    if (!isObject(statement)) throw malformedPolicy("Syntax errors in policy: a statement is no object.");
    if (statement["Sid"] !== undefined && sids.has(statement["Sid"])) throw malformedPolicy("Statement IDs (SID) in a single policy must be unique.");
    sids.add(statement["Sid"]);
    checkStatement(statement, kind);
  }
}

const ELEMENTS = new Set(["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"]);

function checkStatement(statement: Readonly<Record<string, unknown>>, kind: DocumentKind): void {
  for (const key of Object.keys(statement)) if (!ELEMENTS.has(key)) throw malformedPolicy(`Syntax errors in policy: unknown element ${key}.`);
  if (statement["Effect"] === undefined) throw malformedPolicy("Missing required field Effect");
  if (statement["Effect"] !== "Allow" && statement["Effect"] !== "Deny")
    throw malformedPolicy(`Invalid effect: ${JSON.stringify(statement["Effect"])}`);
  const actions = texts(statement["Action"] ?? statement["NotAction"]);
  if (kind === "trust") {
    if (statement["Resource"] !== undefined || statement["NotResource"] !== undefined) throw malformedPolicy("Has prohibited field Resource");
    if (statement["Principal"] === undefined && statement["NotPrincipal"] === undefined) throw malformedPolicy("Missing required field Principal");
    if (actions.length === 0) throw malformedPolicy("Missing required field Action");
    const foreign = actions.find((action) => !/^(sts:|\*$)/i.test(action));
    if (foreign !== undefined) throw malformedPolicy("AssumeRole policy may only specify STS AssumeRole actions.");
    checkPrincipal(statement["Principal"] ?? statement["NotPrincipal"]);
    return;
  }
  if (statement["Principal"] !== undefined || statement["NotPrincipal"] !== undefined)
    throw malformedPolicy("Policy document should not specify a principal.");
  if (actions.length === 0) throw malformedPolicy("Policy statement must contain actions.");
  if (texts(statement["Resource"] ?? statement["NotResource"]).length === 0) throw malformedPolicy("Policy statement must contain resources.");
  const vendorless = actions.find((action) => action !== "*" && !/^[A-Za-z0-9-]+:[^:]*$/.test(action));
  if (vendorless !== undefined) throw malformedPolicy("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.");
}

function checkPrincipal(principal: unknown): void {
  if (principal === "*") return;
  const known = ["AWS", "Service", "Federated", "CanonicalUser"];
  if (!isObject(principal) || Object.keys(principal).length === 0) throw malformedPolicy(`Invalid principal in policy: ${JSON.stringify(principal)}`);
  for (const [type, value] of Object.entries(principal)) {
    if (!known.includes(type) || texts(value).length === 0)
      throw malformedPolicy(`Invalid principal in policy: ${JSON.stringify(type)}:${JSON.stringify(value)}`);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw malformedPolicy("This policy contains invalid Json");
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function texts(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  return Array.isArray(value) && value.every((item) => typeof item === "string") ? value : [];
}

/** Documents are URL-encoded in answers (RFC 3986). */
export function encodeDocument(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}
