import type { V1Ingress, V1IngressClass, V1Service } from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import { ingressStack, membersOf } from "./ingress-group.ts";
import type { Model } from "./model.ts";
import { planIngress } from "./plan-ingress.ts";

const CLUSTER = { name: "shop", uid: "0123" };
const PREFIX = "alb.ingress.kubernetes.io/";
const CLASSES: readonly V1IngressClass[] = [
  { metadata: { name: "alb" }, spec: { controller: "ingress.k8s.aws/alb" } },
  {
    metadata: { name: "params" },
    spec: { controller: "ingress.k8s.aws/alb", parameters: { apiGroup: "elbv2.k8s.aws", kind: "IngressClassParams", name: "inner" } },
  },
  { metadata: { name: "nginx" }, spec: { controller: "k8s.io/ingress-nginx" } },
];

const SERVICES: readonly V1Service[] = ["web", "api"].map((name) => ({
  metadata: { name, namespace: "default", uid: `u-${name}`, ...(name === "api" && { annotations: { [`${PREFIX}healthcheck-path`]: "/api/up" } }) },
  spec: {
    selector: { app: name },
    ports: [
      { name: "http", port: 80, targetPort: "http" },
      { name: "admin", port: 81, targetPort: 9000 },
    ],
  },
}));

type Paths = NonNullable<NonNullable<NonNullable<V1Ingress["spec"]>["rules"]>[number]["http"]>["paths"];

function to(name: string, port: string | number = 80) {
  return { service: { name, port: typeof port === "number" ? { number: port } : { name: port } } };
}

function path(text: string, backend = to("web"), pathType = "Prefix"): Paths[number] {
  return { path: text, pathType, backend };
}

function ingress(
  name: string,
  paths: Paths,
  { host, spec = {}, ...notes }: { host?: string; spec?: Partial<V1Ingress["spec"]>; [note: string]: unknown } = {},
): V1Ingress {
  const own = Object.entries(notes).map(([note, value]) => [`${PREFIX}${note}`, typeof value === "string" ? value : JSON.stringify(value)]);
  return {
    metadata: { name, namespace: "default", uid: `i-${name}`, annotations: Object.fromEntries(own) as Record<string, string> },
    spec: { ingressClassName: "alb", rules: [{ ...(host !== undefined && { host }), http: { paths } }], ...spec },
  };
}

function plan(...ingresses: readonly V1Ingress[]): Model {
  const stack = ingressStack(ingresses[0] ?? {});
  const service = (namespace: string, name: string): V1Service | undefined =>
    SERVICES.find(({ metadata }) => metadata?.namespace === namespace && metadata.name === name);
  return planIngress({ cluster: CLUSTER, stack, members: membersOf(stack.id, ingresses, CLASSES), classes: CLASSES, service });
}

const conditionsOf = (model: Model): readonly unknown[] => model.listeners[0]?.rules.map(({ conditions }) => conditions) ?? [];

describe("the model of an Ingress", () => {
  it("is an application load balancer whose rules lead to groups of pods, each service and port once", () => {
    const model = plan(ingress("web", [path("/", to("web", "http")), path("/admin", to("web", 81)), path("/again")], { host: "a.example.com" }));
    expect(model.balancer).toMatchObject({
      name: expect.stringMatching(/^k8s-default-web-[0-9a-f]{10}$/) as unknown,
      type: "application",
      scheme: "internal",
      tags: { "ingress.k8s.aws/stack": "default/web", "ingress.k8s.aws/resource": "LoadBalancer" },
    });
    expect(model.groups.map(({ id, port, source }) => [id, port, source.portName])).toEqual([
      // In the order of the rules.
      ["default/web-web:admin", 9000, "admin"],
      ["default/web-web:http", 1, "http"],
    ]);
    expect(model.groups[0]?.healthCheck).toEqual({
      protocol: "HTTP",
      port: "traffic-port",
      path: "/",
      intervalSeconds: 15,
      timeoutSeconds: 5,
      healthyThreshold: 2,
      unhealthyThreshold: 2,
      matcher: "200",
    });
    expect(model.listeners).toMatchObject([{ port: 80, protocol: "HTTP", action: { type: "fixed-response", statusCode: "404" } }]);
    expect(model.listeners[0]?.rules[1]).toEqual({
      conditions: [
        { field: "host-header", values: ["a.example.com"] },
        { field: "path-pattern", values: ["/again", "/again/*"] },
      ],
      action: { type: "forward", targets: [{ groupId: "default/web-web:http", weight: 1 }] },
    });
  });

  it("tries exact paths before prefixes, longer prefixes before shorter ones, and the others last", () => {
    const model = plan(
      ingress("web", [
        path("/x*", to("web"), "ImplementationSpecific"),
        path("/"),
        path("/a/b/"),
        path("/a"),
        path("/exact", to("web"), "Exact"),
        path("", to("web"), "ImplementationSpecific"),
      ]),
    );
    expect(conditionsOf(model)).toEqual(
      [["/exact"], ["/a/b", "/a/b/*"], ["/a", "/a/*"], ["/*"], ["/x*"], ["/*"]].map((values) => [{ field: "path-pattern", values }]),
    );
  });

  it("takes its default backend, ports and attributes", () => {
    const notes = {
      "listen-ports": [{ HTTP: 8080 }, { HTTP: 80 }],
      "load-balancer-attributes": "idle_timeout.timeout_seconds=90",
      "inbound-cidrs": "10.0.0.0/8,192.0.2.0/24",
    };
    const model = plan(ingress("web", [path("/x")], { ...notes, spec: { defaultBackend: to("api", "admin") } }));
    expect(model.listeners.map(({ port, rules, action }) => [port, rules.length, action])).toEqual(
      [80, 8080].map((port) => [port, 1, { type: "forward", targets: [{ groupId: "default/web-api:admin", weight: 1 }] }]),
    );
    expect(model.balancer).toMatchObject({
      attributes: { "idle_timeout.timeout_seconds": "90" },
      access: { kind: "managed", cidrs: ["10.0.0.0/8", "192.0.2.0/24"] },
    });
    expect(model.groups.find(({ source }) => source.service === "api")?.healthCheck.path).toBe("/api/up");
  });

  it("acts as actions.<name> says, and adds what conditions.<name> says", () => {
    const model = plan(
      ingress(
        "web",
        [path("/gone", to("gone", "use-annotation")), path("/old", to("old", "use-annotation")), path("/split", to("split", "use-annotation"))],
        {
          host: "a.example.com",
          "actions.gone": { type: "fixed-response", fixedResponseConfig: { contentType: "text/plain", statusCode: "410", messageBody: "gone" } },
          "actions.old": { type: "redirect", redirectConfig: { path: "/new", statusCode: "HTTP_301" } },
          "actions.split": {
            type: "forward",
            forwardConfig: {
              targetGroups: [
                { serviceName: "web", servicePort: "http", weight: 9 },
                { serviceName: "api", servicePort: 80 },
                { targetGroupARN: "arn:x", weight: 0 },
              ],
            },
          },
          "conditions.gone": [
            { field: "host-header", hostHeaderConfig: { values: ["b.example.com"] } },
            { field: "http-header", httpHeaderConfig: { httpHeaderName: "X-A", values: ["1"] } },
            { field: "query-string", queryStringConfig: { values: [{ key: "v", value: "2" }] } },
          ],
        },
      ),
    );
    const rules = new Map(model.listeners[0]?.rules.map(({ action, conditions }) => [action.type, { action, conditions }]));
    expect(rules.get("fixed-response")).toEqual({
      action: { type: "fixed-response", statusCode: "410", contentType: "text/plain", messageBody: "gone" },
      conditions: [
        { field: "host-header", values: ["a.example.com", "b.example.com"] },
        { field: "path-pattern", values: ["/gone", "/gone/*"] },
        { field: "http-header", name: "X-A", values: ["1"] },
        { field: "query-string", pairs: [{ key: "v", value: "2" }] },
      ],
    });
    expect(rules.get("redirect")?.action).toEqual({ type: "redirect", statusCode: "HTTP_301", path: "/new" });
    expect(rules.get("forward")?.action).toEqual({
      type: "forward",
      targets: [
        { groupId: "default/web-web:http", weight: 9 },
        { groupId: "default/web-api:http", weight: 1 },
        { arn: "arn:x", weight: 0 },
      ],
    });
  });
});

describe("a group of Ingresses", () => {
  it("shares one load balancer, in the order of group.order and then of names", () => {
    const group = { "group.name": "front" };
    const [b, a, first] = [
      ingress("b", [path("/b")], group),
      ingress("a", [path("/a")], { ...group, tags: "team=core" }),
      ingress("z", [path("/z")], { ...group, "group.order": "-1" }),
    ];
    const elsewhere = ingress("other", [path("/o")], { ...group, spec: { ingressClassName: "nginx" } });
    const model = plan(b, a, first, elsewhere);
    expect(conditionsOf(model)).toEqual(
      [
        ["/z", "/z/*"],
        ["/a", "/a/*"],
        ["/b", "/b/*"],
      ].map((values) => [{ field: "path-pattern", values }]),
    );
    expect(model.balancer.name).toMatch(/^k8s-front-[0-9a-f]{10}$/);
    expect(model.balancer.tags).toMatchObject({ team: "core", "ingress.k8s.aws/stack": "front" });
  });

  it("listens for each on its own ports", () => {
    const group = { "group.name": "front" };
    const model = plan(ingress("a", [path("/a")], group), ingress("b", [path("/b")], { ...group, "listen-ports": [{ HTTP: 81 }] }));
    expect(model.listeners.map(({ port, rules }) => [port, rules.length])).toEqual([
      [80, 1],
      [81, 1],
    ]);
  });

  it("is refused when its members disagree", () => {
    const group = { "group.name": "front" };
    const clash = (one: object, two: object) => () =>
      plan(ingress("a", [path("/a")], { ...group, ...one }), ingress("b", [path("/b")], { ...group, ...two }));
    expect(clash({ scheme: "internal" }, { scheme: "internet-facing" })).toThrow("conflicting scheme: Ingresses default/a and default/b");
    expect(clash({ tags: "team=a" }, { tags: "team=b" })).toThrow("conflicting tags team");
    const both = { spec: { defaultBackend: to("web") } };
    expect(clash(both, both)).toThrow("both have a defaultBackend");
  });
});

describe("what cannot be done is refused with words", () => {
  it.each<[string, () => Model, string]>([
    ["HTTPS", () => plan(ingress("web", [path("/")], { "listen-ports": [{ HTTPS: 443 }] })), "listen-ports: HTTPS listeners are not built yet"],
    ["a certificate", () => plan(ingress("web", [path("/")], { "certificate-arn": "arn:x" })), "certificate-arn: HTTPS listeners are not built yet"],
    ["an instance as target", () => plan(ingress("web", [path("/")], { "target-type": "instance" })), "target-type instance cannot reach pods"],
    ["an annotation nobody knows", () => plan(ingress("web", [path("/")], { "wafv2-acl-arn": "arn:x" })), "wafv2-acl-arn: not built yet; remove it"],
    ["a service that is not there", () => plan(ingress("web", [path("/", to("none"))])), "there is no service default/none"],
    ["a port that is not there", () => plan(ingress("web", [path("/", to("web", 99))])), "the service default/web has no port 99"],
    ["an action that is not there", () => plan(ingress("web", [path("/", to("x", "use-annotation"))])), "there is no annotation actions.x"],
    ["wildcards in a prefix", () => plan(ingress("web", [path("/a*")])), "a path of type Prefix has no wildcards: /a*"],
    [
      "a class with parameters",
      () => plan(ingress("web", [path("/")], { spec: { ingressClassName: "params" } })),
      "the IngressClass params has parameters (IngressClassParams inner), which are not built: say it by annotations of the Ingress",
    ],
    ["a condition that is none", () => plan(ingress("web", [path("/")], { "conditions.web": [7] })), "conditions.web: 7 is no object"],
    ["a condition of nothing", () => plan(ingress("web", [path("/")], { "conditions.web": [null] })), "is no field of a condition"],
    [
      "a condition whose values are no list",
      () => plan(ingress("web", [path("/")], { "conditions.web": [{ field: "host-header", hostHeaderConfig: { values: 5 } }] })),
      "conditions.web: 5 is no list",
    ],
    ...(
      [
        ["null", "actions of type undefined are not built"],
        [{ type: "forward", forwardConfig: { targetGroups: "web" } }, '"web" is no list'],
        [{ type: "forward", forwardConfig: { targetGroups: [null] } }, "name a service and its port"],
        [{ type: "fixed-response", fixedResponseConfig: { statusCode: 410 } }, "410 is no text: write it in quotes"],
      ] as const
    ).map(([action, words]): [string, () => Model, string] => [
      `the action ${JSON.stringify(action)}`,
      () => plan(ingress("web", [path("/", to("x", "use-annotation"))], { "actions.x": action })),
      words,
    ]),
    ["a group of no name", () => plan(ingress("web", [path("/")], { "group.name": "default/api" })), "group.name: the name of a group has"],
    ["JSON that is none", () => plan(ingress("web", [path("/")], { "listen-ports": "80" })), "listen-ports: use a list"],
  ])("%s", (_what, work, words) => {
    expect(work).toThrow(words);
  });
});
