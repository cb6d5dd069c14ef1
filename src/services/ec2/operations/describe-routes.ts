import type {
  DescribeInternetGatewaysRequest,
  DescribeInternetGatewaysResult,
  DescribeRouteTablesRequest,
  DescribeRouteTablesResult,
} from "@aws-sdk/client-ec2";
import type { Operation } from "../../../contracts/service.ts";
import { KINDS, select } from "../errors.ts";
import type { FilterFields } from "../filters.ts";
import { applyFilters, tagFilters } from "../filters.ts";
import { ec2Operation } from "../operation.ts";
import type { Ec2Room } from "../operation.ts";
import { pageOf } from "../paging.ts";
import type { InternetGateway, RouteTable } from "../ports.ts";
import { gatewayView, routeTableView } from "../views.ts";

const tableId = (table: RouteTable): string => table.routeTableId;
const gatewayId = (gateway: InternetGateway): string => gateway.internetGatewayId;

const TABLE_FILTERS: FilterFields<RouteTable> = {
  "association.gateway-id": () => [],
  "association.main": (table) => table.associations.map((association) => association.subnetId === undefined),
  "association.route-table-association-id": (table) => table.associations.map((association) => association.associationId),
  "association.route-table-id": (table) => (table.associations.length === 0 ? [] : [table.routeTableId]),
  "association.subnet-id": (table) => table.associations.map((association) => association.subnetId),
  "owner-id": (table) => [table.account],
  "route-table-id": (table) => [table.routeTableId],
  "route.destination-cidr-block": (table) => table.routes.map((route) => route.destinationCidr),
  "route.gateway-id": (table) => table.routes.map((route) => (route.target.startsWith("nat-") ? undefined : route.target)),
  "route.nat-gateway-id": (table) => table.routes.map((route) => (route.target.startsWith("nat-") ? route.target : undefined)),
  "route.origin": (table) => table.routes.map((route) => route.origin),
  "route.state": (table) => table.routes.map(() => "active"),
  "vpc-id": (table) => [table.vpcId],
  ...tagFilters,
};

const GATEWAY_FILTERS: FilterFields<InternetGateway> = {
  "attachment.state": (gateway) => (gateway.vpcId === undefined ? [] : ["available"]),
  "attachment.vpc-id": (gateway) => [gateway.vpcId],
  "internet-gateway-id": (gateway) => [gateway.internetGatewayId],
  "owner-id": (gateway) => [gateway.account],
  ...tagFilters,
};

export const describeRouteTables = ({ network }: Ec2Room): Operation<DescribeRouteTablesRequest, DescribeRouteTablesResult> =>
  ec2Operation({
    name: "DescribeRouteTables",
    members: { RouteTableIds: "used", Filters: "used", MaxResults: "used", NextToken: "used" },
    async handle(input, context) {
      await network.ensureDefaultVpc(context);
      const chosen = select(KINDS.routeTable, network.routeTables(context), input.RouteTableIds, tableId);
      const { items, NextToken } = pageOf(applyFilters(chosen, input.Filters, TABLE_FILTERS), input, { idOf: tableId, named: input.RouteTableIds });
      return { RouteTables: items.map(routeTableView), NextToken };
    },
  });

export const describeInternetGateways = ({ network }: Ec2Room): Operation<DescribeInternetGatewaysRequest, DescribeInternetGatewaysResult> =>
  ec2Operation({
    name: "DescribeInternetGateways",
    members: { InternetGatewayIds: "used", Filters: "used", MaxResults: "used", NextToken: "used" },
    async handle(input, context) {
      await network.ensureDefaultVpc(context);
      const chosen = select(KINDS.gateway, network.internetGateways(context), input.InternetGatewayIds, gatewayId);
      const { items, NextToken } = pageOf(applyFilters(chosen, input.Filters, GATEWAY_FILTERS), input, {
        idOf: gatewayId,
        named: input.InternetGatewayIds,
      });
      return { InternetGateways: items.map(gatewayView), NextToken };
    },
  });
