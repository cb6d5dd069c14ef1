import { derivedId } from "./identifiers.ts";

/** An AWS-managed policy: known by name; the document is held for those that the tutorials print. */
export interface ManagedPolicy {
  readonly arn: string;
  readonly name: string;
  readonly path: string;
  readonly id: string;
  readonly document?: string;
}

/** When it is said to have been made: AWS made most of them then. */
export const MANAGED_CREATED_AT_MS = Date.UTC(2015, 1, 6, 18, 40, 0);

const NAMES: Readonly<Record<string, readonly string[]>> = {
  "/": `AdministratorAccess PowerUserAccess ReadOnlyAccess SecurityAudit IAMFullAccess IAMReadOnlyAccess IAMUserChangePassword
    AmazonEC2FullAccess AmazonEC2ReadOnlyAccess AmazonVPCFullAccess AmazonVPCReadOnlyAccess
    AmazonECS_FullAccess AmazonEC2ContainerRegistryReadOnly AmazonEC2ContainerRegistryPowerUser AmazonEC2ContainerRegistryFullAccess
    AmazonEC2ContainerRegistryPullOnly AmazonElasticContainerRegistryPublicReadOnly AmazonElasticContainerRegistryPublicFullAccess
    CloudWatchLogsFullAccess CloudWatchLogsReadOnlyAccess CloudWatchFullAccess CloudWatchFullAccessV2 CloudWatchReadOnlyAccess
    CloudWatchAgentServerPolicy CloudWatchEventsFullAccess AmazonEventBridgeFullAccess
    AmazonEKSClusterPolicy AmazonEKSServicePolicy AmazonEKSVPCResourceController AmazonEKSWorkerNodePolicy AmazonEKSWorkerNodeMinimalPolicy
    AmazonEKS_CNI_Policy AmazonEKSFargatePodExecutionRolePolicy AmazonEKSComputePolicy AmazonEKSBlockStoragePolicy
    AmazonEKSLoadBalancingPolicy AmazonEKSNetworkingPolicy AmazonEKSLocalOutpostClusterPolicy
    AmazonSSMReadOnlyAccess AmazonSSMFullAccess AmazonSSMManagedInstanceCore SecretsManagerReadWrite AWSSecretsManagerClientReadOnlyAccess
    AmazonS3FullAccess AmazonS3ReadOnlyAccess AmazonDynamoDBFullAccess AmazonDynamoDBReadOnlyAccess AmazonSQSFullAccess AmazonSQSReadOnlyAccess
    AmazonSNSFullAccess AmazonSNSReadOnlyAccess AmazonRDSFullAccess AmazonRDSReadOnlyAccess AmazonElastiCacheFullAccess
    AmazonElasticFileSystemFullAccess AmazonElasticFileSystemClientFullAccess AmazonElasticFileSystemClientReadWriteAccess
    ElasticLoadBalancingFullAccess ElasticLoadBalancingReadOnly AWSCloudMapFullAccess AWSCloudMapReadOnlyAccess AWSCloudMapDiscoverInstanceAccess
    AWSXRayDaemonWriteAccess AWSXrayFullAccess AWSXrayWriteOnlyAccess AmazonPrometheusRemoteWriteAccess AWSAppMeshEnvoyAccess
    AWSCodeDeployRoleForECS AWSCodeDeployRoleForECSLimited AWSKeyManagementServicePowerUser AmazonRoute53FullAccess AmazonBedrockFullAccess
    AWSLambda_FullAccess AWSLambda_ReadOnlyAccess AutoScalingFullAccess AmazonKinesisFullAccess AmazonKinesisReadOnlyAccess`.split(/\s+/),
  "/service-role/": `AmazonECSTaskExecutionRolePolicy AmazonEC2ContainerServiceRole AmazonEC2ContainerServiceforEC2Role
    AmazonEC2ContainerServiceAutoscaleRole AmazonEC2ContainerServiceEventsRole AmazonECSInfrastructureRolePolicyForVolumes
    AmazonECSInfrastructureRolePolicyForVpcLattice AmazonECSInfrastructureRolePolicyForLoadBalancers
    AmazonECSInfrastructureRolePolicyForServiceConnectTransportLayerSecurity AmazonECSInfrastructureRoleforExpressGatewayServices
    AmazonEBSCSIDriverPolicy AmazonEFSCSIDriverPolicy AWSLambdaBasicExecutionRole AWSLambdaVPCAccessExecutionRole AWSLambdaSQSQueueExecutionRole
    AWSAppRunnerServicePolicyForECRAccess AmazonAPIGatewayPushToCloudWatchLogs AWSCodeDeployRole`.split(/\s+/),
  "/aws-service-role/": `AmazonECSServiceRolePolicy AWSElasticLoadBalancingServiceRolePolicy AWSApplicationAutoscalingECSServicePolicy
    AmazonEKSServiceRolePolicy AmazonEKSForFargateServiceRolePolicy AWSServiceRoleForAmazonEKSNodegroup AutoScalingServiceRolePolicy`.split(/\s+/),
  "/job-function/": [
    "ViewOnlyAccess",
    "SystemAdministrator",
    "NetworkAdministrator",
    "DatabaseAdministrator",
    "Billing",
    "DataScientist",
    "SupportUser",
  ],
};

function allow(actions: readonly string[], resource = "*"): string {
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: actions.length === 1 ? actions[0] : actions, Resource: resource }],
  });
}

const ECR_READ = [
  "ecr:GetAuthorizationToken",
  "ecr:BatchCheckLayerAvailability",
  "ecr:GetDownloadUrlForLayer",
  "ecr:GetRepositoryPolicy",
  "ecr:DescribeRepositories",
  "ecr:ListImages",
  "ecr:DescribeImages",
  "ecr:BatchGetImage",
  "ecr:GetLifecyclePolicy",
  "ecr:GetLifecyclePolicyPreview",
  "ecr:ListTagsForResource",
  "ecr:DescribeImageScanFindings",
];

const DOCUMENTS: Readonly<Record<string, string>> = {
  AdministratorAccess: allow(["*"]),
  AmazonECSTaskExecutionRolePolicy: allow([
    "ecr:GetAuthorizationToken",
    "ecr:BatchCheckLayerAvailability",
    "ecr:GetDownloadUrlForLayer",
    "ecr:BatchGetImage",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
  ]),
  AmazonEC2ContainerRegistryReadOnly: allow(ECR_READ),
  AmazonEC2ContainerRegistryPowerUser: allow([
    ...ECR_READ,
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
    "ecr:PutImage",
  ]),
  AWSLambdaBasicExecutionRole: allow(["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]),
};

/** All that are known, by ARN. */
export const MANAGED_POLICIES: ReadonlyMap<string, ManagedPolicy> = new Map(
  Object.entries(NAMES).flatMap(([path, names]) =>
    names.map((name) => {
      const arn = `arn:aws:iam::aws:policy${path}${name}`;
      return [arn, { arn, name, path, id: derivedId("ANPA", arn), ...(DOCUMENTS[name] !== undefined && { document: DOCUMENTS[name] }) }] as const;
    }),
  ),
);
