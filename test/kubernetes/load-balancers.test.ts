import { DescribeLoadBalancersCommand, type LoadBalancer } from "@aws-sdk/client-elastic-load-balancing-v2";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { call } from "../loadbalancer/support/lab.ts";
import { constantLoad, more } from "../support/constant-load.ts";
import { removeWithoutTrace } from "../support/host-state.ts";
import { startInstance, type TestInstance, until } from "../support/instance.ts";
import { createCluster, deleteCluster, type TestCluster } from "./support/cluster.ts";

/** A Service's network load balancer and an Ingress' application load balancer, before a real Deployment: reached, rolled out under load, left alone, taken away. */

interface Balanced {
  readonly metadata: { readonly finalizers?: readonly string[] };
  readonly status: { readonly loadBalancer: { readonly ingress?: readonly { readonly hostname: string }[] } };
}

interface Pods {
  readonly items: readonly {
    readonly spec: { readonly readinessGates?: readonly { readonly conditionType: string }[] };
    readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
  }[];
}

let instance: TestInstance;
let shop: TestCluster;
beforeAll(async () => {
  instance = await startInstance();
  shop = await createCluster(instance);
}, 45 * 60_000);
afterAll(() => removeWithoutTrace(instance));

const SERVICE = "service.beta.kubernetes.io/aws-load-balancer-";
const INGRESS = "alb.ingress.kubernetes.io/";
const GATE = "target-health.elbv2.k8s.aws/";

const service = (more: object = {}): object => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: {
    name: "web",
    namespace: "default",
    annotations: { [`${SERVICE}nlb-target-type`]: "ip", [`${SERVICE}healthcheck-interval`]: "5", [`${SERVICE}healthcheck-timeout`]: "2" },
  },
  spec: { type: "LoadBalancer", selector: { app: "web" }, ports: [{ name: "http", port: 80, targetPort: "web" }], ...more },
});

const ingress = (more: Readonly<Record<string, string>> = {}): object => ({
  apiVersion: "networking.k8s.io/v1",
  kind: "Ingress",
  metadata: {
    name: "web",
    namespace: "default",
    annotations: {
      [`${INGRESS}target-type`]: "ip",
      [`${INGRESS}load-balancer-name`]: "shop-web",
      [`${INGRESS}healthcheck-interval-seconds`]: "5",
      [`${INGRESS}healthcheck-timeout-seconds`]: "2",
      [`${INGRESS}actions.closed`]: JSON.stringify({ type: "fixed-response", fixedResponseConfig: { statusCode: "418", messageBody: "closed" } }),
      ...more,
    },
  },
  spec: {
    ingressClassName: "alb",
    rules: [
      {
        host: "closed.example.com",
        http: { paths: [{ path: "/", pathType: "Prefix", backend: { service: { name: "closed", port: { name: "use-annotation" } } } }] },
      },
      { http: { paths: [{ path: "/", pathType: "Prefix", backend: { service: { name: "web", port: { name: "http" } } } }] } },
    ],
  },
});

const deployment = (image: string): object => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web", namespace: "default" },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: "web" } },
    template: {
      metadata: { labels: { app: "web" } },
      spec: {
        containers: [
          {
            name: "web",
            image,
            // It closes at once when it is told to end.
            command: ["sh", "-c", "hostname > /www/index.html; trap 'exit 0' TERM; httpd -f -p 8080 -h /www & wait"],
            ports: [{ name: "web", containerPort: 8080 }],
          },
        ],
      },
    },
  },
});

async function hostnameOf(kind: "service" | "ingress"): Promise<string> {
  return until(`the ${kind} has a name`, async () => (await shop.get<Balanced>(kind, "web")).status.loadBalancer.ingress?.[0]?.hostname);
}

/** An address of this host that no other instance publishes. */
const ownLoopback = (index: number): string => ["127", ...Buffer.from(instance.instanceId, "hex").subarray(0, 2), index + 1].join(".");

const balancers = async (): Promise<readonly LoadBalancer[]> => (await shop.stack.elb.send(new DescribeLoadBalancersCommand({}))).LoadBalancers ?? [];

test(
  "a deployment behind a Service and an Ingress is rolled out without a failed request, and its load balancers go",
  { timeout: 8 * 60_000 },
  async () => {
    const { kubectl, apply, stack } = shop;
    await shop.profile({ namespace: "default" });
    await kubectl("label", "namespace", "default", "elbv2.k8s.aws/pod-readiness-gate-inject=enabled");
    const begunMs = systemClock.steadyMs();
    await until("the class alb is there", async () => (await kubectl("get", "ingressclass", "--output", "name")).includes("/alb"));
    await apply(service(), ingress());
    const [network, application] = [await hostnameOf("service"), await hostnameOf("ingress")];
    console.log(`both load balancers have their names: ${Math.round(systemClock.steadyMs() - begunMs)} ms`);
    expect(network).toMatch(/^k8s-default-web-[0-9a-f]{10}-[0-9a-f]{16}\./);
    expect(application).toMatch(/^shop-web-/);
    const made = await balancers();
    expect(new Map(made.map(({ Type, DNSName }) => [Type, DNSName]))).toEqual(
      new Map([
        ["application", application],
        ["network", network],
      ]),
    );

    // A pod that the API server makes now waits for both of its target groups.
    const probe = ["run", "probe", "--image", stack.image, "--labels", "app=web", "--dry-run=server", "--output", "json"];
    await until("new pods get their gates", async () => {
      const { spec } = JSON.parse(await kubectl(...probe)) as Pods["items"][number];
      return spec.readinessGates?.filter(({ conditionType }) => conditionType.startsWith(GATE)).length === 2;
    });
    await apply(deployment(stack.image));
    await kubectl("rollout", "status", "deployment/web", "--timeout=100s");
    for (const { spec, status } of (await shop.get<Pods>("pods", "--selector", "app=web")).items) {
      const gates = spec.readinessGates?.map(({ conditionType }) => conditionType) ?? [];
      expect(gates).toHaveLength(2);
      for (const gate of gates) expect(status.conditions?.find(({ type }) => type === gate)?.status).toBe("True");
    }
    for (const host of [network, application]) expect((await call(`http://${host}/`)).body).toMatch(/^web-/);
    expect(await call(`http://${application}/`, { headers: { host: "closed.example.com" } })).toMatchObject({ status: 418, body: "closed" });

    {
      await using throughIngress = constantLoad(`http://${application}/`);
      await using throughService = constantLoad(`http://${network}/`);
      await kubectl("rollout", "restart", "deployment/web");
      await kubectl("rollout", "status", "deployment/web", "--timeout=110s");
      await until("the pods of before are gone", async () => (await shop.get<Pods>("pods", "--selector", "app=web")).items.length === 2, 60_000);
      for (const load of [throughIngress, throughService]) await more(load, 20);
      console.log(`a roll-out under ${throughIngress.answered()} and ${throughService.answered()} requests`);
      // Tidegate goes and comes back: nothing fails, and nothing is made anew.
      await instance.kill();
      for (const load of [throughIngress, throughService]) await more(load, 20);
      const published = made.map(({ LoadBalancerName = "" }, index) => ({ name: LoadBalancerName, address: ownLoopback(index) }));
      await instance.up(published.flatMap(({ name, address }) => ["--publish", `${address}:80=${name}`]));
      for (const { address } of published) expect((await call(`http://${address}/`)).body).toMatch(/^web-/);
      await kubectl("scale", "deployment/web", "--replicas", "3");
      await kubectl("rollout", "status", "deployment/web", "--timeout=100s");
      expect(throughIngress.failures).toEqual([]);
      expect(throughService.failures).toEqual([]);
    }
    const arnsOf = (all: typeof made): ReadonlySet<unknown> => new Set(all.map(({ LoadBalancerArn }) => LoadBalancerArn));
    expect(arnsOf(await balancers())).toEqual(arnsOf(made));

    // What cannot be done is said, and what is there goes on.
    await apply(ingress({ [`${INGRESS}ssl-redirect`]: "443" }));
    const events = [
      "get",
      "events",
      "--field-selector",
      "involvedObject.kind=Ingress,reason=FailedBuildModel",
      "--output",
      "jsonpath={.items[*].message}",
    ];
    await until("the Ingress' author is told", async () =>
      (await kubectl(...events)).includes(`annotation ${INGRESS}ssl-redirect: HTTPS listeners are not built yet`),
    );
    expect((await call(`http://${application}/`)).status).toBe(200);

    await apply(service({ type: "ClusterIP" }));
    await until("the network load balancer is gone", async () => (await balancers()).every(({ Type }) => Type === "application"));
    const left = await until("the Service is as it was", async () => {
      const found = await shop.get<Balanced>("service", "web");
      return found.metadata.finalizers === undefined && found;
    });
    expect(left.status.loadBalancer.ingress).toBeUndefined();

    // A cluster takes with it what its Ingresses had.
    await kubectl("delete", "deployment", "web", "--cascade=foreground", "--timeout=100s");
    await shop.deleteProfile();
    await deleteCluster(shop);
    expect(await balancers()).toEqual([]);
    expect((await instance.aws<{ readonly TargetGroups: readonly unknown[] }>("elbv2", "describe-target-groups")).TargetGroups).toEqual([]);
    const groups = await instance.aws<{ readonly SecurityGroups: readonly { readonly GroupName: string }[] }>("ec2", "describe-security-groups");
    expect(groups.SecurityGroups.map(({ GroupName }) => GroupName).filter((name) => /^(k8s|eks|shop)-/.test(name))).toEqual([]);
  },
);
