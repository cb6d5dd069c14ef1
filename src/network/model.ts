/** All records of the network in memory, for synchronous answers, beside the store that is their truth. One writer: this process. */
import type { Collection, Store, Write } from "../contracts/store.ts";
import type { Scope } from "../core/scope.ts";
import { scopedKey } from "../core/scope.ts";
import type { EniRecord, InternetGatewayRecord, NamesRecord, RouteTableRecord, SecurityGroupRecord, SubnetRecord, VpcRecord } from "./records.ts";
import { ENIS, INTERNET_GATEWAYS, NAMES, ROUTE_TABLES, SECURITY_GROUPS, SUBNETS, VPCS } from "./records.ts";

/** One kind of record by its id. */
export class Table<T> {
  readonly #rows = new Map<string, T>();
  readonly collection: Collection<T>;
  readonly #idOf: (value: T) => string;
  readonly #keyOf: (value: T) => string;

  constructor(kind: Collection<T>, idOf: (value: T) => string, keyOf: (value: T) => string) {
    this.collection = kind;
    this.#idOf = idOf;
    this.#keyOf = keyOf;
  }

  async load(store: Store): Promise<void> {
    this.#rows.clear();
    for (const { value } of await store.list(this.collection)) this.apply(value);
  }

  get(id: string): T | undefined {
    return this.#rows.get(id);
  }

  all(): T[] {
    return [...this.#rows.values()];
  }

  apply(value: T): void {
    this.#rows.set(this.#idOf(value), value);
  }

  forget(value: T): void {
    this.#rows.delete(this.#idOf(value));
  }

  put(value: T): Change {
    const write: Write<T> = { op: "put", collection: this.collection, key: this.#keyOf(value), value };
    return { write, apply: () => this.apply(value) };
  }

  remove(value: T): Change {
    return { write: { op: "delete", collection: this.collection, key: this.#keyOf(value) }, apply: () => this.forget(value) };
  }
}

/** A write to the store and what follows from it in memory. */
export interface Change {
  readonly write: Write;
  readonly apply: () => void;
}

const scoped = <T extends Scope>(id: (value: T) => string) => [id, (value: T) => scopedKey(value, id(value))] as const;

export class NetworkModel {
  readonly vpcs = new Table<VpcRecord>(VPCS, ...scoped((vpc: VpcRecord) => vpc.vpcId));
  readonly subnets = new Table<SubnetRecord>(SUBNETS, ...scoped((subnet: SubnetRecord) => subnet.subnetId));
  readonly groups = new Table<SecurityGroupRecord>(SECURITY_GROUPS, ...scoped((group: SecurityGroupRecord) => group.groupId));
  readonly routeTables = new Table<RouteTableRecord>(ROUTE_TABLES, ...scoped((table: RouteTableRecord) => table.routeTableId));
  readonly gateways = new Table<InternetGatewayRecord>(INTERNET_GATEWAYS, ...scoped((gateway: InternetGatewayRecord) => gateway.internetGatewayId));
  readonly enis = new Table<EniRecord>(
    ENIS,
    (eni) => eni.attachmentId,
    (eni) => eni.attachmentId,
  );
  readonly names = new Table<NamesRecord>(
    NAMES,
    (names) => names.owner,
    (names) => names.owner,
  );
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async load(): Promise<void> {
    const tables = [this.vpcs, this.subnets, this.groups, this.routeTables, this.gateways, this.enis, this.names];
    await Promise.all(tables.map((table) => table.load(this.#store)));
  }

  /** Stores all changes or none, then shows them. */
  async commit(changes: readonly Change[]): Promise<void> {
    if (changes.length === 0) return;
    await this.#store.transact(changes.map((change) => change.write));
    for (const change of changes) change.apply();
  }

  inScope<T extends Scope>(table: Table<T>, scope: Scope): T[] {
    return table.all().filter((value) => value.account === scope.account && value.region === scope.region);
  }

  subnetsOf(vpcId: string): SubnetRecord[] {
    return this.subnets.all().filter((subnet) => subnet.vpcId === vpcId);
  }

  groupsOf(vpcId: string): SecurityGroupRecord[] {
    return this.groups.all().filter((group) => group.vpcId === vpcId);
  }

  enisOf(vpcId: string): EniRecord[] {
    return this.enis.all().filter((eni) => eni.vpcId === vpcId);
  }

  routeTablesOf(vpcId: string): RouteTableRecord[] {
    return this.routeTables.all().filter((table) => table.vpcId === vpcId);
  }
}
