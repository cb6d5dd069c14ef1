# A cluster whose pods run on Fargate, as a user of AWS writes it.

variable "eks" {
  description = "Whether there is a cluster, too."
  type        = bool
  default     = false
}

variable "eks_logs" {
  type    = list(string)
  default = ["audit"]
}

variable "eks_metrics_replicas" {
  type    = number
  default = 1
}

resource "aws_iam_role" "eks" {
  count = var.eks ? 1 : 0
  name  = "${var.name}-eks"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = ["eks.amazonaws.com", "eks-fargate-pods.amazonaws.com"] }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_eks_cluster" "main" {
  count                     = var.eks ? 1 : 0
  name                      = var.name
  role_arn                  = aws_iam_role.eks[0].arn
  enabled_cluster_log_types = var.eks_logs

  access_config {
    authentication_mode = "API"
  }

  vpc_config {
    subnet_ids = data.aws_subnets.default.ids
  }
}

resource "aws_eks_fargate_profile" "default" {
  count                  = var.eks ? 1 : 0
  cluster_name           = aws_eks_cluster.main[0].name
  fargate_profile_name   = "default"
  pod_execution_role_arn = aws_iam_role.eks[0].arn
  subnet_ids             = data.aws_subnets.default.ids

  selector {
    namespace = "default"
    labels    = { on = "fargate" }
  }
}

data "aws_eks_addon_version" "metrics_server" {
  count              = var.eks ? 1 : 0
  addon_name         = "metrics-server"
  kubernetes_version = aws_eks_cluster.main[0].version
  most_recent        = true
}

resource "aws_eks_addon" "metrics_server" {
  count                       = var.eks ? 1 : 0
  cluster_name                = aws_eks_cluster.main[0].name
  addon_name                  = "metrics-server"
  addon_version               = data.aws_eks_addon_version.metrics_server[0].version
  configuration_values        = jsonencode({ replicas = var.eks_metrics_replicas })
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "PRESERVE"
}

resource "aws_eks_access_entry" "developers" {
  count             = var.eks ? 1 : 0
  cluster_name      = aws_eks_cluster.main[0].name
  principal_arn     = aws_iam_role.eks[0].arn
  kubernetes_groups = ["developers"]
}

resource "aws_eks_access_policy_association" "developers" {
  count         = var.eks ? 1 : 0
  cluster_name  = aws_eks_cluster.main[0].name
  principal_arn = aws_eks_access_entry.developers[0].principal_arn
  policy_arn    = "arn:${data.aws_partition.current.partition}:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"

  access_scope {
    type       = "namespace"
    namespaces = ["default"]
  }
}

data "aws_eks_cluster" "main" {
  count = var.eks ? 1 : 0
  name  = aws_eks_cluster.main[0].name
}

# What the Kubernetes provider signs in with.
data "aws_eks_cluster_auth" "main" {
  count = var.eks ? 1 : 0
  name  = aws_eks_cluster.main[0].name
}

output "kubernetes" {
  value = var.eks ? {
    endpoint = data.aws_eks_cluster.main[0].endpoint
    logs     = data.aws_eks_cluster.main[0].enabled_cluster_log_types
    # The rest of it is another one each time.
    token = substr(nonsensitive(data.aws_eks_cluster_auth.main[0].token), 0, 11)
  } : null
}
