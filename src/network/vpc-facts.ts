/** What the plans of one VPC are computed from: a snapshot of its records. */
import type { EniRecord, HostLink, RouteTableRecord, SecurityGroupRecord, SubnetRecord, VpcRecord } from "./records.ts";

/** A VPC that has a namespace. */
export type ActiveVpc = VpcRecord & { readonly link: HostLink };

export interface VpcFacts {
  readonly vpc: ActiveVpc;
  readonly subnets: readonly SubnetRecord[];
  readonly groups: readonly SecurityGroupRecord[];
  readonly enis: readonly EniRecord[];
  readonly routeTables: readonly RouteTableRecord[];
  readonly ports: Ports;
}

export interface Ports {
  readonly apiPort: number;
  readonly metadataPort: number;
  readonly kubeletPort: number;
  /** Host ports that containers may reach, as the user chose. */
  readonly hostPorts: readonly number[];
}

export function isActive(vpc: VpcRecord): vpc is ActiveVpc {
  return vpc.link !== undefined;
}

/** The route table that decides for a subnet: its own, else the VPC's main one. */
export function routeTableOf(subnetId: string, tables: readonly RouteTableRecord[]): RouteTableRecord | undefined {
  return (
    tables.find((table) => table.associations.some((association) => association.subnetId === subnetId)) ??
    tables.find((table) => table.associations.some((association) => association.subnetId === undefined))
  );
}

/**
 * Whether an interface may open connections to addresses outside the VPC: its subnet's route table has a default route, and it has what
 * that route needs, a public address for an internet gateway.
 *
 * Differs: in the default VPC a default route is enough, as if it led to a NAT gateway, because the people who run tasks on their own
 * machine expect them to reach the internet without `assignPublicIp`.
 */
export function reachesInternet(eni: EniRecord, vpc: VpcRecord, tables: readonly RouteTableRecord[]): boolean {
  if (eni.local) return false;
  const target = routeTableOf(eni.subnetId, tables)?.routes.find((route) => route.destinationCidr === "0.0.0.0/0")?.target;
  if (target === undefined || target === "local") return false;
  return target.startsWith("nat-") || eni.assignPublicIp || vpc.isDefault;
}
