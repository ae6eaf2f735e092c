import { Network } from "@pulumi/gcp/compute/network";

new Network("network");
