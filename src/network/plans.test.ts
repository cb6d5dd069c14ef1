import { array, assert, boolean, integer, property, stringMatching } from "fast-check";
import { describe, expect, test } from "vitest";
import { seededIds } from "../core/ids.ts";
import { addressAt, formatCidr, formatIpv4, hostLabel, overlaps, parseCidr, parseIpv4, tryParseCidr } from "./cidr.ts";
import { makeVpc, zonesOf } from "./default-vpc.ts";
import { chooseResolvers } from "./host-resolvers.ts";
import { withHostsBlock } from "./hosts-file.ts";
import { nextFreeAddress, usableAddresses } from "./ipam.ts";
import { hostLinkName, eniLinkName } from "./object-names.ts";
import { firstFreeCidr, holderOf } from "./pick-cidr.ts";
import { namesOf, parseLocalData, planNameChanges } from "./plan-dns.ts";
import { planGroupChange, planJoin, planLeave, planVpcTable } from "./plan-filter.ts";
import { planFirewall, planHostTable, readPublished } from "./plan-host.ts";
import { listenerInTheWay, parseListeners } from "../host/listeners.ts";
import { planNetns } from "./plan-links.ts";
import type { EniRecord, GroupRule } from "./records.ts";
import type { ActiveVpc, VpcFacts } from "./vpc-facts.ts";
import { reachesInternet } from "./vpc-facts.ts";

const LINK = { cidr: "169.254.180.0/30", hostAddress: "169.254.180.1", vpcAddress: "169.254.180.2" };
const parts = makeVpc(
  { account: "123456789012", region: "eu-west-1", cidr: "172.31.0.0/16", isDefault: true, tags: {}, nowMs: 0 },
  seededIds("plans"),
);
const vpc: ActiveVpc = { ...parts.vpc, link: LINK };

function eni(address: string, changes: Partial<EniRecord> = {}): EniRecord {
  return {
    account: vpc.account,
    region: vpc.region,
    attachmentId: `a-${address}`,
    eniId: `eni-0${address.replaceAll(".", "").padEnd(16, "0")}`,
    owner: "task",
    description: "",
    vpcId: vpc.vpcId,
    subnetId: parts.subnets[0]?.subnetId ?? "",
    availabilityZone: "eu-west-1a",
    privateIpv4: address,
    macAddress: "02:00:00:00:00:01",
    groupIds: [parts.group.groupId],
    assignPublicIp: false,
    local: false,
    netnsPath: `/run/netns/${address}`,
    createdAtMs: 0,
    tags: {},
    ...changes,
  };
}

function facts(changes: Partial<VpcFacts> = {}): VpcFacts {
  return {
    vpc,
    subnets: parts.subnets,
    groups: [parts.group],
    enis: [],
    routeTables: [parts.routeTable],
    ports: { apiPort: 4566, metadataPort: 51_679, kubeletPort: 51_680, hostPorts: [] },
    ...changes,
  };
}

describe("addresses", () => {
  test("any address and block survives being written and read", () => {
    assert(property(integer({ min: 0, max: 2 ** 32 - 1 }), (address) => parseIpv4(formatIpv4(address)) === address));
    assert(
      property(integer({ min: 0, max: 2 ** 32 - 1 }), integer({ min: 0, max: 32 }), (address, prefix) => {
        const cidr = parseCidr(`${formatIpv4(address)}/${prefix}`);
        expect(parseCidr(formatCidr(cidr))).toEqual(cidr);
      }),
    );
    expect(["1.2.3", "1.2.3.256", "1.2.3.4/33", "x/8", "1.2.3.4/8/8"].map((text) => tryParseCidr(text))).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    expect(overlaps(parseCidr("10.0.0.0/8"), parseCidr("10.9.0.0/16"))).toBe(true);
    expect(overlaps(parseCidr("10.0.0.0/16"), parseCidr("10.1.0.0/16"))).toBe(false);
    expect([addressAt("10.0.16.0/20", 1), hostLabel("10.0.0.5")]).toEqual(["10.0.16.1", "ip-10-0-0-5"]);
  });

  test("a subnet gives out all but its first four and its last, each once, and a freed one last", () => {
    const used = new Set<string>();
    const given: string[] = [];
    for (let last: string | undefined; ;) {
      const next = nextFreeAddress("10.0.0.0/28", used, last);
      if (next === undefined) break;
      used.add(next);
      given.push((last = next));
    }
    expect(given).toEqual(Array.from({ length: 11 }, (_, index) => `10.0.0.${index + 4}`));
    expect(usableAddresses("10.0.0.0/28")).toBe(11);
    used.delete("10.0.0.6");
    used.delete("10.0.0.9");
    expect(nextFreeAddress("10.0.0.0/28", used, "10.0.0.6")).toBe("10.0.0.9");
    expect(nextFreeAddress("10.0.0.0/28", used, "10.0.0.14")).toBe("10.0.0.6");
  });

  test("a free block: AWS's own first, then around what is used", () => {
    expect(firstFreeCidr([])).toBe("172.31.0.0/16");
    expect(firstFreeCidr([{ cidr: "172.31.7.0/24", holder: "docker0" }])).toBe("172.30.0.0/16");
    expect(firstFreeCidr([{ cidr: "172.16.0.0/12", holder: "a VPN" }])).toBe("10.255.0.0/16");
    expect(holderOf("10.1.0.0/16", [{ cidr: "10.0.0.0/8", holder: "a VPN" }])?.holder).toBe("a VPN");
  });

  test("names of links fit the kernel's fifteen characters", () => {
    expect(hostLinkName("ab12cd", vpc.vpcId)).toHaveLength(15);
    expect(eniLinkName("eni-0123456789abcdef0")).toBe("eni0123456789ab");
  });
});

describe("a VPC as AWS makes it", () => {
  test("the default one: a /20 in each of three zones, a gateway, a group that lets itself in and everything out", () => {
    expect(parts.subnets.map((subnet) => [subnet.availabilityZone, subnet.availabilityZoneId, subnet.cidr])).toEqual([
      ["eu-west-1a", "euw1-az1", "172.31.0.0/20"],
      ["eu-west-1b", "euw1-az2", "172.31.16.0/20"],
      ["eu-west-1c", "euw1-az3", "172.31.32.0/20"],
    ]);
    expect(parts.group.rules.map((rule) => [rule.egress, rule.protocol, rule.referencedGroupId ?? rule.cidrIpv4])).toEqual([
      [false, "-1", parts.group.groupId],
      [true, "-1", "0.0.0.0/0"],
    ]);
    expect(parts.routeTable.routes.map((route) => route.target)).toEqual(["local", parts.gateway?.internetGatewayId]);
  });

  test("zone ids are written as AWS writes them", () => {
    expect(["us-east-1", "ap-southeast-2", "eu-central-1", "ap-northeast-1", "us-gov-west-1"].map((region) => zonesOf(region)[0]?.id)).toEqual([
      "use1-az1",
      "apse2-az1",
      "euc1-az1",
      "apne1-az1",
      "usgw1-az1",
    ]);
  });

  test("who reaches the internet", () => {
    const custom = { ...vpc, isDefault: false };
    const noDefaultRoute = { ...parts.routeTable, routes: parts.routeTable.routes.slice(0, 1) };
    expect(reachesInternet(eni("172.31.0.5"), vpc, [parts.routeTable])).toBe(true);
    expect(reachesInternet(eni("172.31.0.5"), vpc, [noDefaultRoute])).toBe(false);
    expect(reachesInternet(eni("172.31.0.5"), custom, [parts.routeTable])).toBe(false);
    expect(reachesInternet(eni("172.31.0.5", { assignPublicIp: true }), custom, [parts.routeTable])).toBe(true);
    const isolated = { ...noDefaultRoute, associations: [{ associationId: "x", subnetId: parts.subnets[0]?.subnetId }] };
    expect(reachesInternet(eni("172.31.0.5"), vpc, [parts.routeTable, isolated])).toBe(false);
  });
});

describe("rules", () => {
  const rule = (changes: Partial<GroupRule>): GroupRule => ({
    ruleId: "sgr-1",
    egress: false,
    protocol: "tcp",
    fromPort: 80,
    toPort: 80,
    tags: {},
    ...changes,
  });
  const group = (...rules: readonly GroupRule[]) => ({ ...parts.group, groupId: "sg-0a", rules });
  const ingressOf = (changes: Partial<GroupRule>): string[] =>
    (/chain in-sg-0a \{([^}]*)\}/.exec(planVpcTable(facts({ groups: [group(rule(changes))] })))?.[1] ?? "").trim().split("\n").filter(Boolean);

  test.each<[string, Partial<GroupRule>, string[]]>([
    ["one port from everywhere", { cidrIpv4: "0.0.0.0/0" }, ['tcp dport 80 accept comment "sgr-1"']],
    ["a range from a block", { cidrIpv4: "10.0.0.0/8", toPort: 90 }, ['ip saddr 10.0.0.0/8 tcp dport 80-90 accept comment "sgr-1"']],
    ["a group", { referencedGroupId: "sg-0b", protocol: "udp" }, ['ip saddr @sg-0b udp dport 80 accept comment "sgr-1"']],
    ["all ports", { cidrIpv4: "0.0.0.0/0", fromPort: 0, toPort: 65_535 }, ['meta l4proto tcp accept comment "sgr-1"']],
    ["everything", { cidrIpv4: "0.0.0.0/0", protocol: "-1", fromPort: -1, toPort: -1 }, ['accept comment "sgr-1"']],
    ["ping", { cidrIpv4: "0.0.0.0/0", protocol: "icmp", fromPort: 8, toPort: -1 }, ['icmp type 8 accept comment "sgr-1"']],
    ["any ICMP", { cidrIpv4: "0.0.0.0/0", protocol: "icmp", fromPort: -1, toPort: -1 }, ['meta l4proto icmp accept comment "sgr-1"']],
    ["another protocol", { cidrIpv4: "0.0.0.0/0", protocol: "47", fromPort: -1, toPort: -1 }, ['meta l4proto 47 accept comment "sgr-1"']],
    ["IPv6 matches nothing", { cidrIpv6: "::/0" }, []],
  ])("%s", (_name, changes, text) => {
    expect(ingressOf(changes)).toEqual(text);
  });

  test("an interface that is only reserved is in no set", () => {
    const table = planVpcTable(
      facts({ enis: [eni("172.31.0.5"), eni("172.31.0.6", { netnsPath: undefined }), eni("172.31.0.7", { local: true, netnsPath: undefined })] }),
    );
    expect(table).toContain("set enis { type ipv4_addr; elements = { 172.31.0.5, 172.31.0.7 }; }");
    expect(table).not.toContain("172.31.0.6");
    expect(table).toContain("set internet { type ipv4_addr; elements = { 172.31.0.5 }; }");
  });

  test("joining adds to each set, leaving takes from each set also where it never was", () => {
    expect(planJoin(eni("172.31.0.5"), facts()).trim().split("\n")).toHaveLength(3);
    const leave = planLeave(eni("172.31.0.5"), false).trim().split("\n");
    expect(leave.filter((line) => line.startsWith("add"))).toHaveLength(4);
    expect(leave.filter((line) => line.startsWith("delete"))).toHaveLength(4);
    const balancer = eni("172.31.0.7", { local: true, groupIds: [], netnsPath: undefined });
    expect(planJoin(balancer, facts())).toContain("open { 172.31.0.7 }");
    expect(planVpcTable(facts({ enis: [balancer, eni("172.31.0.8", { groupIds: [] })] }))).toContain(
      "set open { type ipv4_addr; elements = { 172.31.0.7 }; }",
    );
  });

  test("a node's port for its kubelet leads to Tidegate, as from the node's own address, and nobody else's does", () => {
    const node = eni("172.31.0.9", { isNode: true });
    const table = planVpcTable(facts({ enis: [eni("172.31.0.5"), node, eni("172.31.0.8", { isNode: true, netnsPath: undefined })] }));
    expect(table).toContain("set nodes { type ipv4_addr; elements = { 172.31.0.8, 172.31.0.9 }; }");
    expect(table).toContain("set enis { type ipv4_addr; elements = { 172.31.0.5, 172.31.0.9 }; }");
    expect(table).toContain("ip daddr @nodes tcp dport 10250 dnat ip to 169.254.180.1:51680");
    expect(table).toContain("ct original ip daddr @nodes snat ip to ct original ip daddr");
    expect(planJoin(node, facts())).toContain("add element inet tidegate nodes { 172.31.0.9 }");
    expect(planLeave(node, false)).toContain("delete element inet tidegate nodes { 172.31.0.9 }");
    expect(planLeave(node, true)).not.toContain("nodes");
    expect(planLeave(node, true)).toContain("delete element inet tidegate enis { 172.31.0.9 }");
    expect(planHostTable({ instanceId: "ab12cd", vpcs: [vpc], ports: facts().ports })).toContain("tcp dport { 4566, 51679, 51680 } accept");
  });

  test("a deleted group's chains and set go in the transaction that stops naming them", () => {
    const text = planGroupChange([group()], "sg-0gone").trim().split("\n");
    expect(text.slice(-3)).toEqual([
      "delete chain inet tidegate in-sg-0gone",
      "delete chain inet tidegate out-sg-0gone",
      "delete set inet tidegate sg-0gone",
    ]);
    expect(text.filter((line) => line.includes("jump")).every((line) => !line.includes("sg-0gone"))).toBe(true);
  });
});

describe("links", () => {
  const enis = [eni("172.31.0.5"), eni("172.31.0.6"), eni("172.31.0.7", { local: true, netnsPath: undefined })];
  const link = (address: string) => eniLinkName(eni(address).eniId);
  const locals = ["172.31.0.2", "169.254.169.253", "172.31.0.1", "172.31.16.1", "172.31.32.1", "172.31.0.7"];

  test("nothing to do where the kernel is as the records say", () => {
    const plan = planNetns(facts({ enis }), {
      links: [link("172.31.0.5"), link("172.31.0.6")],
      localAddresses: locals,
      hostRoutes: ["172.31.0.5", "172.31.0.6"].map((address) => ({ address, link: link(address) })),
    });
    expect([plan.batch, plan.deleteLinks, plan.replug]).toEqual([[], [], []]);
    expect(plan.whole).toHaveLength(3);
  });

  test("a half made interface is made again, what nobody owns goes, what is missing comes", () => {
    const plan = planNetns(facts({ enis }), {
      links: [link("172.31.0.5"), link("172.31.0.6"), "eni0dead"],
      localAddresses: [...locals.slice(0, 5), "172.31.0.99"],
      hostRoutes: [{ address: "172.31.0.6", link: link("172.31.0.6") }],
    });
    expect(plan.replug.map((found) => found.privateIpv4)).toEqual(["172.31.0.5"]);
    expect(plan.deleteLinks).toEqual([link("172.31.0.5"), "eni0dead"]);
    expect(plan.batch).toEqual(["address del 172.31.0.99/32 dev lo", "address add 172.31.0.7/32 dev lo"]);
  });
});

describe("the host", () => {
  test("without VPCs our table is gone", () => {
    const text = planHostTable({ instanceId: "ab12cd", vpcs: [], ports: facts().ports });
    expect(text).toBe("table inet tidegate_ab12cd {}\ndelete table inet tidegate_ab12cd\n");
  });

  test("only chosen ports are translated to the loopback, never Tidegate's own", () => {
    const text = planHostTable({ instanceId: "ab12cd", vpcs: [vpc], ports: { ...facts().ports, hostPorts: [5432, 4566] } });
    expect(text).toContain("th dport { 5432 } dnat ip to 127.0.0.1");
    expect(planHostTable({ instanceId: "ab12cd", vpcs: [vpc], ports: facts().ports })).not.toContain("dnat ip to");
    expect(planHostTable({ instanceId: "ab12cd", vpcs: [vpc], ports: facts().ports, loopbackResolver: "127.0.0.53" })).toContain(
      "th dport 53 dnat ip to 127.0.0.53",
    );
  });

  test("published ports: what comes by a link and says it goes to loopback is not led anywhere; what the table says is read back", () => {
    const published = [
      { address: "0.0.0.0", port: 80, vpcId: vpc.vpcId, target: "172.31.0.5" },
      { address: "127.0.0.1", port: 81, vpcId: vpc.vpcId, target: "172.31.0.5" },
    ];
    const text = planHostTable({ instanceId: "ab12cd", vpcs: [vpc], ports: facts().ports, published });
    expect(text).toMatch(/hook prerouting priority dstnat; policy accept;\n\s+ip daddr != 127\.0\.0\.0\/8 jump published\n/);
    expect(text).toContain("ip daddr 172.31.0.5 tcp dport 80 ct original proto-dst 80 accept");
    expect(readPublished(text)).toEqual(published);
    const gone = { ...published[0]!, vpcId: "vpc-0gone" };
    expect(planHostTable({ instanceId: "ab12cd", vpcs: [vpc], ports: facts().ports, published: [gone] })).not.toContain("dnat ip to");
  });

  test("who listens in a port's way: any address, the same one, IPv6's all; never Tidegate's own ends of links", () => {
    const line = (address: string, state = "0A"): string =>
      `   0: ${address} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000 0 0 4711 1 0 100`;
    const listeners = parseListeners(
      [
        line("0100007F:0050"),
        line("00000000:0051"),
        line(`${"0".repeat(32)}:0052`),
        line("0000000000000000FFFF0000010071CB:0053"),
        line("0100FEA9:0054"),
        line("00000000:0055", "01"),
      ].join("\n"),
    );
    expect(listeners.map(({ address, port }) => `${address}:${port}`)).toEqual([
      "127.0.0.1:80",
      "0.0.0.0:81",
      "0.0.0.0:82",
      "203.113.0.1:83",
      "169.254.0.1:84",
    ]);
    const inTheWay = (address: string, port: number): boolean => listenerInTheWay(listeners, { address, port }) !== undefined;
    expect(inTheWay("203.0.113.1", 80)).toBe(false);
    expect([inTheWay("0.0.0.0", 80), inTheWay("203.0.113.1", 81), inTheWay("203.0.113.1", 82), inTheWay("203.113.0.1", 83)]).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect([inTheWay("0.0.0.0", 84), inTheWay("0.0.0.0", 85)]).toEqual([false, false]);
  });

  test("Docker's chain for users is preferred; a firewall without rules is left alone", () => {
    expect(planFirewall("ab12cd", ["DOCKER-USER", "FORWARD"]).map((rule) => rule.chain)).toEqual(["DOCKER-USER", "DOCKER-USER", "DOCKER-USER"]);
    expect(planFirewall("ab12cd", ["FORWARD", "INPUT"]).map((rule) => rule.chain)).toEqual(["FORWARD", "FORWARD", "FORWARD", "INPUT"]);
    expect(planFirewall("ab12cd", [])).toEqual([]);
  });

  test("its name servers: systemd-resolved's real ones before its stub, a loopback one only when there is no other", () => {
    expect(chooseResolvers(["nameserver 127.0.0.53\n", "nameserver 192.168.1.1\nnameserver 127.0.0.1\n"])).toEqual({ upstreams: ["192.168.1.1"] });
    expect(chooseResolvers(["# x\nnameserver 127.0.0.1\n"])).toEqual({ upstreams: [], loopback: "127.0.0.1" });
    expect(chooseResolvers([])).toEqual({ upstreams: [], loopback: undefined });
  });
});

describe("names", () => {
  test("owners of one name add up; only what changed is told, and a name that grows is never without an answer", () => {
    const record = (owner: string, ...addresses: readonly string[]) => ({
      owner,
      vpcId: vpc.vpcId,
      host: false,
      records: [{ name: "Web.local.", addresses }],
    });
    const table = namesOf(
      vpc,
      [eni("172.31.0.5")],
      [record("a", "10.0.0.2"), record("b", "10.0.0.1"), { ...record("c", "10.0.0.9"), vpcId: "vpc-other" }],
    );
    expect(Object.fromEntries(table)).toEqual({
      "host.tidegate.internal": [LINK.hostAddress],
      "ip-172-31-0-5.eu-west-1.compute.internal": ["172.31.0.5"],
      "web.local": ["10.0.0.1", "10.0.0.2"],
    });
    const grown = new Map([["web.local", ["10.0.0.1", "10.0.0.2", "10.0.0.3"]]]);
    expect(planNameChanges(new Map([["web.local", ["10.0.0.1"]]]), grown)).toMatchObject({ forget: [] });
    const shrunk = planNameChanges(grown, new Map([["web.local", ["10.0.0.3"]]]));
    expect(shrunk).toEqual({ forget: ["web.local"], add: ["web.local. 60 IN A 10.0.0.3"] });
    expect(planNameChanges(grown, grown)).toEqual({ forget: [], add: [] });
  });

  test("reads back what unbound lists", () => {
    const text =
      "localhost.\t10800\tIN\tA\t127.0.0.1\nweb.local.\t60\tIN\tA\t10.0.0.2\nweb.local.\t60\tIN\tA\t10.0.0.1\nlocalhost.\t10800\tIN\tNS\tlocalhost.\n";
    expect(Object.fromEntries(parseLocalData(text))).toEqual({ "web.local": ["10.0.0.1", "10.0.0.2"] });
  });

  test("the block in /etc/hosts: put in, replaced and taken out, it leaves the rest as it was, byte for byte", () => {
    const line = stringMatching(/^[a-z0-9 .#]{0,20}$/);
    assert(
      property(array(line), array(line), boolean(), (before, added, open) => {
        const original = before.map((text) => `${text}\n`).join("") + (open ? "last line" : "");
        const once = withHostsBlock(original, "ab12cd", [{ name: "lb.internal", addresses: ["10.0.0.1", "10.0.0.2"] }]);
        expect(once).toContain("\n10.0.0.2 lb.internal\n");
        const other = withHostsBlock(once, "ffffff", [{ name: "x", addresses: ["10.0.0.9"] }]);
        const twice = withHostsBlock(other, "ab12cd", [{ name: "lb2.internal", addresses: ["10.0.0.3"] }]);
        expect(twice).not.toContain("10.0.0.2 lb");
        const later = twice + added.map((text) => `${text}\n`).join("");
        const gone = withHostsBlock(withHostsBlock(later, "ffffff", []), "ab12cd", []);
        const end = open && added.length > 0 ? "\n" : "";
        expect(gone).toBe(original + end + added.map((text) => `${text}\n`).join(""));
      }),
    );
  });
});
