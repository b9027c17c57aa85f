"""Resources of plans and templates that bear on traffic and have no place in a topology, known by name or by their fields.

The known ones are listed with what could differ.  Of the many others, one that names a subnet, a security group or a VPC
stands in the network all the same, and is listed as that.
"""

from collections.abc import Iterable

STRANGER = "it names a subnet, a security group or a VPC; what it does there is not shown"
_FIELDS = """
subnetid subnetids subnets vpcsubnetids securitygroupid securitygroupids vpcsecuritygroupids securitygroups vpcconfig vpcoptions
vpcid vpcs networkconfiguration vpczoneidentifier networkinterfaces vpcconfiguration vpcsettings subnetmapping ipaddresses
"""
FIELDS = frozenset(_FIELDS.split())
# Words of types that name places and carry no packet themselves.
_QUIET = """
subnetgroup flowlog dhcpoptions launchtemplate launchconfiguration route53zone route53_zone ipam networkinsights hostedzone
parametergroup trafficmirror logdelivery
"""
QUIET = tuple(_QUIET.split())
# Terraform's types, or their beginnings.
TERRAFORM = {
    "aws_dx_": "traffic by Direct Connect is not shown",
    "aws_ec2_transit_gateway": "traffic by way of the transit gateway is not shown",
    "aws_vpc_endpoint_service": "traffic with those who use it is not shown",
    "aws_lb_listener_rule": "what it forwards to its targets is not shown",
    "aws_alb_listener_rule": "what it forwards to its targets is not shown",
    "aws_elb": "what it forwards to its instances is not shown",
    "aws_db_instance": "its interfaces are made by RDS and are not shown",
    "aws_rds_cluster": "its interfaces are made by RDS and are not shown",
    "aws_elasticache": "its interfaces are made by ElastiCache and are not shown",
    "aws_redshift_cluster": "its interfaces are made by Redshift and are not shown",
    "aws_msk_cluster": "its interfaces are made by MSK and are not shown",
    "aws_efs_mount_target": "its interface is not shown",
    "aws_eks_cluster": "its interfaces are not shown",
    "aws_eks_node_group": "the machines that it starts are not shown",
    "aws_ecs_service": "the tasks that it starts are not shown",
    "aws_autoscaling_attachment": "the machines that the group starts are no targets here",
    "aws_autoscaling_group": "the machines that it starts are not shown",
    "aws_spot_fleet_request": "the machines that it starts are not shown",
    "aws_ec2_fleet": "the machines that it starts are not shown",
    "aws_lambda_function": "its interfaces, if it has a vpc_config, are not shown",
    "aws_networkfirewall": "what it drops is let through here",
    "aws_networkmanager_": "traffic by way of the core network is not shown",
    "aws_vpclattice_": "traffic by way of it is not shown",
    "aws_globalaccelerator_": "traffic by way of it is not shown",
    "aws_ec2_client_vpn": "traffic of its clients is not shown",
    "aws_verifiedaccess_": "traffic by way of it is not shown",
    "aws_route53_resolver_endpoint": "its interfaces are not shown",
    "aws_vpc_block_public_access": "Block Public Access is not taken over (RT-28)",
    "aws_ec2_carrier_gateway": "traffic with the carrier is not shown",
    "aws_ec2_local_gateway": "traffic with the site of the Outpost is not shown",
}
# CloudFormation's types, or their beginnings.
TEMPLATE = {
    "AWS::EC2::TransitGateway": "traffic by way of the transit gateway is not shown",
    "AWS::EC2::VPCEndpointService": "traffic with those who use it is not shown",
    "AWS::EC2::VPCEndpointServicePermissions": "",
    "AWS::EC2::SpotFleet": "the machines that it starts are not shown",
    "AWS::EC2::EC2Fleet": "the machines that it starts are not shown",
    "AWS::EC2::CarrierGateway": "traffic with the carrier is not shown",
    "AWS::EC2::LocalGateway": "traffic with the site of the Outpost is not shown",
    "AWS::EC2::ClientVpn": "traffic of its clients is not shown",
    "AWS::EC2::VPCBlockPublicAccess": "Block Public Access is not taken over (RT-28)",
    "AWS::ElasticLoadBalancing": "what it forwards to its targets is not shown",
    "AWS::AutoScaling::AutoScalingGroup": "the machines that it starts are not shown",
    "AWS::RDS::DB": "its interfaces are made by RDS and are not shown",
    "AWS::RDS::DBParameter": "",
    "AWS::RDS::DBSubnetGroup": "",
    "AWS::ElastiCache": "its interfaces are made by ElastiCache and are not shown",
    "AWS::Redshift::Cluster": "its interfaces are made by Redshift and are not shown",
    "AWS::EFS::MountTarget": "its interface is not shown",
    "AWS::ECS::Service": "the tasks that it starts are not shown",
    "AWS::EKS": "the machines and interfaces that it makes are not shown",
    "AWS::Serverless::Function": "its interfaces, if it has a VpcConfig, are not shown",
    "AWS::Lambda::Function": "its interfaces, if it has a VpcConfig, are not shown",
    "AWS::NetworkFirewall": "what it drops is let through here",
    "AWS::NetworkManager": "traffic by way of the core network is not shown",
    "AWS::VpcLattice": "traffic by way of it is not shown",
    "AWS::GlobalAccelerator": "traffic by way of it is not shown",
    "AWS::Route53Resolver::ResolverEndpoint": "its interfaces are not shown",
    "AWS::CloudFormation::Stack": "the resources of the nested stack are not shown",
    "AWS::CloudFormation::CustomResource": "what it makes is not shown",
    "AWS::CloudFormation::Macro": "what it changes is not shown",
    "Custom::": "what it makes is not shown",
}


def beyond(known: dict[str, str], kind: str, fields: Iterable[str]) -> str:
    """What could differ because a resource of a kind, with such fields, is not shown; empty if nothing.

    Examples
    --------
    >>> beyond(TERRAFORM, "aws_ecs_service", [])
    'the tasks that it starts are not shown'
    >>> beyond(TERRAFORM, "aws_mq_broker", ["subnet_ids"])
    'it names a subnet, a security group or a VPC; what it does there is not shown'
    >>> beyond(TERRAFORM, "aws_s3_bucket", ["bucket"]), beyond(TERRAFORM, "aws_db_subnet_group", ["subnet_ids"])
    ('', '')
    """
    prefix = max((key for key in known if kind.startswith(key)), key=len, default="")
    if prefix:
        return known[prefix]
    folded = kind.casefold().replace("_", "").replace("::", "")
    names = {field.casefold().replace("_", "") for field in fields}
    return STRANGER if names & FIELDS and not any(word in folded for word in QUIET) else ""
