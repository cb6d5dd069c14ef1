import { describe, expect, it } from "vitest";
import type { VirtualPort } from "../contracts/network.ts";
import { planServices, planServicesChange, servicesRuleset } from "./plan-services.ts";

const port = (more: Partial<VirtualPort> = {}): VirtualPort => ({
  address: "10.100.0.7",
  protocol: "tcp",
  port: 80,
  backends: [
    { address: "10.0.0.4", port: 8080 },
    { address: "10.0.0.5", port: 8080 },
  ],
  ...more,
});
const rules = (...ports: readonly VirtualPort[]) => servicesRuleset({ cidr: "10.100.0.0/16", ports });
const text = (...ports: readonly VirtualPort[]): string => planServices(rules(...ports));
/** The rules of the chain that a port leads to. */
const chainOf = (only: VirtualPort): readonly string[] => {
  const made = rules(only);
  return made.chains.get([...made.ports.values()][0] ?? "") ?? [];
};

describe("where a port leads", () => {
  it("is to any of its backends, each as likely", () => {
    expect(chainOf(port())).toEqual(["meta l4proto tcp dnat ip addr . port to numgen random mod 2 map { 0 : 10.0.0.4 . 8080, 1 : 10.0.0.5 . 8080 }"]);
    expect(chainOf(port({ protocol: "udp", backends: [{ address: "10.0.0.4", port: 53 }] }))).toEqual(["meta l4proto udp dnat to 10.0.0.4:53"]);
  });

  it("is to the backend that remembers the client, first", () => {
    const [first = "", second = "", third = ""] = chainOf(port({ affinitySeconds: 60 }));
    expect([first, second]).toEqual([
      expect.stringMatching(/^ip saddr @clients-\w+ goto to-\w+$/),
      expect.stringMatching(/^ip saddr @clients-\w+ goto to-\w+$/),
    ]);
    expect(third).toMatch(/^numgen random mod 2 vmap \{ 0 : goto to-\w+, 1 : goto to-\w+ \}$/);
    const made = rules(port({ affinitySeconds: 60 }));
    expect([...made.sets.values()]).toEqual(Array(2).fill(expect.stringContaining("timeout 60s;")));
    expect([...made.chains.values()]).toContainEqual([
      expect.stringMatching(/^update @clients-\w+ \{ ip saddr \}$/),
      "meta l4proto tcp dnat to 10.0.0.4:8080",
    ]);
  });

  it("is to the client itself where only that is allowed", () => {
    expect(chainOf(port({ onlyItself: true }))).toEqual([
      "ip saddr 10.0.0.4 meta l4proto tcp dnat to 10.0.0.4:8080",
      "ip saddr 10.0.0.5 meta l4proto tcp dnat to 10.0.0.5:8080",
    ]);
  });

  it("is nowhere without backends", () => {
    const made = text(port({ backends: [] }), port({ port: 81 }));
    expect(made).toContain("elements = { 10.100.0.7 . tcp . 80 }");
    expect(made).toMatch(/map ports \{[^}]*elements = \{ 10\.100\.0\.7 \. tcp \. 81 : goto to-\w+ \}/);
    expect(made).toContain("ip daddr 10.100.0.0/16 goto rejected");
  });
});

describe("a change", () => {
  const change = (from: readonly VirtualPort[], to: readonly VirtualPort[]): readonly string[] =>
    planServicesChange(rules(...from), rules(...to))
      .split("\n")
      .slice(0, -1);

  it("is nothing where the ports are the same, in whatever order", () => {
    expect(change([port(), port({ port: 81 })], [port({ port: 81 }), port({ backends: port().backends.toReversed() })])).toEqual([]);
  });

  it("touches the ports that differ alone, and drops what nothing leads to", () => {
    const lines = change(
      [port(), port({ port: 81, protocol: "udp" })],
      [port({ backends: [{ address: "10.0.0.9", port: 1 }] }), port({ port: 81, protocol: "udp" })],
    );
    expect(lines.map((line) => line.replaceAll(/-[0-9a-f]{16}/g, ""))).toEqual([
      "add chain ip tidegate-services to",
      "add rule ip tidegate-services to meta l4proto tcp dnat to 10.0.0.9:1",
      "delete element ip tidegate-services ports { 10.100.0.7 . tcp . 80 : goto to }",
      "add element ip tidegate-services ports { 10.100.0.7 . tcp . 80 : goto to }",
      "flush chain ip tidegate-services to",
      "delete chain ip tidegate-services to",
      "add chain ip tidegate-services version",
      "delete chain ip tidegate-services version",
    ]);
  });

  it("leaves what affinity remembers of backends that stay", () => {
    const more = { affinitySeconds: 60, backends: [...port().backends, { address: "10.0.0.6", port: 8080 }] };
    const from = rules(port({ affinitySeconds: 60 }));
    const lines = planServicesChange(from, rules(port(more)));
    expect(lines.match(/add set/g)).toHaveLength(1);
    expect(lines).not.toContain("delete set");
    expect([...from.sets.keys()].every((name) => rules(port(more)).sets.has(name))).toBe(true);
  });

  it("moves a port between leading somewhere and being refused", () => {
    expect(change([port()], [port({ backends: [] })]).slice(0, 2)).toEqual([
      expect.stringMatching(/^delete element ip tidegate-services ports/),
      "add element ip tidegate-services refused { 10.100.0.7 . tcp . 80 }",
    ]);
  });
});
