import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { run } from "../../host/run.ts";
import { word } from "./escape.ts";
import { haproxyConfig } from "./haproxy-config.ts";
import type { Backend, Frontend, ProxyModel, ProxyRule } from "./proxy-model.ts";
import { serverStateFile } from "./server-state.ts";

const check = {
  protocol: "HTTP",
  port: "traffic-port",
  path: "/health?deep=1",
  intervalSeconds: 30,
  timeoutSeconds: 5,
  healthyThreshold: 5,
  unhealthyThreshold: 2,
  matcher: "200-299, 301",
} as const;

const backend: Backend = {
  name: "tg-73e2d6bc24d8a067",
  mode: "http",
  algorithm: "roundrobin",
  idleTimeoutSeconds: 60,
  forwardedFor: "append",
  sourceIp: "127.0.0.1",
  healthCheck: check,
  sendProxy: false,
  servers: [{ name: "10.0.0.5:3000_ab12cd34", ip: "10.0.0.5", port: 3000 }],
};

const frontend: Frontend = {
  id: "0467ef3c8400ae65",
  mode: "http",
  addresses: ["127.0.0.1", "127.0.0.2"],
  port: 80,
  idleTimeoutSeconds: 60,
  forwardedFor: "append",
  rules: [],
  action: { type: "forward", backends: [{ name: backend.name, weight: 1 }] },
};

function model(parts: Partial<ProxyModel> = {}): ProxyModel {
  const place = { owner: "tidegate ab12cd vpc-1", instanceId: "ab12cd", socketPath: "/run/lb.sock", stateFile: "/data/server-state" };
  return { ...place, hardStopSeconds: 3600, frontends: [frontend], backends: [backend], ...parts };
}

async function refusalOf(text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tg-cfg-"));
  try {
    await writeFile(join(folder, "haproxy.cfg"), text);
    const { code, stderr } = await run(["/usr/sbin/haproxy", "-c", "-f", join(folder, "haproxy.cfg")], { okCodes: [0, 1] });
    return code === 0 ? "" : stderr;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

describe("haproxyConfig", () => {
  it("writes each listener as a frontend and each group as a backend", () => {
    const lines = haproxyConfig(model()).text.split("\n");
    expect(lines).toContain("frontend ls-0467ef3c8400ae65");
    expect(lines).toContain("  bind 127.0.0.1:80 proto h1");
    expect(lines).toContain("  bind 127.0.0.2:80 proto h1");
    expect(lines).toContain("  default_backend tg-73e2d6bc24d8a067");
    expect(lines).toContain("  http-check expect status 200-299,301");
    expect(lines).toContain("  hard-stop-after 3600s");
    expect(lines).toContain(
      "  server 10.0.0.5:3000_ab12cd34 10.0.0.5:3000 check inter 30s fall 2 rise 5 sni var(txn.fresh) pool-max-conn -1 pool-purge-delay 1s",
    );
    expect(lines).toContain("  option allbackups");
    expect(lines).toContain("  server 10.0.0.5:3000_ab12cd34_open 10.0.0.5:3000 backup sni var(txn.fresh) pool-max-conn -1 pool-purge-delay 1s");
  });

  it("keeps its structure when targets come and go, and changes it with all else", () => {
    const { structure } = haproxyConfig(model());
    expect(haproxyConfig(model({ backends: [{ ...backend, servers: [] }] })).structure).toBe(structure);
    expect(haproxyConfig(model({ backends: [{ ...backend, healthCheck: { ...check, intervalSeconds: 10 } }] })).structure).not.toBe(structure);
    expect(haproxyConfig(model({ frontends: [{ ...frontend, port: 81 }] })).structure).not.toBe(structure);
    expect(haproxyConfig(model()).text).toContain(`structure=${structure}"`);
  });

  it("is accepted by HAProxy with every kind of action, check and hostile text", async () => {
    const hostile = "a \"b\" 'c' $HOME %[env(HOME)] \\ # {}\nglobal\n  chroot /\u00fc";
    const actions: Frontend["action"][] = [
      { type: "forward", backends: [] },
      { type: "fixed-response", statusCode: "404", contentType: "text/plain", messageBody: hostile },
      { type: "fixed-response", statusCode: "204" },
      { type: "fixed-response", statusCode: "204", messageBody: "none" },
      // As the API takes it; refused, it would hold up every load balancer of the VPC.
      { type: "fixed-response", statusCode: "200", contentType: "text/plain", messageBody: "" },
      { type: "fixed-response", statusCode: "200", messageBody: "\0" },
      { type: "fixed-response", statusCode: "200", contentType: "", messageBody: "all is well" },
      { type: "fixed-response", statusCode: "200", messageBody: "\u{1f600}".repeat(512) },
      {
        type: "redirect",
        statusCode: "HTTP_302",
        protocol: "#{protocol}",
        host: "#{host}",
        port: "#{port}",
        path: `/${hostile}#{path}`,
        query: "x=#{query}",
      },
    ];
    const frontends = actions.map((action, index) => ({
      ...frontend,
      id: `0467ef3c8400ae6${index.toString(16)}`,
      port: 8000 + index,
      action,
      forwardedFor: "remove" as const,
    }));
    const checks = [
      { ...check, path: `/${hostile}` },
      { ...check, protocol: "HTTPS" as const, port: "9000" },
      { ...check, protocol: "TCP" as const },
    ];
    const backends = checks.map((healthCheck, index) => ({
      ...backend,
      name: `tg-73e2d6bc24d8a06${index}`,
      healthCheck,
      algorithm: "leastconn" as const,
    }));
    const place = { socketPath: join(tmpdir(), "tg-cfg.sock"), stateFile: "/nonexistent/state" };
    const { text } = haproxyConfig(model({ ...place, user: "haproxy", frontends, backends }));
    expect(await refusalOf(text)).toBe("");
    expect(text).not.toMatch(/^\s*chroot/m);
  });
});

describe("rules", () => {
  const rule = (id: string, conditions: ProxyRule["conditions"], action: ProxyRule["action"] = frontend.action): ProxyRule => ({
    id: id.padStart(16, "0"),
    conditions,
    action,
  });
  const every: ProxyRule["conditions"] = [
    { field: "host-header", values: ["shop.example.com", "*.example.com", "a?.b*"] },
    { field: "path-pattern", values: ["/api/*", "/x.y/(z)|*$", "/"] },
    { field: "http-header", name: "X-A", values: ["*#{}' \"Chrome*", "\0", "a\0*"] },
    { field: "http-request-method", values: ["GET", "M-SEARCH"] },
    { field: "query-string", pairs: [{ key: "v", value: "1*" }, { value: "a.b" }] },
    { field: "source-ip", values: ["10.0.0.0/8", "192.0.2.1/32"] },
  ];

  it("finds the first rule that matches before anything is answered, and is accepted by HAProxy with every condition", async () => {
    const two = {
      type: "forward",
      backends: [
        { name: backend.name, weight: 3 },
        { name: "tg-b", weight: 1 },
        { name: "tg-c", weight: 0 },
      ],
    } as const;
    const rules = [
      rule("1", every, two),
      rule("2", [{ field: "path-pattern", values: ["/gone"] }], { type: "fixed-response", statusCode: "410" }),
      rule("3", [{ field: "host-header", values: ["old"] }], { type: "forward", backends: [] }),
    ];
    const backends = [backend, { ...backend, name: "tg-b" }, { ...backend, name: "tg-c" }];
    const place = { socketPath: join(tmpdir(), "tg-cfg.sock"), stateFile: "/nonexistent/state" };
    const fronts = [frontend, { ...frontend, id: "0467ef3c8400ae66", port: 81, action: two, rules: [] }].map((each, index) => ({
      ...each,
      rules: index === 0 ? rules : [],
    }));
    const { text } = haproxyConfig(model({ ...place, frontends: fronts, backends }));
    expect(await refusalOf(text)).toBe("");
    const lines = text.split("\n").map((line) => line.trim());
    expect(lines).toContain("http-request set-var(txn.rule) str(next) if { stopping }");
    expect(lines).toContain("http-request set-var(txn.rule) str(0000000000000002) if !{ var(txn.rule) -m found } r-0000000000000002-0");
    expect(lines).toContain("acl r-0000000000000001-0 req.hdr(host),field(1,:) -m end -i -- .example.com");
    expect(lines).toContain("acl r-0000000000000001-1 path -m beg -- /api/");
    expect(lines).toContain("http-request return status 410 hdr Server awselb/2.0 if { var(txn.rule) -m str 0000000000000002 }");
    expect(lines).toContain("http-request set-var(txn.draw) rand(4) if { var(txn.rule) -m str 0000000000000001 }");
    expect(lines).toContain(`use_backend ${backend.name} if { var(txn.rule) -m str 0000000000000001 } { var(txn.draw) -m int lt 3 }`);
    expect(lines).toContain("use_backend tg-b if { var(txn.rule) -m str 0000000000000001 }");
    expect(lines).toContain("use_backend no-target if { var(txn.rule) -m str 0000000000000003 }");
    expect(lines).not.toContain("use_backend tg-c if { var(txn.rule) -m str 0000000000000001 }");
  });
});

describe("a network load balancer's configuration", () => {
  it("carries connections only, with PROXY protocol where the group wants it, and is accepted by HAProxy", async () => {
    const tcp = { ...backend, mode: "tcp", healthCheck: { ...check, protocol: "TCP" }, idleTimeoutSeconds: 350 } as const;
    const backends: Backend[] = [
      { ...tcp, sendProxy: true },
      { ...tcp, name: "tg-b", algorithm: "source", healthCheck: check },
    ];
    const fronts: Frontend[] = backends.map(({ name }, index) => ({
      ...frontend,
      mode: "tcp",
      id: `0467ef3c8400ae6${index}`,
      port: 9000 + index,
      action: { type: "forward", backends: [{ name, weight: 1 }] },
    }));
    const place = { socketPath: join(tmpdir(), "tg-cfg.sock"), stateFile: "/nonexistent/state" };
    const { text } = haproxyConfig(model({ ...place, frontends: fronts, backends }));
    expect(await refusalOf(text)).toBe("");
    expect(text).toContain("rise 5 send-proxy-v2 check-send-proxy\n");
    expect(text).toContain("balance source\n  hash-type consistent");
    expect(text).not.toContain("backend next-");
  });
});

describe("word", () => {
  it("leaves nothing that HAProxy could read as more than a word", () => {
    expect(word('a b"$\n#')).toBe("a\\x20b\\x22\\x24\\x0a\\x23");
    expect(word("a\0b")).toBe("ab");
  });
});

describe("serverStateFile", () => {
  it("starts servers that never passed a check without requests", () => {
    const state = (condition?: "up" | "down"): string | undefined => {
      const known = new Map(condition === undefined ? [] : [["tg-73e2d6bc24d8a067/10.0.0.5:3000_ab12cd34", condition]]);
      return serverStateFile(model(), known).split("\n")[2];
    };
    expect(state()).toBe("0 tg-73e2d6bc24d8a067 1 10.0.0.5:3000_ab12cd34 10.0.0.5 3 0 1 1 0 1 0 6 6 0 0 0 - 3000 - 0 0 - - 0");
    expect(state("up")).toContain(" 2 0 1 1 0 15 3 6 6 ");
    expect(state("down")).toContain(" 0 0 1 1 0 17 2 0 6 ");
  });
});
