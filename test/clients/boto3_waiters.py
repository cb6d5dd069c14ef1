"""Called by boto3.test.ts with a service's parts in the environment; prints what it found as JSON."""

import json
import os

import boto3
from botocore.exceptions import ClientError

FAST = {"Delay": 1, "MaxAttempts": 90}
ecs, ec2, elb = boto3.client("ecs"), boto3.client("ec2"), boto3.client("elbv2")
logs, ecr, iam, sts = boto3.client("logs"), boto3.client("ecr"), boto3.client("iam"), boto3.client("sts")
image, role = os.environ["TEST_IMAGE"], os.environ["TEST_ROLE"]
found = {}

vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
subnets = [s["SubnetId"] for page in ec2.get_paginator("describe_subnets").paginate(PaginationConfig={"PageSize": 5}) for s in page["Subnets"]]
ec2.get_waiter("vpc_available").wait(VpcIds=[vpc])
ec2.get_waiter("subnet_available").wait(SubnetIds=subnets)
group = ec2.create_security_group(GroupName="boto", Description="boto", VpcId=vpc)["GroupId"]
ec2.get_waiter("security_group_exists").wait(GroupIds=[group])
ec2.authorize_security_group_ingress(GroupId=group, IpProtocol="tcp", FromPort=80, ToPort=8080, CidrIp="0.0.0.0/0")

balancer = elb.create_load_balancer(Name="boto", Subnets=subnets, SecurityGroups=[group])["LoadBalancers"][0]
elb.get_waiter("load_balancer_available").wait(LoadBalancerArns=[balancer["LoadBalancerArn"]], WaiterConfig=FAST)
target_group = elb.create_target_group(
    Name="boto", Protocol="HTTP", Port=8080, VpcId=vpc, TargetType="ip", HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2
)["TargetGroups"][0]["TargetGroupArn"]
elb.create_listener(
    LoadBalancerArn=balancer["LoadBalancerArn"],
    Protocol="HTTP",
    Port=80,
    DefaultActions=[{"Type": "forward", "TargetGroupArn": target_group}],
)

network = {"awsvpcConfiguration": {"subnets": subnets, "securityGroups": [group], "assignPublicIp": "ENABLED"}}
ecs.create_cluster(clusterName="default")
definition = ecs.register_task_definition(
    family="boto",
    requiresCompatibilities=["FARGATE"],
    networkMode="awsvpc",
    cpu="256",
    memory="512",
    executionRoleArn=role,
    containerDefinitions=[
        {
            "name": "web",
            "image": image,
            "stopTimeout": 2,
            "command": ["httpd", "-f", "-p", "8080", "-h", "/etc"],
            "portMappings": [{"containerPort": 8080}],
        }
    ],
)["taskDefinition"]["taskDefinitionArn"]
# A health check of "/" finds nothing in /etc, and says so with 404.
elb.modify_target_group(TargetGroupArn=target_group, HealthCheckPath="/passwd")
ecs.create_service(
    serviceName="boto",
    taskDefinition="boto",
    desiredCount=2,
    launchType="FARGATE",
    networkConfiguration=network,
    loadBalancers=[{"targetGroupArn": target_group, "containerName": "web", "containerPort": 8080}],
)
ecs.get_waiter("services_stable").wait(services=["boto"], WaiterConfig=FAST)
elb.get_waiter("target_in_service").wait(TargetGroupArn=target_group, WaiterConfig=FAST)
found["healthy"] = [t["TargetHealth"]["State"] for t in elb.describe_target_health(TargetGroupArn=target_group)["TargetHealthDescriptions"]]

started = [
    ecs.run_task(taskDefinition=definition, launchType="FARGATE", networkConfiguration=network, startedBy="boto", count=1)["tasks"][0]["taskArn"]
    for _ in range(3)
]
ecs.get_waiter("tasks_running").wait(tasks=started, WaiterConfig=FAST)
pages = list(ecs.get_paginator("list_tasks").paginate(startedBy="boto", PaginationConfig={"PageSize": 2}))
found["pages"] = [len(page["taskArns"]) for page in pages]
found["listed"] = sorted(arn for page in pages for arn in page["taskArns"]) == sorted(started)
for task in started:
    ecs.stop_task(task=task, reason="boto is done")
ecs.get_waiter("tasks_stopped").wait(tasks=started, WaiterConfig=FAST)
found["reasons"] = [t["stoppedReason"] for t in ecs.describe_tasks(tasks=started)["tasks"]]
found["started"] = all(t["startedAt"] < t["stoppedAt"] for t in ecs.describe_tasks(tasks=started)["tasks"])

logs.create_log_group(logGroupName="/boto")
logs.create_log_stream(logGroupName="/boto", logStreamName="one")
now = int(ecs.describe_tasks(tasks=started[:1])["tasks"][0]["stoppedAt"].timestamp() * 1000)
logs.put_log_events(logGroupName="/boto", logStreamName="one", logEvents=[{"timestamp": now + i, "message": f"event {i}"} for i in range(25)])
events = logs.get_paginator("filter_log_events").paginate(logGroupName="/boto", PaginationConfig={"PageSize": 10})
found["events"] = [event["message"] for page in events for event in page["events"]]


def refusal(call, **arguments):
    """The code of the exception that a call raises, and whether the client knows it as one of its own."""
    try:
        call(**arguments)
        return None
    except ClientError as error:
        return type(error).__name__, error.response["Error"]["Code"]


found["refusals"] = {
    "cluster": refusal(ecs.describe_services, cluster="nowhere", services=["boto"]),
    "service": refusal(ecs.update_service, service="nothing", desiredCount=1),
    "definition": refusal(ecs.run_task, taskDefinition="nothing", launchType="FARGATE", networkConfiguration=network),
    "size": refusal(
        ecs.register_task_definition,
        family="odd",
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="256",
        memory="4096",
        containerDefinitions=[{"name": "web", "image": image}],
    ),
    "repository": refusal(ecr.describe_repositories, repositoryNames=["nothing"]),
    "group": refusal(ec2.describe_security_groups, GroupIds=["sg-0123456789abcdef0"]),
    "balancer": refusal(elb.describe_load_balancers, Names=["nothing"]),
    "logGroup": refusal(logs.describe_log_streams, logGroupName="/nothing"),
    "role": refusal(iam.get_role, RoleName="nothing"),
    "inUse": refusal(elb.delete_target_group, TargetGroupArn=target_group),
    "signature": refusal(
        boto3.client("sts", aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"], aws_secret_access_key="wrong").get_caller_identity
    ),
    "key": refusal(boto3.client("sts", aws_access_key_id="AKIAAAAAAAAAAAAAAAAA", aws_secret_access_key="wrong").get_caller_identity),
}
found["account"] = sts.get_caller_identity()["Account"]

ecs.delete_service(service="boto", force=True)
ecs.get_waiter("services_inactive").wait(services=["boto"], WaiterConfig=FAST)
elb.delete_load_balancer(LoadBalancerArn=balancer["LoadBalancerArn"])
elb.get_waiter("load_balancers_deleted").wait(LoadBalancerArns=[balancer["LoadBalancerArn"]], WaiterConfig=FAST)
elb.delete_target_group(TargetGroupArn=target_group)
print(json.dumps(found))
