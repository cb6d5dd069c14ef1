import { performance } from "node:perf_hooks";
import { constantLoad, more } from "../support/constant-load.ts";
import { until } from "../support/instance.ts";
import type { Stack } from "../support/stack.ts";
import { figure, ms } from "./figures.ts";

/** Asks the cluster's API server, on connections that are kept, as kubectl does within one call. */
export type Ask = <T>(method: "GET" | "POST" | "PATCH" | "DELETE", path: string, body?: unknown) => Promise<T>;

/** Its pods have to be on Fargate. */
export const ROLLED = "rolled";
const REPLICAS = 4;
const CORE = `/api/v1/namespaces/${ROLLED}`;
const DEPLOYMENTS = `/apis/apps/v1/namespaces/${ROLLED}/deployments`;
const INGRESSES = `/apis/networking.k8s.io/v1/namespaces/${ROLLED}/ingresses`;
/** It closes at once when it is told to end: that nothing fails is the load balancers' doing. */
const SERVE = ["sh", "-c", "hostname > /www/index.html; trap 'exit 0' TERM; httpd -f -p 8080 -h /www & wait"];

interface Deployment {
  readonly metadata: { readonly generation: number };
  readonly status: {
    readonly observedGeneration?: number;
    readonly replicas?: number;
    readonly updatedReplicas?: number;
    readonly readyReplicas?: number;
  };
}

interface Balanced {
  readonly status: { readonly loadBalancer: { readonly ingress?: readonly { readonly hostname: string }[] } };
}

/** A Deployment behind an Ingress' ALB and a Service's NLB is replaced while both are asked without a pause. */
export async function rollOut(ask: Ask, { image }: Stack): Promise<void> {
  await ask("POST", "/api/v1/namespaces", { metadata: { name: ROLLED, labels: { "elbv2.k8s.aws/pod-readiness-gate-inject": "enabled" } } });
  await until("there is a service account for pods", () => ask("GET", `${CORE}/serviceaccounts/default`));
  await until("the class alb is there", () => ask("GET", "/apis/networking.k8s.io/v1/ingressclasses/alb"));
  await ask("POST", `${CORE}/services`, service());
  await ask("POST", INGRESSES, ingress());
  const urls = [await urlOf(ask, `${INGRESSES}/web`), await urlOf(ask, `${CORE}/services/web`)];
  await until("new pods get their gates", async () => {
    const pod = { metadata: { name: "probe", labels: { app: "web" } }, spec: { containers: [{ name: "web", image }] } };
    const { spec } = await ask<{ readonly spec: { readonly readinessGates?: readonly unknown[] } }>("POST", `${CORE}/pods?dryRun=All`, pod);
    return spec.readinessGates?.length === 2;
  });
  const template = (version: string): unknown => ({
    metadata: { labels: { app: "web" }, annotations: { version } },
    spec: { containers: [{ name: "web", image, command: SERVE, ports: [{ name: "web", containerPort: 8080 }] }] },
  });
  const spec = { replicas: REPLICAS, selector: { matchLabels: { app: "web" } }, template: template("1") };
  await ask("POST", DEPLOYMENTS, { metadata: { name: "web" }, spec });
  await rolled(ask);
  const loads = urls.map((url) => constantLoad(url));
  for (const load of loads) await more(load, 50);
  const startedMs = performance.now();
  await ask("PATCH", `${DEPLOYMENTS}/web`, { spec: { template: template("2") } });
  await rolled(ask);
  const tookMs = performance.now() - startedMs;
  await until(
    "the pods of before are gone",
    async () => (await ask<{ readonly items: readonly unknown[] }>("GET", `${CORE}/pods`)).items.length === REPLICAS,
    120_000,
  );
  for (const load of loads) {
    await more(load, 50);
    await load[Symbol.asyncDispose]();
  }
  const failures = loads.flatMap((load) => load.failures);
  const [alb, nlb] = loads.map((load) => `${load.failures.length} of ${load.answered()} requests failed`);
  await figure("roll-out", `${REPLICAS} pods under constant load: ${ms(tookMs)}; through the ALB ${alb}, through the NLB ${nlb} (aim none)`, {
    replicas: REPLICAS,
    tookMs,
    requests: loads.reduce((sum, load) => sum + load.answered(), 0),
    failed: failures.length,
  });
  for (const failure of failures.slice(0, 5)) console.error(`  ${failure}`);
  await ask("DELETE", `${DEPLOYMENTS}/web?propagationPolicy=Foreground`);
  await ask("DELETE", `${INGRESSES}/web`);
  await ask("DELETE", `${CORE}/services/web`);
  await until(
    "the pods are gone",
    async () => (await ask<{ readonly items: readonly unknown[] }>("GET", `${CORE}/pods`)).items.length === 0,
    120_000,
  );
}

async function urlOf(ask: Ask, path: string): Promise<string> {
  return until(`${path} has a name`, async () => {
    const { status } = await ask<Balanced>("GET", path);
    const hostname = status.loadBalancer.ingress?.[0]?.hostname;
    return hostname === undefined ? undefined : `http://${hostname}/`;
  });
}

function rolled(ask: Ask): Promise<unknown> {
  return until(
    "all pods are of the last template, and ready",
    async () => {
      const { metadata, status } = await ask<Deployment>("GET", `${DEPLOYMENTS}/web`);
      const { observedGeneration, replicas, updatedReplicas, readyReplicas } = status;
      return observedGeneration === metadata.generation && [replicas, updatedReplicas, readyReplicas].every((count) => count === REPLICAS);
    },
    300_000,
  );
}

function service(): unknown {
  const prefix = "service.beta.kubernetes.io/aws-load-balancer-";
  const annotations = { [`${prefix}nlb-target-type`]: "ip", [`${prefix}healthcheck-interval`]: "5", [`${prefix}healthcheck-timeout`]: "2" };
  const spec = { type: "LoadBalancer", selector: { app: "web" }, ports: [{ name: "http", port: 80, targetPort: "web" }] };
  return { metadata: { name: "web", annotations }, spec };
}

function ingress(): unknown {
  const prefix = "alb.ingress.kubernetes.io/";
  const annotations = {
    [`${prefix}target-type`]: "ip",
    [`${prefix}healthcheck-interval-seconds`]: "5",
    [`${prefix}healthcheck-timeout-seconds`]: "2",
  };
  const backend = { service: { name: "web", port: { name: "http" } } };
  const spec = { ingressClassName: "alb", rules: [{ http: { paths: [{ path: "/", pathType: "Prefix", backend }] } }] };
  return { metadata: { name: "web", annotations }, spec };
}
