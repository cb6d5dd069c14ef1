/** VPCs, subnets, security groups, route tables and gateways: their records, and the kernel brought along where a VPC is in use. */
import type { Clock } from "../core/clock.ts";
import type { Ids } from "../core/ids.ts";
import { Problem } from "../core/problem.ts";
import type { Scope } from "../core/scope.ts";
import { containsCidr, overlaps, parseCidr } from "./cidr.ts";
import { allowAllEgress, makeVpc, type VpcParts, zonesOf } from "./default-vpc.ts";
import { usableAddresses } from "./ipam.ts";
import type { Kernel } from "./kernel.ts";
import type { Change, NetworkModel, Table } from "./model.ts";
import { linkId } from "./object-names.ts";
import { firstFreeCidr, holderOf, mustBeFree } from "./pick-cidr.ts";
import type { EniRecord, InternetGatewayRecord, RouteTableRecord, SecurityGroupRecord, SubnetRecord, Tags, VpcRecord } from "./records.ts";
import { Serial } from "./shell.ts";
import { isActive } from "./vpc-facts.ts";

/** Records of a scope, answered from memory, and their changes. All changes are durable, and in force in the kernel, when they resolve. */
export interface VpcAdmin {
  /** The scope's default VPC, made with subnets in three zones, gateway, main route table and default group when there is none. */
  ensureDefaultVpc(scope: Scope): Promise<VpcRecord>;
  vpcs(scope: Scope): readonly VpcRecord[];
  subnets(scope: Scope): readonly SubnetRecord[];
  securityGroups(scope: Scope): readonly SecurityGroupRecord[];
  routeTables(scope: Scope): readonly RouteTableRecord[];
  internetGateways(scope: Scope): readonly InternetGatewayRecord[];
  networkInterfaces(scope: Scope): readonly EniRecord[];
  zones(region: string): readonly { readonly name: string; readonly id: string }[];
  /** How many addresses a subnet can still give out. */
  freeAddresses(subnetId: string): number;

  /** @throws Problem `invalid`, or `conflict` when another VPC or the host uses some of the block. */
  createVpc(request: Scope & { readonly cidr: string; readonly tags: Tags }): Promise<VpcRecord>;
  /** With its main route table and default group. @throws Problem `not-found`, or `conflict` when anything else is in it. */
  deleteVpc(scope: Scope, vpcId: string): Promise<void>;
  /** @throws Problem `not-found` (VPC), `invalid` (not inside the VPC), `conflict` (overlaps another subnet). */
  createSubnet(
    request: Scope & { readonly vpcId: string; readonly cidr: string; readonly availabilityZone: string; readonly tags: Tags },
  ): Promise<SubnetRecord>;
  /** @throws Problem `not-found`, or `conflict` when interfaces are in it. */
  deleteSubnet(scope: Scope, subnetId: string): Promise<void>;
  /** With the rule that lets everything out. @throws Problem `not-found` (VPC), `already-exists` (the name, in the VPC). */
  createSecurityGroup(
    request: Scope & { readonly vpcId: string; readonly groupName: string; readonly description: string; readonly tags: Tags },
  ): Promise<SecurityGroupRecord>;
  /** @throws Problem `not-found`, or `conflict` when interfaces or other groups' rules use it. */
  deleteSecurityGroup(scope: Scope, groupId: string): Promise<void>;
  /** Replaces the record by what `change` makes of it; nobody else changes it meanwhile, and what `change` throws is thrown. @throws Problem `not-found` */
  updateSecurityGroup(scope: Scope, groupId: string, change: (group: SecurityGroupRecord) => SecurityGroupRecord): Promise<SecurityGroupRecord>;
  /** Replaces the tags of any resource of the network. Answers false when there is no such resource. */
  updateTags(scope: Scope, resourceId: string, change: (tags: Tags) => Tags): Promise<boolean>;
}

export interface VpcAdminOptions {
  readonly model: NetworkModel;
  readonly kernel: Kernel;
  readonly clock: Clock;
  readonly ids: Ids;
  /** For the first default VPC of the instance's own region. */
  readonly home: Scope & { readonly vpcCidr: string };
  /** Called when an active VPC is gone. */
  readonly onVpcDeleted: (vpcId: string) => Promise<void>;
}

export function createVpcAdmin(options: VpcAdminOptions): VpcAdmin {
  return new Admin(options);
}

class Admin implements VpcAdmin {
  readonly #options: VpcAdminOptions;
  readonly #model: NetworkModel;
  /** Changes one after another. */
  readonly #turn = new Serial();

  constructor(options: VpcAdminOptions) {
    this.#options = options;
    this.#model = options.model;
  }

  vpcs(scope: Scope): readonly VpcRecord[] {
    return this.#model.inScope(this.#model.vpcs, scope);
  }
  subnets(scope: Scope): readonly SubnetRecord[] {
    return this.#model.inScope(this.#model.subnets, scope);
  }
  securityGroups(scope: Scope): readonly SecurityGroupRecord[] {
    return this.#model.inScope(this.#model.groups, scope);
  }
  routeTables(scope: Scope): readonly RouteTableRecord[] {
    return this.#model.inScope(this.#model.routeTables, scope);
  }
  internetGateways(scope: Scope): readonly InternetGatewayRecord[] {
    return this.#model.inScope(this.#model.gateways, scope);
  }
  networkInterfaces(scope: Scope): readonly EniRecord[] {
    return this.#model.inScope(this.#model.enis, scope);
  }
  zones(region: string): readonly { readonly name: string; readonly id: string }[] {
    return zonesOf(region);
  }

  freeAddresses(subnetId: string): number {
    const subnet = this.#model.subnets.get(subnetId);
    if (subnet === undefined) return 0;
    return usableAddresses(subnet.cidr) - this.#model.enis.all().filter((eni) => eni.subnetId === subnetId).length;
  }

  ensureDefaultVpc(scope: Scope): Promise<VpcRecord> {
    const find = (): VpcRecord | undefined => this.vpcs(scope).find((vpc) => vpc.isDefault);
    const known = find();
    if (known !== undefined) return Promise.resolve(known);
    return this.#turn.run(async () => find() ?? (await this.#makeDefaultVpc(scope)));
  }

  async #makeDefaultVpc(scope: Scope): Promise<VpcRecord> {
    const { home } = this.#options;
    const isHome = scope.account === home.account && scope.region === home.region;
    const cidr = isHome ? await this.#checkedBlock(home.vpcCidr) : await this.#freeBlock(scope);
    return await this.#storeVpc({ ...scope, cidr, isDefault: true, tags: {} });
  }

  async #storeVpc(request: Scope & { readonly cidr: string; readonly isDefault: boolean; readonly tags: Tags }): Promise<VpcRecord> {
    const { clock, ids } = this.#options;
    const make = (): VpcParts => makeVpc({ ...request, nowMs: clock.nowMs() }, ids);
    const isTaken = ({ vpc }: VpcParts): boolean => this.#model.vpcs.all().some(({ vpcId }) => linkId(vpcId) === linkId(vpc.vpcId));
    let parts = make();
    // The host's links have room for the beginning of an id alone.
    while (isTaken(parts)) parts = make();
    const { vpcs, routeTables, groups, gateways, subnets } = this.#model;
    await this.#model.commit([
      vpcs.put(parts.vpc),
      routeTables.put(parts.routeTable),
      groups.put(parts.group),
      ...(parts.gateway === undefined ? [] : [gateways.put(parts.gateway)]),
      ...parts.subnets.map((subnet) => subnets.put(subnet)),
    ]);
    return parts.vpc;
  }

  /** Differs: AWS's default VPCs are all 172.31.0.0/16; on one host each needs a block of its own. */
  async #freeBlock(scope: Scope): Promise<string> {
    const { home } = this.#options;
    const reserved = [{ cidr: home.vpcCidr, holder: "the default VPC of the instance's own region" }];
    const cidr = firstFreeCidr([...(await this.#usedBlocks()), ...reserved]);
    if (cidr === undefined) throw new Problem("exhausted", `no free /16 in 172.16.0.0/12 and 10.0.0.0/8 for the default VPC of ${scope.region}`);
    return cidr;
  }

  async #usedBlocks(): Promise<readonly { readonly cidr: string; readonly holder: string }[]> {
    const ours = this.#model.vpcs.all().map((vpc) => ({ cidr: vpc.cidr, holder: `VPC ${vpc.vpcId}` }));
    return [...ours, ...(await this.#options.kernel.blocksInUse())];
  }

  async #checkedBlock(cidr: string): Promise<string> {
    const { prefix } = parseCidr(cidr);
    if (prefix < 16 || prefix > 26)
      throw new Problem("invalid", `the block ${cidr} cannot be a VPC with three subnets: use a prefix from /16 to /26`);
    return mustBeFree(cidr, await this.#usedBlocks());
  }

  createVpc(request: Scope & { readonly cidr: string; readonly tags: Tags }): Promise<VpcRecord> {
    return this.#turn.run(async () => {
      const { prefix } = parseCidr(request.cidr);
      if (prefix < 16 || prefix > 28) throw new Problem("invalid", `The CIDR '${request.cidr}' is invalid.`);
      const holder = holderOf(request.cidr, await this.#usedBlocks());
      if (holder !== undefined) {
        throw new Problem(
          "conflict",
          `The CIDR '${request.cidr}' overlaps ${holder.cidr}, ${holder.holder}. VPCs that share a host cannot share addresses.`,
        );
      }
      return await this.#storeVpc({ ...request, isDefault: false });
    });
  }

  deleteVpc(scope: Scope, vpcId: string): Promise<void> {
    return this.#turn.run(async () => {
      const vpc = this.#mine(this.#model.vpcs, scope, vpcId);
      const subnets = this.#model.subnetsOf(vpcId);
      const groups = this.#model.groupsOf(vpcId);
      const tables = this.#model.routeTablesOf(vpcId);
      const gateways = this.#model.gateways.all().filter((gateway) => gateway.vpcId === vpcId);
      const others = [...subnets, ...groups.filter((group) => group.groupName !== "default"), ...this.#model.enisOf(vpcId), ...gateways];
      const ownTables = tables.filter((table) => !table.associations.some((association) => association.subnetId === undefined));
      if (others.length + ownTables.length > 0) throw dependency(`vpc '${vpcId}'`);
      await this.#model.commit([
        this.#model.vpcs.remove(vpc),
        ...groups.map((group) => this.#model.groups.remove(group)),
        ...tables.map((table) => this.#model.routeTables.remove(table)),
      ]);
      if (isActive(vpc)) await this.#options.onVpcDeleted(vpcId);
    });
  }

  createSubnet(
    request: Scope & { readonly vpcId: string; readonly cidr: string; readonly availabilityZone: string; readonly tags: Tags },
  ): Promise<SubnetRecord> {
    return this.#turn.run(async () => {
      const { account, region, vpcId, cidr, availabilityZone, tags } = request;
      const vpc = this.#mine(this.#model.vpcs, request, vpcId);
      const block = parseCidr(cidr);
      if (block.prefix > 28 || !containsCidr(parseCidr(vpc.cidr), block)) throw new Problem("invalid", `The CIDR '${cidr}' is invalid.`);
      if (this.#model.subnetsOf(vpcId).some((other) => overlaps(parseCidr(other.cidr), block))) {
        throw new Problem("conflict", `The CIDR '${cidr}' conflicts with another subnet`);
      }
      const zone = zonesOf(region).find(({ name }) => name === availabilityZone);
      if (zone === undefined) throw new Problem("invalid", `Value (${availabilityZone}) for parameter availabilityZone is invalid.`);
      const subnet: SubnetRecord = {
        account,
        region,
        subnetId: `subnet-0${this.#options.ids.hex(16)}`,
        vpcId,
        cidr,
        availabilityZone,
        availabilityZoneId: zone.id,
        defaultForAz: false,
        mapPublicIpOnLaunch: false,
        tags,
      };
      await this.#model.commit([this.#model.subnets.put(subnet)]);
      if (isActive(vpc)) await this.#options.kernel.syncRoutes(vpcId);
      return subnet;
    });
  }

  deleteSubnet(scope: Scope, subnetId: string): Promise<void> {
    return this.#turn.run(async () => {
      const subnet = this.#mine(this.#model.subnets, scope, subnetId);
      if (this.#model.enisOf(subnet.vpcId).some((eni) => eni.subnetId === subnetId)) throw dependency(`subnet '${subnetId}'`);
      await this.#model.commit([this.#model.subnets.remove(subnet)]);
      if (this.#isActive(subnet.vpcId)) await this.#options.kernel.syncRoutes(subnet.vpcId);
    });
  }

  createSecurityGroup(
    request: Scope & { readonly vpcId: string; readonly groupName: string; readonly description: string; readonly tags: Tags },
  ): Promise<SecurityGroupRecord> {
    return this.#turn.run(async () => {
      const { ids } = this.#options;
      const { account, region, vpcId, groupName, description, tags } = request;
      this.#mine(this.#model.vpcs, request, vpcId);
      if (this.#model.groupsOf(vpcId).some((group) => group.groupName === groupName)) {
        throw new Problem("already-exists", `The security group '${groupName}' already exists for VPC '${vpcId}'`);
      }
      const group: SecurityGroupRecord = {
        account,
        region,
        groupId: `sg-0${ids.hex(16)}`,
        groupName,
        description,
        vpcId,
        rules: [allowAllEgress(ids)],
        tags,
      };
      await this.#model.commit([this.#model.groups.put(group)]);
      if (this.#isActive(vpcId)) await this.#options.kernel.syncGroup(vpcId, group.groupId);
      return group;
    });
  }

  deleteSecurityGroup(scope: Scope, groupId: string): Promise<void> {
    return this.#turn.run(async () => {
      const group = this.#mine(this.#model.groups, scope, groupId);
      const inUse = this.#model.enisOf(group.vpcId).some((eni) => eni.groupIds.includes(groupId));
      const referenced = this.#model
        .groupsOf(group.vpcId)
        .some((other) => other.groupId !== groupId && other.rules.some((rule) => rule.referencedGroupId === groupId));
      if (inUse || referenced) throw new Problem("conflict", `resource ${groupId} has a dependent object`);
      await this.#model.commit([this.#model.groups.remove(group)]);
      if (this.#isActive(group.vpcId)) await this.#options.kernel.syncGroup(group.vpcId, groupId);
    });
  }

  updateSecurityGroup(scope: Scope, groupId: string, change: (group: SecurityGroupRecord) => SecurityGroupRecord): Promise<SecurityGroupRecord> {
    return this.#turn.run(async () => {
      const group = change(this.#mine(this.#model.groups, scope, groupId));
      await this.#model.commit([this.#model.groups.put(group)]);
      if (this.#isActive(group.vpcId)) await this.#options.kernel.syncGroup(group.vpcId, groupId);
      return group;
    });
  }

  updateTags(scope: Scope, resourceId: string, change: (tags: Tags) => Tags): Promise<boolean> {
    const { vpcs, subnets, groups, routeTables, gateways, enis } = this.#model;
    const retag = <T extends Scope & { readonly tags: Tags }>(table: Table<T>, value: T | undefined): Change[] =>
      value === undefined || value.account !== scope.account || value.region !== scope.region
        ? []
        : [table.put({ ...value, tags: change(value.tags) })];
    return this.#turn.run(async () => {
      const changes = [
        ...retag(vpcs, vpcs.get(resourceId)),
        ...retag(subnets, subnets.get(resourceId)),
        ...retag(groups, groups.get(resourceId)),
        ...retag(routeTables, routeTables.get(resourceId)),
        ...retag(gateways, gateways.get(resourceId)),
        ...retag(
          enis,
          enis.all().find((eni) => eni.eniId === resourceId),
        ),
      ];
      await this.#model.commit(changes);
      return changes.length > 0;
    });
  }

  #isActive(vpcId: string): boolean {
    const vpc = this.#model.vpcs.get(vpcId);
    return vpc !== undefined && isActive(vpc);
  }

  #mine<T extends Scope>(table: Table<T>, scope: Scope, id: string): T {
    const value = table.get(id);
    if (value === undefined || value.account !== scope.account || value.region !== scope.region) {
      throw new Problem("not-found", `${id} does not exist in ${scope.region}`);
    }
    return value;
  }
}

function dependency(what: string): Problem {
  return new Problem("conflict", `The ${what} has dependencies and cannot be deleted.`);
}
