/** Which of the ports that the operator wants published lead somewhere, and why the others do not yet. Pure. */
import type { ListenerRecord, LoadBalancerRecord, LoadBalancerStatus } from "../../contracts/load-balancing.ts";
import type { PublishedPort } from "../../contracts/network.ts";
import type { Publication } from "../../core/config.ts";
import type { Scope } from "../../core/scope.ts";

export interface PublishFacts {
  readonly balancers: readonly LoadBalancerRecord[];
  /** By the load balancer's ARN. */
  readonly statuses: ReadonlyMap<string, LoadBalancerStatus>;
  readonly listeners: readonly ListenerRecord[];
  /** The instance's own account and region: where a name is looked up first. */
  readonly home: Scope;
}

export type PlannedPublication =
  | { readonly publication: Publication; readonly port: PublishedPort }
  /** It waits; `reason` says for what, and what to do. */
  | { readonly publication: Publication; readonly reason: string };

/** What each publication comes to, in order. */
export function planPublish(publications: readonly Publication[], facts: PublishFacts): readonly PlannedPublication[] {
  return publications.map((publication) => ({ publication, ...resolve(publication, facts) }));
}

function resolve({ address, port, loadBalancer }: Publication, facts: PublishFacts): { readonly port: PublishedPort } | { readonly reason: string } {
  const found = find(loadBalancer, facts);
  if (typeof found === "string") return { reason: found };
  const status = facts.statuses.get(found.arn);
  const target = status?.addresses[0]?.ip;
  if (target === undefined)
    return { reason: `load balancer ${loadBalancer} has no address yet${status?.reason === undefined ? "" : `: ${status.reason}`}` };
  const ports = facts.listeners.filter((listener) => listener.loadBalancerArn === found.arn).map((listener) => listener.port);
  if (ports.includes(port)) return { port: { address, port, vpcId: found.vpcId, target } };
  const has = ports.length === 0 ? "none at all" : `listeners on ${ports.toSorted((a, b) => a - b).join(", ")}`;
  return { reason: `load balancer ${loadBalancer} has no listener on port ${port} (it has ${has}): create one, or publish another port` };
}

/** The load balancer, or words on why there is none. */
function find(wanted: string, { balancers, home }: PublishFacts): LoadBalancerRecord | string {
  const live = balancers.filter(({ deleting }) => !deleting);
  const byArn = live.find(({ arn }) => arn === wanted);
  if (byArn !== undefined) return byArn;
  const named = live.filter(({ name }) => name === wanted);
  const own = named.find(({ account, region }) => account === home.account && region === home.region);
  if (own !== undefined) return own;
  const [only, ...more] = named;
  if (only === undefined) return `there is no load balancer ${wanted} yet: the port opens when it comes`;
  if (more.length === 0) return only;
  return `${named.length} load balancers are named ${wanted}, in ${named.map(({ account, region }) => `${account}/${region}`).join(", ")}: publish one by its ARN`;
}
